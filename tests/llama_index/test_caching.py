"""LLMs that are `cached`: what reaches the wire, and what stays as it was."""

import copy

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, TextBlock
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel
from tests.annotator import KEY, Marking, marks, plain

from farthing.run.annotates import unannotated
from llama_index_farthing import cached

# LlamaIndex's own: its agents look at every attribute, its Anthropic asks in an older form.
pytestmark = [
    pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning'),
    pytest.mark.filterwarnings('ignore:The .output_format. parameter:DeprecationWarning'),
]

SAID = [ChatMessage(role='system', content='Be kind.'), ChatMessage('Where is my order 7?')]
POINT = CachePoint(cache_control=CacheControl(type='ephemeral', ttl='5m'))


class Order(BaseModel):
    """An order."""

    number: int


def look_up(order: int) -> str:
    """Look an order up."""
    return f'order {order} is on its way'


TOOLS = [FunctionTool.from_defaults(look_up)]
PROMPT = PromptTemplate('order {number}')


@pytest.fixture
def sim(wire):
    return wire.sim


@pytest.fixture
def marking() -> Marking:
    return Marking()


def annotated(body) -> bool:
    """Whether a body is annotated as the marking annotator does it."""
    if 'max_tokens' in body:
        system = ['/system/0'] if body.get('system') else []
        tools = ['/tools/0'] if body.get('tools') else []
        tail = len(body['messages']) - 1
        return [f'/messages/{tail}/content/0', *system, *tools] == sorted(marks(body))
    return body.get('prompt_cache_key') == KEY and not marks(body)


async def chat(llm):
    return llm.chat(SAID).message.content


async def achat(llm):
    return (await llm.achat(SAID)).message.content


async def stream_chat(llm):
    return ''.join(piece.delta for piece in llm.stream_chat(SAID))


async def astream_chat(llm):
    return ''.join([piece.delta async for piece in await llm.astream_chat(SAID)])


async def complete(llm):
    return str(llm.complete('Where?'))


async def acomplete(llm):
    return str(await llm.acomplete('Where?'))


async def stream_complete(llm):
    return ''.join(piece.delta for piece in llm.stream_complete('Where?'))


async def astream_complete(llm):
    return ''.join([piece.delta async for piece in await llm.astream_complete('Where?')])


async def tools(llm):
    answer = llm.chat_with_tools(TOOLS, user_msg='Look up order 7.', chat_history=SAID[:1])
    return [call.tool_kwargs for call in llm.get_tool_calls_from_response(answer)]


async def atools(llm):
    answer = await llm.achat_with_tools(TOOLS, user_msg='Look up order 7.')
    return [call.tool_kwargs for call in llm.get_tool_calls_from_response(answer)]


async def structured(llm):
    return llm.structured_predict(Order, PROMPT, number=7)


async def astructured(llm):
    return await llm.astructured_predict(Order, PROMPT, number=7)


async def stream_structured(llm):
    return list(llm.stream_structured_predict(Order, PROMPT, number=7))[-1].model_dump()


async def as_structured(llm):
    return llm.as_structured_llm(Order).chat(SAID).raw


CALLS = [
    chat, achat, stream_chat, astream_chat, complete, acomplete, stream_complete, astream_complete,
    tools, atools, structured, astructured, stream_structured, as_structured,
]  # fmt: skip


@pytest.mark.parametrize('call', CALLS)
async def test_marks_arrive_and_nothing_else_changes(call, llm, wire, marking) -> None:
    expected = await call(llm)
    answer = await call(cached(llm, annotator=marking))

    bare, sent = wire.bodies
    assert annotated(sent)
    assert not annotated(bare)
    assert plain(bare) == plain(sent)
    assert expected == answer


@pytest.mark.parametrize('call', [chat, achat, stream_chat, astream_chat])
async def test_a_client_that_is_not_reused_annotates_too(call, openai, wire, marking) -> None:
    llm = cached(openai(reuse_client=False), annotator=marking)
    await call(llm)
    await call(llm)

    assert [True, True] == [annotated(body) for body in wire.bodies]


@pytest.mark.parametrize('streaming', [True, False])
async def test_an_agents_requests_are_annotated(streaming, llm, wire, marking) -> None:
    async def asked(model) -> str:
        agent = FunctionAgent(tools=TOOLS, llm=model, system_prompt='Be kind.', streaming=streaming)
        return str(await agent.run('Look up order 7.'))

    expected = await asked(llm)
    bare = len(wire.bodies)
    answer = await asked(cached(llm, annotator=marking))

    assert expected == answer
    assert bare == len(wire.bodies[bare:]) >= 2
    for body in wire.bodies[bare:]:
        if 'max_tokens' in body:
            assert {'/system/0', '/tools/0'} < set(marks(body))
            assert 3 == len(marks(body))
        else:
            assert annotated(body)


async def test_a_workflows_requests_are_annotated(llm, wire, marking) -> None:
    model = cached(llm, annotator=marking)

    class Ask(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=str(await model.acomplete(event.question)))

    await Ask(timeout=30).run(question='Where?')

    assert [True] == [annotated(body) for body in wire.bodies]


def test_the_llm_that_is_given_stays_as_it_was(llm, wire, marking) -> None:
    clients = llm._client, llm._aclient
    copied = cached(llm, annotator=marking)
    copied.chat(SAID)
    llm.chat(SAID)

    assert isinstance(copied, type(llm))
    assert type(copied) is not type(llm)
    assert clients[1] is llm._aclient
    assert clients[0] in {None, llm._client}
    assert [True, False] == [annotated(body) for body in wire.bodies]
    assert llm.to_dict() == copied.to_dict()
    assert llm.metadata == copied.metadata
    assert cached(copied, annotator=Marking()) is copied


