"""LlamaIndex: a simple call of the recorded kind, answered with the recorded bytes."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('llama_index.core')

from llama_index.core.base.llms.types import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index_instrumentation.dispatcher import instrument_tags

import llama_index_farthing

from .recordings import KNOWN_WARNINGS, Exchange, billed_exchanges

KEY = 'sk-recorded'
# Errors of LlamaIndex's own on recorded answers, with the fact behind each.
CRASHES = {
    "AttributeError: 'NoneType' object has no attribute 'output_tokens_details'": (
        'an answer that is made in the background has no usage yet'
    ),
    'ValidationError: 1 validation error for TextBlock': (
        'a block of a kind that it takes for a text: compaction, advisor, MCP'
    ),
}
# Each API's class, and a model that it knows: it refuses to send for one that it does not.
MODELS = {
    'anthropic_messages': (Anthropic, 'claude-sonnet-4-5'),
    'openai_chat': (OpenAI, 'gpt-4o'),
    'openai_responses': (OpenAIResponses, 'gpt-4o'),
}
HELLO = [ChatMessage('Hello')]
pytestmark = KNOWN_WARNINGS


class Route:
    """Models that talk to the provider of recorded bytes."""

    def __init__(self, url: str) -> None:
        self._url = url

    @functools.cache  # noqa: B019 - a route lives as long as its module's tests
    def model(self, api: str, model: str, ttl: str | None, *, background: bool) -> Any:
        where = {'api_base': f'{self._url}/v1', 'api_key': KEY, 'max_retries': 0}
        if api == 'openai_embeddings':
            return OpenAIEmbedding(model_name=model, **where)
        options: dict[str, Any] = {'background': True} if background else {}
        if api == 'anthropic_messages':
            where['base_url'] = where.pop('api_base').removesuffix('/v1')
            options = {'cache_control': {'type': 'ephemeral', 'ttl': ttl}} if ttl else {}
        kind, known = MODELS[api]
        try:
            llm = kind(model=model, additional_kwargs=options, **where)
            llm.metadata  # noqa: B018 - raises for a model that it does not know
        except ValueError:
            llm = kind(model=known, additional_kwargs=options | {'model': model}, **where)
        return llm

    def asked(self, exchange: Exchange) -> Any:
        """The model of a call like the recorded one."""
        ttls = [mark.get('ttl', '5m') for mark in exchange.marks()]
        return self.model(
            exchange.api,
            exchange.model_requested,
            ttls[0] if ttls else None,
            background=bool(exchange.earlier),
        )


@pytest.fixture(scope='module')
def route(ledger, provider) -> Iterator[Route]:
    llama_index_farthing.install(ledger)
    yield Route(provider.url)
    llama_index_farthing.uninstall()


def call(route: Route, exchange: Exchange) -> None:
    model = route.asked(exchange)
    with instrument_tags({'tenant': 'contract', 'task': exchange.name}):
        if exchange.api == 'openai_embeddings':
            model.get_text_embedding_batch(['Hello'] * len(exchange.whole['data']))
        elif exchange.streamed:
            for _ in model.stream_chat(HELLO):
                pass
        else:
            model.chat(HELLO)


async def acall(route: Route, exchange: Exchange) -> None:
    model = route.asked(exchange)
    with instrument_tags({'tenant': 'contract', 'task': exchange.name}):
        if exchange.api == 'openai_embeddings':
            await model.aget_text_embedding_batch(['Hello'] * len(exchange.whole['data']))
        elif exchange.streamed:
            async for _ in await model.astream_chat(HELLO):
                pass
        else:
            await model.achat(HELLO)


@pytest.mark.parametrize('exchange', billed_exchanges())
def test_the_ledger_holds_what_was_billed(route, comparison, exchange) -> None:
    comparison.play('llama_index', exchange)
    with comparison.framework_may_fail(CRASHES):
        call(route, exchange)
    for fetched in exchange.fetched:
        route.asked(exchange)._client.responses.retrieve(fetched)

    comparison.agrees(exchange, in_run=True)


@pytest.mark.parametrize('exchange', billed_exchanges('-async', every=3))
async def test_async_calls_too(route, comparison, exchange) -> None:
    comparison.play('llama_index, async', exchange)
    with comparison.framework_may_fail(CRASHES):
        await acall(route, exchange)
    for fetched in exchange.fetched:
        await route.asked(exchange)._aclient.responses.retrieve(fetched)

    comparison.agrees(exchange, in_run=True)
