"""What is done at exit does not hang on the order of imports."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

_PROGRAM = """
from farthing.ending import closes_at_exit, posts_at_exit
posts_at_exit(lambda: print('swept'))
closes_at_exit(lambda: print('closed'))
posts_at_exit(lambda: print('failed', 1 / 0))
posts_at_exit(lambda: print('posted'))
"""
_ADAPTER = """
import sys
import {adapter}
print(sorted({{'farthing.ledger', 'farthing.prices.book'}} & {{*sys.modules}}))
"""


def test_ledgers_close_after_all_that_post() -> None:
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', _PROGRAM], capture_output=True, text=True, check=False
    )

    assert ['posted', 'swept', 'closed'] == ended.stdout.split()
    assert 'ZeroDivisionError' in ended.stderr


@pytest.mark.parametrize('adapter', ['langchain_farthing', 'llama_index_farthing'])
def test_importing_an_adapter_loads_neither_the_ledger_nor_the_price_book(adapter) -> None:
    if find_spec(adapter) is None:
        pytest.skip(f'{adapter} is not in this cell')
    program = _ADAPTER.format(adapter=adapter)
    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )

    assert '[]\n' == loaded.stdout
