"""Who wants to hear what became of a call, whichever way its entry is posted.

A lever that chooses a model knows the call and not its request: the framework makes that. So it
follows the runs that start while it calls, and each entry of theirs is told to it, with the means
to hang a decision on it: by the HTTP tap where that has seen the answer, else when the run ends.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from farthing.entry import Decision, Entry
from farthing.meter.choices import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An entry that was just posted.

    Attributes:
        entry_id: Its id.
        run_id: The framework's run that it belongs to.
        provider: Who bills it.
        model: The model that was asked for.
        cost: What it cost in 1e-12 USD; `None` is unknown.
        answer: What became of the request.
        tell: Posts what was decided about the entry, now or later, to wherever it was posted.
    """

    entry_id: str
    run_id: str
    provider: str
    model: str | None
    cost: int | None
    answer: Answer
    tell: Callable[[Decision], None]


class Follower(Protocol):
    """Hears of the entries of a call: of each attempt at it."""

    def posted(self, one: Posted) -> None:
        """An entry was posted. It must not raise: the call that it belongs to is the user's."""


_following: ContextVar[Follower | None] = ContextVar('farthing_follower', default=None)


@contextmanager
def following(follower: Follower) -> Iterator[None]:
    """Follow the runs that start in the block; inside another such block, the inner one follows.

    A stream is followed by starting it in the block: what was started stays followed.
    """
    token = _following.set(follower)
    try:
        yield
    finally:
        _following.reset(token)


def cost_of(entries: Sequence[Entry]) -> int | None:
    """The cost of an answer's entries; `None` where one has no price, or where they were lost."""
    costs = [entry.quote.cost for entry in entries]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if entries and len(known) == len(costs) else None


def follower() -> Follower | None:
    """Who follows the runs that start here."""
    return _following.get()
