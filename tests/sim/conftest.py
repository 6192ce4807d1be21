import pytest


@pytest.fixture
def sim(farthing_sim):
    """The session's simulated providers, with nothing left of earlier tests."""
    farthing_sim.reset()
    return farthing_sim
