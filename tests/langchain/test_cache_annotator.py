"""`CacheAnnotator` in a chain, and `CacheAnnotatorMiddleware` in an agent."""

import copy

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from tests.annotator import KEY, MARK, Marking, marks, plain

from farthing import Ledger
from farthing.meter.shared import meter
from farthing.run.annotator import Annotator
from langchain_farthing import CacheAnnotator, CacheAnnotatorMiddleware, cached

RULES = 'Be kind.'
CALL = {'name': 'look_up', 'args': {'order': 7}, 'id': 'toolu_1'}


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


PROMPT = ChatPromptTemplate([('system', RULES), ('user', 'Where is {it}?')])


async def test_a_chain_marks_its_messages(claude, wire, marking) -> None:
    chain = PROMPT | CacheAnnotator(annotator=marking, model=claude()) | claude()
    answers = [chain.invoke({'it': 'it'}).text, (await chain.ainvoke({'it': 'it'})).text]
    answers.append(''.join(chunk.text for chunk in chain.stream({'it': 'it'})))
    answers.append((PROMPT | claude()).invoke({'it': 'it'}).text)

    *marked, bare = wire.bodies
    for body in marked:
        assert ['/messages/0/content/0', '/system/0'] == sorted(marks(body))
        assert plain(bare) | {'stream': None} == plain(body) | {'stream': None}
    assert 1 == len(set(answers))
    assert {('anthropic', 'anthropic_messages', 'claude-sonnet-4-6')} == set(marking.asked)


TAILS = {
    'a string': (HumanMessage('Where?', name='ann', id='h1'), 0),
    'blocks': (HumanMessage([{'type': 'text', 'text': 'Where'}, {'type': 'text', 'text': '?'}]), 1),
    'strings': (HumanMessage(['Where', '?']), 1),
    'a result': (ToolMessage('on its way', tool_call_id='toolu_1', artifact={'a': 1}), 0),
    'a result of blocks': (
        ToolMessage([{'type': 'text', 'text': 'on its way'}], tool_call_id='toolu_1'), 0
    ),
}  # fmt: skip


@pytest.mark.parametrize('tail', list(TAILS))
def test_marks_stand_in_copies_and_reach_the_wire(tail, claude, wire, marking) -> None:
    last, at = TAILS[tail]
    before = [HumanMessage('Hello.'), AIMessage('', tool_calls=[CALL])]
    if not isinstance(last, ToolMessage):
        before.append(ToolMessage('on its way', tool_call_id='toolu_1'))
    given = [SystemMessage([RULES, 'Be brief.'], id='s1', name='rules'), *before, last]
    kept = copy.deepcopy(given)
    made = CacheAnnotator(annotator=marking).invoke(given)
    claude().bind_tools([look_up]).invoke(made)
    claude().bind_tools([look_up]).invoke(given)

    assert kept == given
    assert made[1:-1] == given[1:-1]
    assert MARK == made[-1].content[at]['cache_control']
    for new, old in zip(made, given, strict=True):
        assert new.text == old.text
        assert {**dict(old), 'content': None} == {**dict(new), 'content': None}
    marked, bare = wire.bodies
    assert '/system/1' in marks(marked)
    assert 2 == len(marks(marked))
    assert plain(bare) == plain(marked)


def test_marks_that_are_there_stay(marking) -> None:
    mark = {'type': 'ephemeral', 'ttl': '1h'}
    given = [
        SystemMessage([{'type': 'text', 'text': RULES, 'cache_control': mark}]),
        HumanMessage('Where?'),
    ]
    system, human = CacheAnnotator(annotator=marking).invoke(given)

    assert system is given[0]
    assert [{'type': 'text', 'text': 'Where?', 'cache_control': MARK}] == human.content


class Automatic:
    """Asks for automatic caching, which stands outside the messages."""

    def annotate(self, payload, *, provider, api, model=None):
        return {**payload, 'cache_control': MARK}


def test_a_mark_of_the_whole_request_is_put_on_its_last_block() -> None:
    given = [HumanMessage('Where?'), AIMessage('', tool_calls=[CALL])]
    human, calling = CacheAnnotator(annotator=Automatic()).invoke(given)

    assert [{'type': 'text', 'text': 'Where?', 'cache_control': MARK}] == human.content
    assert calling is given[1]


@pytest.mark.parametrize('given', ['', [], [HumanMessage('')], [AIMessage('', tool_calls=[CALL])]])
def test_nothing_to_mark_is_no_error(given, marking) -> None:
    for message in CacheAnnotator(annotator=marking).invoke(given):
        assert '' == message.content


def agent(model, *middleware: AgentMiddleware):
    return create_agent(model, [look_up], system_prompt=RULES, middleware=middleware)


