"""Files beside the ledger that several threads or processes make at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from farthing.ledger.sessions import Sessions
from farthing.run.journal import Journal

TOGETHER = 8


def journal(path: Path) -> None:
    Journal(path).keep_requests('job', [('key', b'{}')])


def sessions(path: Path) -> None:
    Sessions(path).ratio('claude-haiku-4-5')


@pytest.mark.parametrize('use', [journal, sessions])
def test_a_file_that_several_make_at_once_is_nobody_elses(
    tmp_path: Path, use: Callable[[Path], None]
) -> None:
    barrier = Barrier(TOGETHER)

    def go(path: Path) -> None:
        barrier.wait()
        use(path)

    for number in range(10):
        with ThreadPoolExecutor(TOGETHER) as pool:
            for done in [pool.submit(go, tmp_path / f'{number}.db') for _ in range(TOGETHER)]:
                done.result()
