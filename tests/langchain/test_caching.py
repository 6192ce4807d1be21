"""Models that are `cached`: what reaches the wire, what wraps them, and what stays as it was."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain.chat_models import init_chat_model
from langchain_aws.chat_models.anthropic import ChatAnthropicBedrock
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatResult
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI
from pydantic import BaseModel
from tests.annotator import KEY, MARK, Marking, marks, plain

from farthing.run.annotates import unannotated
from langchain_farthing import cached

SAID = [SystemMessage('Be kind.'), HumanMessage('Where is my order 7?')]
SYSTEM, TOOL, TAIL = '/system/0', '/tools/0', '/messages/0/content/0'


class Order(BaseModel):
    """An order."""

    number: int


@tool
def look_up(order: int) -> str:
    """Look an order up."""
    return f'order {order} is on its way'


@pytest.fixture
def sim(wire):
    return wire.sim


@pytest.fixture
def marking() -> Marking:
    return Marking()


def annotated(body: dict[str, Any]) -> bool:
    """Whether a body is annotated as the marking annotator does it."""
    if 'system' in body:
        tools = [TOOL] if 'tools' in body else []
        return [TAIL, SYSTEM, *tools] == sorted(marks(body))
    return body.get('prompt_cache_key') == KEY and not marks(body)


async def invoke(model):
    return model.invoke(SAID)


async def ainvoke(model):
    return await model.ainvoke(SAID)


async def stream(model):
    first, *rest = model.stream(SAID)
    return sum(rest, first)


async def astream(model):
    first, *rest = [chunk async for chunk in model.astream(SAID)]
    return sum(rest, first)


async def batch(model):
    return model.batch([SAID])[0]


async def abatch(model):
    return (await model.abatch([SAID]))[0]


async def generate(model):
    return model.generate([SAID]).generations[0][0].message


CALLS = [invoke, ainvoke, stream, astream, batch, abatch, generate]


@pytest.mark.parametrize('call', CALLS)
async def test_marks_arrive_and_nothing_else_changes(call, make, wire, marking) -> None:
    bare, model = make(), make()
    expected = await call(bare)
    answer = await call(cached(model, annotator=marking))

    sent_bare, sent = wire.bodies
    assert annotated(sent)
    assert not annotated(sent_bare)
    assert plain(sent_bare) == plain(sent)
    assert said(expected) == said(answer)


def said(message: BaseMessage) -> tuple[Any, ...]:
    """An answer without what names it: ids of the message, of calls and of blocks."""
    content = message.content
    if not isinstance(content, str):
        content = [{**block, 'id': None} for block in content]
    calls = [(call['name'], call['args']) for call in getattr(message, 'tool_calls', ())]
    return content, calls, message.usage_metadata


class Router(BaseChatModel):
    """A router, as users write one: a chat model that holds others."""

    routes: dict[str, BaseChatModel]

    @property
    def _llm_type(self) -> str:
        return 'router'

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        return self.routes['easy']._generate(messages, stop, run_manager, **options)


class Hides(Router):
    """One that keeps its model where Pydantic does not look."""

    routes: dict[str, BaseChatModel] = {}  # noqa: RUF012 - Pydantic copies it
    _model: BaseChatModel

    def __init__(self, model: BaseChatModel) -> None:
        super().__init__()
        self._model = model

    def _generate(self, *given: Any, **options: Any) -> ChatResult:
        return self._model._generate(*given, **options)


# Everything that LangChain wraps around a model.
WRAPS: dict[str, Callable[[Any], Any]] = {
    'tools': lambda m: m.bind_tools([look_up]),
    'bound': lambda m: m.bind(stop=['END']),
    'config': lambda m: m.with_config(tags=['a']),
    'structured by a tool': lambda m: m.with_structured_output(Order, method='function_calling'),
    'structured by a schema': lambda m: m.with_structured_output(Order, method='json_schema'),
    'structured, raw': lambda m: m.with_structured_output(Order, include_raw=True),
    'retry': lambda m: m.with_retry(),
    'fallbacks': lambda m: m.with_fallbacks([m]),
    'sequence': lambda m: RunnableLambda(lambda given: given) | m,
    'parallel': lambda m: {'answer': m} | RunnableLambda(lambda given: given['answer']),
    'listeners': lambda m: m.with_listeners(on_start=lambda run: None),
    'fields': lambda m: m.configurable_fields(max_tokens=ConfigurableField('most')).with_config(
        configurable={'most': 100}
    ),
    'alternatives': lambda m: m.configurable_alternatives(
        ConfigurableField('which'), default_key='one', two=m
    ).with_config(configurable={'which': 'two'}),
    'router': lambda m: Router(routes={'easy': m}),
    'hidden router': Hides,
    'all at once': lambda m: m.bind_tools([look_up]).with_retry().with_fallbacks([m]),
}


@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning')
@pytest.mark.parametrize('wrap', WRAPS.values(), ids=list(WRAPS))
async def test_what_wraps_a_model_is_copied_around_the_annotated_one(
    wrap, make, wire, marking
) -> None:
    bare = wrap(make())
    model = cached(bare, annotator=marking)
    model.invoke(SAID)
    await model.ainvoke(SAID)
    bare.invoke(SAID)

    assert [True, True, False] == [annotated(body) for body in wire.bodies]
    assert type(bare) is type(model)
    assert cached(model, annotator=marking) is model


@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning')
@pytest.mark.parametrize('wrap', WRAPS.values(), ids=list(WRAPS))
def test_a_cached_model_is_wrapped_like_any_other(wrap, make, wire, marking) -> None:
    wrap(cached(make(), annotator=marking)).invoke(SAID)

    assert [True] == [annotated(body) for body in wire.bodies]


def test_each_leg_of_a_fallback_is_annotated_for_its_own_provider(
    claude, gpt, wire, marking
) -> None:
    said = [SystemMessage([{'type': 'text', 'text': 'Be kind.', 'cache_control': MARK}]), *SAID[1:]]
    wire.sim.fault(status=500)
    model = claude(max_retries=0).bind_tools([look_up]).with_fallbacks([gpt()])
    cached(model, annotator=marking).invoke(said)

    first, second = wire.bodies
    assert [TAIL, SYSTEM, TOOL] == sorted(marks(first))
    assert 'prompt_cache_key' not in first
    assert [] == marks(second)
    assert second['prompt_cache_key'] == KEY
    assert [('anthropic', 'anthropic_messages'), ('openai', 'openai_chat')] == [
        asked[:2] for asked in marking.asked
    ]


@pytest.mark.parametrize('operate', [
    lambda m: m,
    lambda m: m.bind_tools([look_up]),
    lambda m: m.with_structured_output(Order),
    lambda m: m.with_config(tags=['a']).bind_tools([look_up]),
])  # fmt: skip
@pytest.mark.parametrize('first', [True, False])
def test_a_configurable_model_is_annotated_when_it_is_made(
    first, operate, sim, wire, marking
) -> None:
    bare = init_chat_model(
        'anthropic:claude-sonnet-4-6',
        configurable_fields=('model', 'max_tokens'),
        base_url=sim.anthropic_url,
        api_key='any',
    )
    if first:
        model = operate(cached(bare, annotator=marking))
    else:
        model = cached(operate(bare), annotator=marking)
    model.invoke(SAID, {'configurable': {'model': 'claude-haiku-4-5'}})
    operate(bare).invoke(SAID)

    assert [True, False] == [annotated(body) for body in wire.bodies]
    assert 'claude-haiku-4-5' == wire.bodies[0]['model']


def test_azure_is_known_by_its_model_and_else_by_its_deployment(sim, wire, marking) -> None:
    desk = {'azure_endpoint': sim.url, 'azure_deployment': 'desk', 'api_version': '2025-01-01'}
    cached(AzureChatOpenAI(**desk, model='gpt-4o', api_key='any'), annotator=marking).invoke(SAID)
    cached(AzureChatOpenAI(**desk, api_key='any'), annotator=marking)._get_request_payload(SAID)

    assert KEY == wire.bodies[0]['prompt_cache_key']
    assert [('azure', 'openai_chat', 'gpt-4o'), ('azure', 'openai_chat', 'desk')] == marking.asked


def test_bedrock_is_told_apart_from_anthropic(marking) -> None:
    model = ChatAnthropicBedrock(model='us.anthropic.claude-sonnet-4-6', region_name='us-east-1')
    body = cached(model, annotator=marking)._get_request_payload(SAID)

    assert [TAIL, SYSTEM] == sorted(marks(body))
    assert [('aws-bedrock', 'anthropic_messages', model.model)] == marking.asked


class Elsewhere(GenericFakeChatModel):
    """A model of a known type that makes its requests elsewhere."""

    @property
    def _llm_type(self) -> str:
        return 'openai-chat'


def test_a_model_of_a_known_type_that_makes_requests_elsewhere_is_left_alone(marking) -> None:
    model = Elsewhere(messages=iter([]))

    assert cached(model, annotator=marking) is model


def test_the_model_that_is_given_stays_as_it_was(make, wire, marking) -> None:
    model = make()
    before = copy.copy(model.__dict__)
    copied = cached(model, annotator=marking)
    copied.invoke(SAID)

    assert type(model) is not type(copied)
    assert before == model.__dict__
    assert cached(copied, annotator=Marking()) is copied


def test_a_cached_model_is_what_it_was_to_langchain(make, marking) -> None:
    model = make()
    copied = cached(model, annotator=marking)

    assert isinstance(copied, type(model))
    for told in ('_llm_type', 'lc_secrets', 'profile', 'lc_attributes', '_identifying_params'):
        assert getattr(model, told) == getattr(copied, told)
    assert model.lc_id() == copied.lc_id()
    assert dumps(model) == dumps(copied)
    assert model.get_name() == copied.get_name()
    assert model._get_ls_params() == copied._get_ls_params()


def test_a_model_that_pickles_still_does(claude, wire, marking) -> None:
    model = pickle.loads(pickle.dumps(cached(claude(), annotator=marking)))  # noqa: S301 - ours
    model.invoke(SAID)

    assert annotated(wire.bodies[0])
    assert cached(model, annotator=marking) is model


def test_a_model_that_cannot_be_annotated_is_counted_and_warned_about_once(caplog, marking) -> None:
    model = GenericFakeChatModel(messages=iter([]))
    name = f'{GenericFakeChatModel.__module__}.GenericFakeChatModel'
    before = unannotated.counts[name]

    assert cached(model, annotator=marking) is model
    chain = RunnableLambda(lambda given: given) | model
    assert cached(chain, annotator=marking) is chain
    assert cached(model, annotator=marking) is model
    assert before + 2 == unannotated.counts[name]
    assert 1 >= caplog.text.count('GenericFakeChatModel')


def test_a_system_message_that_ends_in_a_string_keeps_its_text(claude, wire, marking) -> None:
    said = SystemMessage(['one', {'type': 'text', 'text': 'two'}, 'three'], name='rules', id='s1')
    cached(claude(), annotator=marking).invoke([said, *SAID[1:]])

    (body,) = wire.bodies
    assert ['one', 'two', 'three'] == [block['text'] for block in body['system']]
    assert '/system/2' in marks(body)
    assert ['one', {'type': 'text', 'text': 'two'}, 'three'] == said.content


def test_tools_that_are_dicts_are_marked_and_stay_as_they_were(claude, wire, marking) -> None:
    given = {'name': 'find', 'description': 'Find.', 'input_schema': {'type': 'object'}}
    cached(claude().bind_tools([look_up, given]), annotator=marking).invoke(SAID)

    assert [TAIL, SYSTEM, '/tools/1'] == sorted(marks(wire.bodies[0]))
    assert {'name', 'description', 'input_schema'} == given.keys()


def test_a_users_own_marks_stay_and_four_is_the_most(claude, wire, marking) -> None:
    text = {'type': 'text', 'text': 'Where is my order 7?'}
    marked = {**text, 'cache_control': {'type': 'ephemeral', 'ttl': '5m'}}
    said = [SystemMessage([marked, text]), HumanMessage([marked, marked, text])]
    before = copy.deepcopy(said)
    cached(claude().bind_tools([look_up]), annotator=marking).invoke(said)

    (body,) = wire.bodies
    assert 4 == len(marks(body))
    assert [marked, marked] == [body['messages'][0]['content'][at] for at in (0, 1)]
    assert before == said


def test_an_agents_turns_are_not_changed_by_their_marks(claude, wire, marking) -> None:
    call = {'name': 'look_up', 'args': {'order': 7}, 'id': 'toolu_1'}
    said = [
        *SAID,
        AIMessage('I look.', tool_calls=[call]),
        ToolMessage('here', tool_call_id='toolu_1'),
    ]
    before = copy.deepcopy(said)
    cached(claude().bind_tools([look_up]), annotator=marking).invoke(said)
    claude().bind_tools([look_up]).invoke(said)

    marked, bare = wire.bodies
    assert '/messages/2/content/0' in marks(marked)
    assert plain(bare) == plain(marked)
    assert before == said


class Adding:
    """Adds a field that no method of the SDK takes, and takes one away."""

    def annotate(self, payload, *, provider, api, model=None):
        kept = {name: value for name, value in payload.items() if name != 'top_k'}
        return {**kept, 'diagnostics': {'previous_message_id': None}}


async def test_a_field_that_the_sdk_does_not_know_arrives(claude, wire) -> None:
    model = cached(
        claude(model_kwargs={'extra_body': {'service_tier': 'auto'}}, top_k=3, temperature=0.5),
        annotator=Adding(),
    )
    model.invoke(SAID)
    await model.ainvoke(SAID, betas=['a-beta-2026-01-01'])

    for body in wire.bodies:
        assert {'previous_message_id': None} == body['diagnostics']
        assert ('auto', 0.5) == (body['service_tier'], body['temperature'])
        assert {'extra_body', 'betas', 'top_k'}.isdisjoint(body)


class Leaving:
    """Finds that nothing pays."""

    def annotate(self, payload, *, provider, api, model=None):
        return payload


def test_where_nothing_pays_the_request_is_the_very_same(make, wire) -> None:
    make().invoke(SAID)
    cached(make(), annotator=Leaving()).invoke(SAID)

    first, second = wire.bodies
    assert first == second


@pytest.mark.parametrize('call', CALLS)
async def test_each_call_is_posted_once_under_its_model(
    call, make, wire, handler, entries, marking
) -> None:
    await call(cached(make(callbacks=[handler]), annotator=marking))

    (entry,) = entries()
    assert (wire.sim.log()[0]['model'], 'ok', 'reported') == (
        entry.model, entry.status, entry.usage_source
    )  # fmt: skip


def test_recording_alone_needs_no_langchain_agents() -> None:
    code = (
        'import sys, langchain_farthing\n'
        "assert not {'langchain', 'langchain_farthing.caching'} & sys.modules.keys()\n"
        'from langchain_farthing import *\n'
        "assert 'langchain' in sys.modules\n"
    )
    subprocess.run([sys.executable, '-c', code], check=True)  # noqa: S603 - ours
