"""Agents, workflows, query engines and concurrent calls: each answer once, with its tenant."""

import asyncio
import contextvars
import threading

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel

import farthing
from farthing_sim import Sim

# LlamaIndex's own: its agents look at every attribute, its Anthropic asks in an older form.
pytestmark = [
    pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning'),
    pytest.mark.filterwarnings('ignore:The .output_format. parameter:DeprecationWarning'),
]


def look_up(order: int) -> str:
    """Look an order up."""
    return f'order {order} is on its way'


def whose(entries):
    return [(e.attribution.tenant, e.attribution.task) for e in entries]


def counted(entries):
    return sorted((e.usage.input_tokens, e.usage.output_tokens) for e in entries)


@pytest.mark.parametrize('streaming', [True, False])
async def test_an_agent_posts_each_of_its_calls_once(
    llm, sim, installed, posted, billed, streaming
) -> None:
    agent = FunctionAgent(tools=[look_up], llm=llm, streaming=streaming)
    with farthing.attributed(tenant='acme', task='agent'):
        handler = agent.run('Look up order 7.')
    await handler

    entries = posted()
    assert len(entries) >= 2
    assert sorted(billed()) == counted(entries)
    assert {('acme', 'agent')} == set(whose(entries))
    assert {handler.run_id} == {e.parent_run_id for e in entries}
    assert len({e.run_id for e in entries} - {None}) == len(entries)


async def test_tags_say_whose_a_workflow_is_and_no_text_of_the_user_is_kept(
    llm, sim, installed, posted
) -> None:
    class Ask(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=str(await llm.acomplete(event.question)))

    with instrument_tags({'tenant': 'acme', 'task': 'flow', 'session': 's1', 'other': 'x'}):
        await Ask(timeout=30).run(question='a secret question')

    (entry,) = posted()
    assert [('acme', 'flow')] == whose([entry])
    assert entry.attribution.session == 's1'
    assert 'secret' not in repr(entry)


async def test_a_stream_read_after_its_block_is_still_its_own(llm, installed, posted) -> None:
    with instrument_tags({'tenant': 'acme', 'task': 'late'}):
        stream = llm.stream_chat([ChatMessage('hello')])
        astream = await llm.astream_chat([ChatMessage('hello')])
    list(stream)
    [_ async for _ in astream]

    assert [('acme', 'late')] * 2 == whose(posted())


@pytest.mark.parametrize('streaming', [True, False])
async def test_a_query_engine_posts_its_embeddings_and_its_answer(
    llm, embeddings: OpenAIEmbedding, sim: Sim, installed, posted, billed, streaming
) -> None:
    with farthing.attributed(tenant='acme', task='index'):
        index = VectorStoreIndex.from_documents(
            [Document(text='Orders ship in two days.')], embed_model=embeddings
        )
    engine = index.as_query_engine(llm=llm, streaming=streaming)
    with farthing.attributed(tenant='acme', task='query'):
        answer = engine.query('When do orders ship?')
        if streaming:  # LlamaIndex calls the model when the answer is first read
            ''.join(answer.response_gen)
    with farthing.attributed(tenant='acme', task='aquery'):
        answer = await engine.aquery('When do orders ship?')
        if streaming:
            [_ async for _ in answer.async_response_gen()]

    entries = posted()
    assert sorted(billed()) == counted(entries)
    assert [('acme', 'index')] + [('acme', 'query')] * 2 + [('acme', 'aquery')] * 2 == whose(
        entries
    )
    assert ['embeddings', 'embeddings', 'chat', 'embeddings', 'chat'] == [
        e.call_type for e in entries
    ]
    assert {'reported'} == {e.usage_source for e in entries}
    if not streaming:
        assert len({e.parent_run_id for e in entries[1:3]}) == 1


async def test_streams_opened_side_by_side_are_not_mixed_up(llm, installed, posted) -> None:
    streams = {}
    for tenant in ('acme', 'bolt', 'coil'):
        with farthing.attributed(tenant=tenant, task='side'):
            streams[tenant] = llm.stream_chat([ChatMessage(f'hello from {tenant}')])
    for stream in streams.values():
        list(stream)

    assert [('acme', 'side'), ('bolt', 'side'), ('coil', 'side')] == sorted(whose(posted()))
    assert len({e.run_id for e in posted()}) == 3


async def test_like_streams_read_in_any_order_are_posted_once(
    llm, sim, installed, posted, billed
) -> None:
    with farthing.attributed(tenant='acme'):
        streams = [llm.stream_chat([ChatMessage('hello')]) for _ in range(3)]
        late = await llm.astream_chat([ChatMessage('hello')])
    [_ async for _ in late]
    for stream in reversed(streams):
        list(stream)

    assert billed() == counted(posted())
    assert len({e.run_id for e in posted()} - {None}) == 4


async def test_streams_read_in_another_context_are_posted_once_and_to_their_tenant(
    llm, sim, installed, posted, billed
) -> None:
    async def opened(tenant: str):
        with farthing.attributed(tenant=tenant, task='far'):
            return await llm.astream_chat([ChatMessage(f'hello from {tenant}')])

    for stream in await asyncio.gather(opened('acme'), opened('bolt')):
        [_ async for _ in stream]

    assert sorted(billed()) == counted(posted())
    assert [('acme', 'far'), ('bolt', 'far')] == sorted(whose(posted()))


def test_a_stream_read_in_a_bare_thread_is_posted_once(llm, installed, posted, billed) -> None:
    with farthing.attributed(tenant='acme', task='thread'):
        stream = llm.stream_chat([ChatMessage('hello')])
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    thread.join()

    assert billed() == counted(posted())
    assert [('acme', 'thread')] == whose(posted())


async def test_concurrent_calls_keep_their_tenants(llm, installed, posted, billed) -> None:
    async def one(number: int) -> None:
        with farthing.attributed(tenant=f't{number}', task=f'w{number}'):
            await llm.achat([ChatMessage(f'hello {"again " * number}')])

    await asyncio.gather(*map(one, range(16)))
    with farthing.attributed(tenant='all', task='all'):
        await asyncio.gather(*(llm.achat([ChatMessage('same')]) for _ in range(4)))

    entries = posted()
    assert sorted(billed()) == counted(entries)
    expected = [(f't{n}', f'w{n}') for n in range(16)] + [('all', 'all')] * 4
    assert sorted(expected) == sorted(whose(entries))
    assert len({e.run_id for e in entries}) == 20


async def test_structured_output_is_posted_once(llm, installed, posted, billed) -> None:
    class Order(BaseModel):
        """An order."""

        number: int

    structured, prompt = llm.as_structured_llm(Order), PromptTemplate('order {number}')
    with instrument_tags({'tenant': 'acme', 'task': 'structured'}):
        structured.chat([ChatMessage('order 7')])
        await structured.achat([ChatMessage('order 7')])
        llm.structured_predict(Order, prompt, number=7)
        await llm.astructured_predict(Order, prompt, number=7)
        list(llm.stream_structured_predict(Order, prompt, number=7))

    entries = posted()
    assert len(entries) == 5
    assert sorted(billed()) == counted(entries)
    assert [('acme', 'structured')] * 5 == whose(entries)
    assert len({e.run_id for e in entries} - {None}) == 5


def test_a_copied_context_in_a_thread_carries_the_tenant(llm, installed, posted) -> None:
    with farthing.attributed(tenant='acme', task='copied'):
        context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(llm.complete, 'hello'))
    thread.start()
    thread.join()

    assert [('acme', 'copied')] == whose(posted())