def test_cache_points_stay_for_anthropic(anthropic, wire, marking) -> None:
    said = [*SAID[:1], ChatMessage(blocks=[TextBlock(text='one'), POINT, TextBlock(text='two')])]
    cached(anthropic(), annotator=marking).chat(said)

    (body,) = wire.bodies
    first, second = body['messages'][0]['content']
    assert {'type': 'ephemeral', 'ttl': '5m'} == first['cache_control']
    assert {'type': 'ephemeral'} == second['cache_control']
    assert '/system/0' in marks(body)


@pytest.mark.parametrize('call', ['chat', 'stream', 'structured', 'agent'])
@pytest.mark.parametrize('kind', ['openai', 'responses'])
async def test_cache_points_are_left_out_for_openai(
    call, kind, openai, responses, wire, marking
) -> None:
    llm = cached({'openai': openai, 'responses': responses}[kind](), annotator=marking)
    said = [*SAID[:1], ChatMessage(blocks=[TextBlock(text='order 7'), POINT])]
    before = copy.deepcopy(said)
    if call == 'chat':
        llm.chat(said)
        await llm.achat(said)
    elif call == 'stream':
        list(llm.stream_chat(said))
        [_ async for _ in await llm.astream_chat(said)]
    elif call == 'structured':
        llm.as_structured_llm(Order).chat(said)
        await llm.as_structured_llm(Order).achat(said)
    else:
        await FunctionAgent(tools=TOOLS, llm=llm).run('Look up order 7.', chat_history=said)

    assert wire.bodies
    assert all(annotated(body) for body in wire.bodies)
    assert before == said


def test_a_cache_index_marks_nothing_of_the_callers(anthropic, wire, marking) -> None:
    said = [ChatMessage(role=role, content='Hello.') for role in ('user', 'assistant', 'user')]
    said.insert(0, SAID[0])
    before = copy.deepcopy(said)
    llm = cached(anthropic('claude-opus-5', cache_idx=2), annotator=marking)
    llm.chat(said)
    list(llm.stream_chat(said))

    assert before == said
    for body in wire.bodies:
        assert {'/messages/0/content/0', '/messages/1/content/0'} < set(marks(body))
        assert 4 == len(marks(body))


class Adding:
    """Adds a field that no method of the SDK takes."""

    def annotate(self, payload, *, provider, api, model=None):
        return {**payload, 'diagnostics': {'previous_message_id': None}}


async def test_a_field_that_the_sdk_does_not_know_arrives(anthropic, wire) -> None:
    llm = anthropic(additional_kwargs={'extra_body': {'inference_geo': 'us'}})
    await chat(cached(llm, annotator=Adding()))
    await astream_chat(cached(llm, annotator=Adding()))

    for body in wire.bodies:
        assert ('us', {'previous_message_id': None}) == (body['inference_geo'], body['diagnostics'])


class Leaving:
    """Finds that nothing pays."""

    def annotate(self, payload, *, provider, api, model=None):
        return payload


def test_where_nothing_pays_the_request_is_the_very_same(llm, wire) -> None:
    llm.chat(SAID)
    cached(llm, annotator=Leaving()).chat(SAID)

    first, second = wire.bodies
    assert first == second


def test_a_retry_of_the_sdk_sends_the_same_bytes_again(anthropic, wire, marking) -> None:
    wire.sim.fault(status=529)
    cached(anthropic(max_retries=1), annotator=marking).chat(SAID)

    first, second = wire.bodies
    assert first == second
    assert [('anthropic', 'anthropic_messages', 'claude-sonnet-4-6')] == marking.asked


def test_a_model_that_cannot_be_annotated_is_counted_and_warned_about_once(caplog, marking) -> None:
    llm = MockLLM()
    name = f'{MockLLM.__module__}.MockLLM'
    before = unannotated.counts[name]

    assert cached(llm, annotator=marking) is llm
    assert cached(llm, annotator=marking) is llm
    assert before + 2 == unannotated.counts[name]
    assert 1 >= caplog.text.count('MockLLM')


def test_bedrock_is_known_by_its_client(marking) -> None:
    llm = Anthropic(
        model='anthropic.claude-sonnet-4-6',
        aws_region='us-east-1',
        aws_access_key_id='any',
        aws_secret_access_key='any',
    )
    copied = cached(llm, annotator=marking)

    assert type(copied._client).__name__ == type(llm._client).__name__
    assert isinstance(copied._client, type(llm._client))


@pytest.mark.parametrize(
    ('base', 'package'), [(OpenAI, 'openai_like'), (MockLLM, 'bedrock_converse')]
)
def test_other_integrations_are_left_alone(base, package, marking) -> None:
    """Their servers may refuse the fields of OpenAI, or they stand on another SDK."""
    kind = type('Other', (base,), {'__module__': f'llama_index.llms.{package}.base'})
    llm = kind(**({'api_key': 'any'} if base is OpenAI else {}))

    assert cached(llm, annotator=marking) is llm


@pytest.mark.parametrize('call', [
    chat, achat, stream_chat, astream_chat, complete, tools, structured, astructured,
])  # fmt: skip
async def test_each_call_is_posted_once_as_without(
    call, llm, wire, installed, posted, marking
) -> None:
    await call(llm)
    await call(cached(llm, annotator=marking))

    bare, entry = posted()
    assert bare.model == entry.model
    assert (bare.usage, bare.status, bare.usage_source, bare.parent_run_id is None) == (
        entry.usage, entry.status, entry.usage_source, entry.parent_run_id is None
    )  # fmt: skip