ASKED = {'messages': [HumanMessage('Look up order 7.')]}


async def _run(one, how: str) -> list[str]:
    if how == 'invoke':
        given = one.invoke(ASKED)
    elif how == 'ainvoke':
        given = await one.ainvoke(ASKED)
    else:
        given = list(one.stream(ASKED, stream_mode='values'))[-1]
    return [message.text for message in given['messages']]


@pytest.mark.parametrize('how', ['invoke', 'ainvoke', 'stream'])
async def test_an_agents_requests_are_annotated(how, make, wire, marking) -> None:
    expected = await _run(agent(make()), how)
    bare = list(wire.bodies)
    wire.bodies.clear()
    answers = await _run(agent(make(), CacheAnnotatorMiddleware(annotator=marking)), how)
    marked = list(wire.bodies)

    assert expected == answers
    assert 2 == len(marked) == len(bare)
    for body in marked:
        if 'system' in body:
            assert {'/system/0', '/tools/0'} < set(marks(body))
        else:
            assert KEY == body['prompt_cache_key']
    assert plain(bare[0]) == plain(marked[0])


def test_a_cached_model_is_annotated_once(claude, wire, marking) -> None:
    other = Marking()
    model = cached(claude(), annotator=other)
    agent(model, CacheAnnotatorMiddleware(annotator=marking)).invoke(ASKED)

    assert [3, 3] == [len(marks(body)) for body in wire.bodies]
    assert (2, 0) == (len(other.asked), len(marking.asked))


class Swaps(AgentMiddleware):
    """Puts another model, in wrappers, into the request."""

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def wrap_model_call(self, request, handler):
        return handler(request.override(model=self.model))


def test_the_model_that_other_middleware_put_there_is_the_one(claude, gpt, wire, marking) -> None:
    swaps, ours = Swaps(claude()), CacheAnnotatorMiddleware(annotator=marking)
    agent(gpt(), swaps, ours).invoke(ASKED)

    assert [3, 3] == [len(marks(body)) for body in wire.bodies]
    assert {('anthropic', 'anthropic_messages', 'claude-sonnet-4-6')} == set(marking.asked)


def test_a_fallback_to_another_provider_is_clean(claude, gpt, wire, marking) -> None:
    wire.sim.fault(status=500)
    fallback = ModelFallbackMiddleware(gpt())
    marked = {'type': 'text', 'text': RULES, 'cache_control': MARK}
    one = create_agent(
        claude(max_retries=0),
        [look_up],
        system_prompt=SystemMessage([marked]),
        middleware=[fallback, CacheAnnotatorMiddleware(annotator=marking)],
    )
    one.invoke(ASKED)

    first, *rest = wire.bodies
    assert {'/system/0', '/tools/0'} < set(marks(first))
    assert rest
    for body in rest[:1]:
        assert ([], KEY) == (marks(body), body['prompt_cache_key'])


@pytest.mark.parametrize('last', [True, False])
def test_other_middleware_is_kept_company(last, claude, wire, marking) -> None:
    ours, retry = CacheAnnotatorMiddleware(annotator=marking), ModelRetryMiddleware(max_retries=1)
    one = agent(claude(), *([retry, ours] if last else [ours, retry]))
    one.invoke(ASKED)

    assert [3, 3] == [len(marks(body)) for body in wire.bodies]


def test_a_users_own_marks_stay_in_an_agent(claude, wire, marking) -> None:
    mark = {'type': 'ephemeral', 'ttl': '5m'}
    one = create_agent(
        claude(),
        [look_up],
        system_prompt=SystemMessage([{'type': 'text', 'text': RULES, 'cache_control': mark}]),
        middleware=[CacheAnnotatorMiddleware(annotator=marking)],
    )
    one.invoke(ASKED)

    for body in wire.bodies:
        assert mark == body['system'][0]['cache_control']
        assert 4 >= len(marks(body))


def test_a_chain_whose_model_nobody_names_is_marked_all_the_same(claude, wire, tmp_path) -> None:
    rules = ' '.join(f'Rule {n}: parcels of kind {n} are refunded.' for n in range(900))
    prompt = ChatPromptTemplate([('system', rules), ('user', '{question}')])
    now = iter(range(1_800_000_000, 1_900_000_000, 20))
    with Ledger.open(tmp_path / 'farthing.db') as ledger:
        annotator = Annotator(meter(ledger), now=lambda: next(now))
        chain = prompt | CacheAnnotator(annotator=annotator) | claude()
        for question in ('Where?', 'When?', 'How?'):
            chain.invoke({'question': question})

    assert ['/system/0'] == marks(wire.bodies[-1])
