"""Real LlamaIndex models against the simulated providers, posting to a real ledger."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses

import llama_index_farthing
from farthing.entry import Entry
from farthing.ledger import Ledger
from farthing_sim import Sim
from llama_index_farthing import Installed

Model = Anthropic | OpenAI | OpenAIResponses
Read = Callable[[], list[Entry]]


@pytest.fixture
def sim(farthing_sim: Sim) -> Sim:
    farthing_sim.reset()
    return farthing_sim


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / 'ledger.db') as one:
        yield one


@pytest.fixture
def installed(ledger: Ledger, sim: Sim) -> Iterator[Installed]:
    handle = llama_index_farthing.install(ledger, endpoints=[sim.anthropic_url, sim.openai_url])
    yield handle
    handle.sweep()
    handle.uninstall()


@pytest.fixture
def posted(ledger: Ledger) -> Read:
    """The ledger's entries, oldest first."""
    return lambda: sorted((one.entry for one in ledger.entries()), key=lambda one: one.time)


@pytest.fixture
def billed(sim: Sim) -> Callable[[], list[tuple[int, int]]]:
    """Input and output tokens of each answer that the simulated providers billed."""
    return lambda: [_tokens(one['usage']) for one in sim.log() if one['usage']]


def _tokens(usage: dict[str, Any]) -> tuple[int, int]:
    if 'prompt_tokens' in usage:
        return usage['prompt_tokens'], usage.get('completion_tokens', 0)
    cached = ('cache_read_input_tokens', 'cache_creation_input_tokens')
    disjoint = sum(usage.get(name) or 0 for name in cached)
    return usage['input_tokens'] + disjoint, usage['output_tokens']


@pytest.fixture
async def made() -> AsyncIterator[list[Any]]:
    """Models whose clients are closed with the test; LlamaIndex leaves them to the collector."""
    models: list[Any] = []
    yield models
    for model in models:
        if model._client is not None:
            model._client.close()
        if model._aclient is not None:
            await model._aclient.close()


@pytest.fixture
def anthropic(sim: Sim, made: list[Any]) -> Callable[..., Anthropic]:
    def make(model: str = 'claude-sonnet-4-6', **options: Any) -> Anthropic:
        made.append(Anthropic(model=model, base_url=sim.url, api_key='any', **options))
        return made[-1]

    return make


@pytest.fixture
def openai(sim: Sim, made: list[Any]) -> Callable[..., OpenAI]:
    def make(model: str = 'gpt-5-mini', **options: Any) -> OpenAI:
        # OpenAI reports a stream's usage on request only; LlamaIndex does not request it.
        asked = {'stream_options': {'include_usage': True}}
        options = {'additional_kwargs': asked, **options}
        made.append(OpenAI(model=model, api_base=sim.openai_url, api_key='any', **options))
        return made[-1]

    return make


@pytest.fixture
def responses(sim: Sim, made: list[Any]) -> Callable[..., OpenAIResponses]:
    def make(model: str = 'gpt-5-mini', **options: Any) -> OpenAIResponses:
        made.append(OpenAIResponses(model=model, api_base=sim.openai_url, api_key='any', **options))
        return made[-1]

    return make


@pytest.fixture(params=['anthropic', 'openai', 'responses'])
def llm(request: pytest.FixtureRequest) -> Model:
    return request.getfixturevalue(request.param)()


@pytest.fixture
def embeddings(sim: Sim, made: list[Any]) -> OpenAIEmbedding:
    made.append(
        OpenAIEmbedding(
            model='text-embedding-3-small',
            api_base=sim.openai_url,
            api_key='any',
            embed_batch_size=2,
        )
    )
    return made[-1]
