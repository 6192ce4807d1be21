import anthropic
import pytest

from .batched import message
from .prompts import MODEL, told


@pytest.fixture
def sim(farthing_sim):
    """The session's simulated providers, with nothing left of earlier tests."""
    farthing_sim.reset()
    return farthing_sim


@pytest.fixture
def clock(sim):
    """The server's clock, stopped at a round time."""
    sim.clock.set(1_800_000_000)
    return sim.clock


@pytest.fixture
def client(sim, clock):
    """Anthropic's SDK, while the server's clock stands."""
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='any', max_retries=0) as client:
        yield client


@pytest.fixture
def ask(client):
    """Sends messages to Anthropic; returns what the answer says about the cache."""

    def asking(*messages, through=client, **asked):
        asked = {'model': MODEL, 'max_tokens': 20, 'messages': list(messages)} | asked
        return told(through.messages.create(**asked))

    return asking


@pytest.fixture
def batches(client):
    """Anthropic's batches, as its SDK has them."""
    return client.messages.batches


@pytest.fixture
def create(batches):
    """Makes a batch of so many requests at Anthropic."""

    def creating(count):
        return batches.create(requests=[message(i) for i in range(count)])

    return creating
