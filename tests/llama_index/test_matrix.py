"""Each billed answer is one entry, whichever way LlamaIndex calls the model."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding

import farthing
from farthing.entry import Entry

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_QUESTION = [ChatMessage(role=MessageRole.USER, content='Where is my order?')]


def look_up(order: int) -> str:
    """Look an order up."""
    return f'order {order} is on its way'


async def chat(llm):
    llm.chat(_QUESTION)


async def achat(llm):
    await llm.achat(_QUESTION)


async def stream_chat(llm):
    list(llm.stream_chat(_QUESTION))


async def astream_chat(llm):
    [_ async for _ in await llm.astream_chat(_QUESTION)]


async def complete(llm):
    llm.complete('Where is my order?')


async def acomplete(llm):
    await llm.acomplete('Where is my order?')


async def stream_complete(llm):
    list(llm.stream_complete('Where is my order?'))


async def astream_complete(llm):
    [_ async for _ in await llm.astream_complete('Where is my order?')]


_TOOLS = [FunctionTool.from_defaults(look_up)]


async def tools(llm):
    llm.chat_with_tools(_TOOLS, user_msg='Where is my order 7?')


async def atools(llm):
    await llm.achat_with_tools(_TOOLS, user_msg='Where is my order 7?')


async def stream_tools(llm):
    list(llm.stream_chat_with_tools(_TOOLS, user_msg='Where is my order 7?'))


async def astream_tools(llm):
    stream = await llm.astream_chat_with_tools(_TOOLS, user_msg='Where is my order 7?')
    [_ async for _ in stream]


PLAIN = (chat, achat, stream_chat, astream_chat)
COMPLETIONS = (complete, acomplete, stream_complete, astream_complete)
TOOLS = (tools, atools, stream_tools, astream_tools)


def _bare(entry: Entry) -> Entry:
    """The entry without what differs from call to call."""
    return replace(
        entry, id='x', time=_WHEN, latency_us=None, first_token_us=None, run_id=None,
        parent_run_id=None, endpoint=None,
    )  # fmt: skip


@pytest.mark.parametrize('calls', [PLAIN, COMPLETIONS, TOOLS], ids=['chat', 'complete', 'tools'])
async def test_the_same_call_posts_equal_entries_in_sync_async_and_streaming(
    llm, installed, posted, billed, calls: tuple[Callable[..., Awaitable[None]], ...]
) -> None:
    for call in calls:
        with farthing.attributed(tenant='acme', task=call.__name__):
            await call(llm)

    entries = posted()
    assert billed() == [(e.usage.input_tokens, e.usage.output_tokens) for e in entries]
    assert [call.__name__ for call in calls] == [e.attribution.task for e in entries]
    assert len({e.run_id for e in entries} - {None}) == len(calls)
    same = replace(entries[0].attribution, task=None)
    assert len({repr(_bare(replace(e, attribution=same))) for e in entries}) == 1
    assert {('acme', 'reported', 'ok')} == {
        (e.attribution.tenant, e.usage_source, e.status) for e in entries
    }
    assert installed.spend.calls == len(calls)
    assert installed.spend.lost == 0


async def test_each_embedding_request_is_posted_once(
    embeddings: OpenAIEmbedding, sim, installed, posted, billed
) -> None:
    with farthing.attributed(tenant='acme', task='index'):
        embeddings.get_text_embedding('one')
        await embeddings.aget_text_embedding('one')
        embeddings.get_query_embedding('one')
        embeddings.get_text_embedding_batch(['a', 'b', 'c'])  # two batches
        await embeddings.aget_text_embedding_batch(['a', 'b', 'c'])

    entries = posted()
    assert len(sim.log()) == len(entries) == 7
    assert sorted(billed()) == sorted((e.usage.input_tokens, 0) for e in entries)
    assert {('acme', 'index', 'embeddings', 'reported')} == {
        (e.attribution.tenant, e.attribution.task, e.call_type, e.usage_source) for e in entries
    }
    assert len({e.run_id for e in entries} - {None}) == 7
