"""What is done at exit does not hang on the order of imports."""

import subprocess
import sys

_PROGRAM = """
from farthing.ending import closes_at_exit, posts_at_exit
posts_at_exit(lambda: print('swept'))
closes_at_exit(lambda: print('closed'))
posts_at_exit(lambda: print('failed', 1 / 0))
posts_at_exit(lambda: print('posted'))
"""
_ADAPTER = """
import sys
import langchain_farthing
print(sorted({'farthing.ledger', 'farthing.prices.book'} & {*sys.modules}))
"""


def test_ledgers_close_after_all_that_post() -> None:
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', _PROGRAM], capture_output=True, text=True, check=False
    )

    assert ['posted', 'swept', 'closed'] == ended.stdout.split()
    assert 'ZeroDivisionError' in ended.stderr


def test_importing_an_adapter_loads_neither_the_ledger_nor_the_price_book() -> None:
    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', _ADAPTER], capture_output=True, text=True, check=True
    )

    assert '[]\n' == loaded.stdout
