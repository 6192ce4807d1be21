"""LangChain: a simple call of the recorded kind, answered with the recorded bytes."""

import functools
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip('langchain_core')

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from farthing import attributed
from langchain_farthing import LedgerCallbackHandler, LedgerEmbeddings

from .recordings import KNOWN_WARNINGS, Exchange, billed_exchanges

KEY = 'sk-recorded'
# Errors of LangChain's own on recorded answers, with the fact behind each.
CRASHES = {
    "AttributeError: 'dict' object has no attribute 'model_dump'": (
        'a stream with context management that was asked for without its beta header'
    ),
}
pytestmark = KNOWN_WARNINGS


class Route:
    """Models that talk to the provider of recorded bytes, with the ledger's handler."""

    def __init__(self, ledger, url: str) -> None:
        self._ledger = ledger
        self._url = url
        self._handler = LedgerCallbackHandler(ledger)

    def config(self, exchange: Exchange) -> dict[str, Any]:
        who = {'tenant': 'contract', 'task': exchange.name}
        return {'callbacks': [self._handler], 'metadata': who}

    @functools.cache  # noqa: B019 - a route lives as long as its module's tests
    def model(self, api: str, model: str, *, beta: bool) -> Any:
        where = {'base_url': self._url, 'api_key': KEY, 'max_retries': 0, 'model': model}
        if api == 'anthropic_messages':
            return ChatAnthropic(max_tokens=64, betas=['recorded'] if beta else None, **where)
        where['base_url'] += '/v1'
        if api == 'openai_embeddings':
            # The check of lengths would fetch a tokenizer.
            embeddings = OpenAIEmbeddings(check_embedding_ctx_length=False, **where)
            return LedgerEmbeddings(embeddings, self._ledger)
        return ChatOpenAI(use_responses_api=api == 'openai_responses', **where)

    def asked(self, exchange: Exchange) -> tuple[Any, list[Any], dict[str, Any]]:
        """The model, its input and the options of a call like the recorded one."""
        model = self.model(exchange.api, exchange.model_requested, beta=exchange.beta)
        marks = [{'cache_control': mark} for mark in exchange.marks()] or [{}]
        content = [{'type': 'text', 'text': 'Hello', **mark} for mark in marks]
        return model, [('user', content)], {'background': True} if exchange.earlier else {}


@pytest.fixture(scope='module')
def route(ledger, provider) -> Route:
    return Route(ledger, provider.url)


def texts(exchange: Exchange) -> list[str]:
    """As many texts as were embedded."""
    return ['Hello'] * len(exchange.whole['data'])


def call(route: Route, exchange: Exchange) -> None:
    model, messages, options = route.asked(exchange)
    if exchange.api == 'openai_embeddings':
        with attributed(tenant='contract', task=exchange.name):
            model.embed_documents(texts(exchange))
    elif exchange.streamed:
        for _ in model.stream(messages, config=route.config(exchange), **options):
            pass
    else:
        model.invoke(messages, config=route.config(exchange), **options)
    for fetched in exchange.fetched:
        model.root_client.responses.retrieve(fetched)


async def acall(route: Route, exchange: Exchange) -> None:
    model, messages, options = route.asked(exchange)
    if exchange.api == 'openai_embeddings':
        with attributed(tenant='contract', task=exchange.name):
            await model.aembed_documents(texts(exchange))
    elif exchange.streamed:
        async for _ in model.astream(messages, config=route.config(exchange), **options):
            pass
    else:
        await model.ainvoke(messages, config=route.config(exchange), **options)
    for fetched in exchange.fetched:
        await model.root_async_client.responses.retrieve(fetched)


@pytest.mark.parametrize('exchange', billed_exchanges())
def test_the_ledger_holds_what_was_billed(route, comparison, exchange) -> None:
    comparison.play('langchain', exchange)
    call(route, exchange)

    comparison.agrees(exchange, in_run=True)


@pytest.mark.parametrize('exchange', billed_exchanges('-async', every=3))
async def test_async_calls_too(route, comparison, exchange) -> None:
    comparison.play('langchain, async', exchange)
    await acall(route, exchange)

    comparison.agrees(exchange, in_run=True)


@pytest.mark.parametrize('exchange', billed_exchanges('-plain', beta=True))
def test_beta_answers_to_plain_calls_too(route, comparison, exchange) -> None:
    comparison.play('langchain, beta answers to plain calls', exchange)
    with comparison.framework_may_fail(CRASHES):
        call(route, replace(exchange, target='/v1/messages'))

    comparison.agrees(exchange, in_run=True)
