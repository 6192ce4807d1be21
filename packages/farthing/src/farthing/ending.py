"""What is done when the interpreter ends: open calls are posted, and then the ledgers close.

`atexit` alone goes by the order of imports, and a ledger may be imported first or last.
"""

import atexit
from collections.abc import Callable
from contextlib import ExitStack

_posting: list[Callable[[], object]] = []
_closing: list[Callable[[], object]] = []


def posts_at_exit(step: Callable[[], object]) -> None:
    """Have `step` post what it knows of; whoever asks last comes first."""
    _posting.append(step)


def closes_at_exit(step: Callable[[], object]) -> None:
    """Have `step` close what is posted to, after all that post."""
    _closing.append(step)


@atexit.register
def _end() -> None:
    with ExitStack() as steps:  # each is taken, whatever another raises
        for step in (*_closing, *_posting):
            steps.callback(step)
