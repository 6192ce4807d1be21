"""A ledger in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'farthing.db'


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """It drains when it is asked, not by itself, and waits for nobody."""
    with Ledger.open(path, interval_s=600, wait_s=0.2) as ledger:
        yield ledger
