"""The pytest plugin: installed with the package, its fixtures need no import."""

from collections.abc import Iterator

import pytest

from farthing_sim.serve import Sim, serving


@pytest.fixture(scope='session')
def farthing_sim() -> Iterator[Sim]:
    """Simulated providers for the whole session; `reset()` forgets earlier tests' log."""
    with serving() as sim:
        yield sim
