"""A ledger of its own for each test, and models that talk to the simulated providers."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from langchain_farthing import BatchRunner, LedgerCallbackHandler

KEY = 'sk-simulated'


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f'sqlite:///{tmp_path}/farthing.db') as opened:
        yield opened


@pytest.fixture
def handler(ledger: Ledger) -> Iterator[LedgerCallbackHandler]:
    yield LedgerCallbackHandler(ledger)
    tap.uninstall()


@pytest.fixture(scope='session')
def server() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as sim:
        yield sim


@pytest.fixture
def sim(server: farthing_sim.Sim) -> farthing_sim.Sim:
    server.reset()
    return server


def anthropic(sim: farthing_sim.Sim, **options) -> ChatAnthropic:
    defaults = {
        'base_url': sim.anthropic_url,
        'model': 'claude-sonnet-4-6',
        'max_tokens': 200,
        'max_retries': 2,
    }
    return ChatAnthropic(api_key=KEY, **defaults | options)


def openai(sim: farthing_sim.Sim, **options) -> ChatOpenAI:
    options = {'model': 'gpt-5-mini', 'max_retries': 2, 'stream_usage': True} | options
    return ChatOpenAI(base_url=sim.openai_url, api_key=KEY, **options)


def responses(sim: farthing_sim.Sim, **options) -> ChatOpenAI:
    return openai(sim, use_responses_api=True, **options)


MODELS = {'anthropic': anthropic, 'openai': openai, 'responses': responses}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest, sim):
    return partial(MODELS[request.param], sim)


@pytest.fixture
def claude(sim):
    return partial(anthropic, sim)


@pytest.fixture
def gpt(sim):
    return partial(openai, sim)


@pytest.fixture
def model(make):
    return make()


@pytest.fixture
def entries(ledger: Ledger):
    """What the ledger holds now, oldest first."""
    return lambda: [booked.entry for booked in ledger.entries()][::-1]


@pytest.fixture
def runner(ledger):
    def make(name='job', **options):
        quick = {'ledger': ledger, 'poll': 0.02, 'idle': 0.05}
        return BatchRunner(name, **quick | options)

    return make
