"""What a caller asks of a chat model passes through a router unchanged: every way, every kind.

Each call has one run, under the name of the model that serves, and is posted once. Where the
decided route fails, the default one answers in the same way.
"""

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from tests.langchain.conftest import MODELS
from tests.langchain.routers import CONFIG, Witness, router

from farthing.io.endpoints import Endpoints
from farthing.io.tap import tap
from langchain_farthing import RouterMiddleware, cached

NAMES = {
    'anthropic': ('claude-haiku-4-5', 'claude-sonnet-4-6'),
    'openai': ('gpt-5-mini', 'gpt-5'),
    'responses': ('gpt-5-mini', 'gpt-5'),
}
ASKED = 'Track my parcel, please.'


class Place(BaseModel):
    """Where a parcel is."""

    city: str
    days: int


@tool
def track(parcel: str) -> str:
    """Track a parcel."""
    return f'parcel {parcel} is on its way'


def whole(pieces: list[Any]) -> Any:
    first, *rest = pieces
    return sum(rest, first) if rest else first


def invoke(model, config):
    return model.invoke(ASKED, config)


def stream(model, config):
    return whole(list(model.stream(ASKED, config)))


def batch(model, config):
    return model.batch([ASKED], config)[0]


def generate(model, config):
    found = model.generate([[HumanMessage(ASKED)]], **config)
    return found.generations[0][0].message


def events_v3(model, config):
    return model.stream_events(ASKED, config, version='v3').output


async def ainvoke(model, config):
    return await model.ainvoke(ASKED, config)


async def astream(model, config):
    return whole([piece async for piece in model.astream(ASKED, config)])


async def abatch(model, config):
    return (await model.abatch([ASKED], config))[0]


async def agenerate(model, config):
    found = await model.agenerate([[HumanMessage(ASKED)]], **config)
    return found.generations[0][0].message


async def events_v2(model, config):
    ends = [
        event['data']['output']
        async for event in model.astream_events(ASKED, config, version='v2')
        if event['event'] in {'on_chat_model_end', 'on_parser_end', 'on_chain_end'}
    ]
    return ends[-1]


async def aevents_v3(model, config):
    async with await model.astream_events(ASKED, config, version='v3') as events:
        return await events.output


PLAIN = (invoke, stream, batch, ainvoke, astream, abatch, events_v2)
BARE = (generate, agenerate)
EVENTS = (events_v3, aevents_v3)


async def called(way, model: Any, config: dict[str, Any]) -> Any:
    answer = way(model, config)
    return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture(params=MODELS)
def leg(request) -> str:
    return request.param


@pytest.fixture(params=['', 'fallback'])
def fails(request, sim) -> bool:
    if request.param:
        sim.fault(status=529)
    return bool(request.param)


@pytest.fixture
def models(sim, leg, ledger, monkeypatch):
    monkeypatch.setattr(tap, 'endpoints', Endpoints())  # others may have listed the simulator

    def make(**options: Any):
        return router(lambda **given: MODELS[leg](sim, **given), NAMES[leg], ledger, **options)

    yield make
    tap.uninstall()


@pytest.fixture
def check(entries, leg, sim):
    def same(witness: Witness, *, fails: bool) -> None:
        light, standard = NAMES[leg]
        served = standard if fails else light
        expected = [light, standard] if fails else [light]
        assert expected == list(witness.started.values())
        assert int(fails) == len(witness.failed)
        assert 1 == len(witness.ended)
        posted = {entry.status: entry for entry in entries()}
        assert len(expected) == len(entries()) == len(posted)
        assert (served, 'acme', str(witness.ended[0])) == (
            posted['ok'].model_requested,
            posted['ok'].attribution.tenant,
            posted['ok'].run_id,
        )
        assert posted['ok'].usage_source == 'reported'

    return same


@pytest.mark.parametrize('way', [*PLAIN, *BARE, *EVENTS])
async def test_answers_in_every_way(way, models, check, fails) -> None:
    witness = Witness()
    answer = await called(way, models(), CONFIG | {'callbacks': [witness]})

    assert answer.text
    check(witness, fails=fails)


@pytest.mark.parametrize('way', [stream, astream, events_v3, aevents_v3])
@pytest.mark.parametrize('fault', [{'drop_after_events': 0}, {'error_after_events': 0}])
async def test_a_stream_that_dies_before_its_first_piece_begins_again(
    way, fault, models, sim, leg, entries
) -> None:
    sim.fault(**fault)
    answer = await called(way, models(), CONFIG)

    assert answer.text
    failed, answered = entries()
    assert NAMES[leg] == (failed.model_requested, answered.model_requested)
    assert failed.status in {'error', 'cancelled'}  # the SDK closes a stream that tells of an error
    assert 'ok' == answered.status


@pytest.mark.parametrize('way', [*PLAIN, *EVENTS])
async def test_tools_in_every_way(way, models, check, fails) -> None:
    witness = Witness()
    answer = await called(way, models().bind_tools([track]), CONFIG | {'callbacks': [witness]})

    assert ['track'] == [call['name'] for call in answer.tool_calls]
    assert {'parcel'} == {*answer.tool_calls[0]['args']}
    check(witness, fails=fails)


@pytest.mark.parametrize(
    'choice',
    [
        'any',
        'required',
        True,
        'track',
        {'type': 'tool', 'name': 'track'},
        {'type': 'function', 'function': {'name': 'track'}},
    ],
)
def test_a_choice_of_tools_is_taken_in_the_words_of_any_provider(choice, models) -> None:
    bound = models().bind_tools([track], tool_choice=choice)

    assert ['track'] == [call['name'] for call in bound.invoke('My parcel!', CONFIG).tool_calls]


def test_no_tool_is_called_where_none_is_wanted(models) -> None:
    assert not models().bind_tools([track], tool_choice='none').invoke(ASKED, CONFIG).tool_calls


# What upstream warns of when ChatOpenAI streams a structured answer.
@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning')
@pytest.mark.parametrize('way', [one for one in PLAIN if one is not events_v2])
@pytest.mark.parametrize('method', ['function_calling', 'json_schema'])
@pytest.mark.parametrize('raw', [False, True])
async def test_structured_output_in_every_way(way, method, raw, models, check, fails) -> None:
    witness = Witness()
    asks = models().with_structured_output(Place, method=method, include_raw=raw)
    found = await called(way, asks, CONFIG | {'callbacks': [witness]})

    assert isinstance(found['parsed'] if raw else found, Place)
    check(witness, fails=fails)


@pytest.mark.parametrize('around', ['model', 'middleware', 'cached'])
@pytest.mark.parametrize('streams', [False, True])
@pytest.mark.parametrize('asynchronous', [False, True])
async def test_agents(around, streams, asynchronous, models, sim, entries, leg, fails) -> None:
    made = models()
    witness = Witness()
    if around == 'middleware':
        agent = create_agent(MODELS[leg](sim), [track], middleware=[RouterMiddleware(made)])
    else:
        agent = create_agent(cached(made) if around == 'cached' else made, [track])
    given = {'messages': [('user', ASKED)]}
    config = CONFIG | {'callbacks': [witness]}
    if streams and asynchronous:
        assert [p async for p in agent.astream(given, config, stream_mode='messages')]
    elif streams:
        assert list(agent.stream(given, config, stream_mode='messages'))
    elif asynchronous:
        await agent.ainvoke(given, config)
    else:
        agent.invoke(given, config)

    light, standard = NAMES[leg]
    served = standard if fails else light
    paid = [entry for entry in entries() if entry.status == 'ok']
    assert [served, served] == [entry.model_requested for entry in paid]
    assert [str(run) for run in witness.ended] == [entry.run_id for entry in paid]
    assert 2 == len([call for call in sim.log() if call['status'] == 200])


@pytest.mark.parametrize('strategy', [ToolStrategy, ProviderStrategy, lambda schema: schema])
def test_agents_with_a_structured_answer(strategy, models, sim, entries, fails) -> None:
    agent = create_agent(models(), [track], response_format=strategy(Place))
    found = agent.invoke({'messages': [('user', ASKED)]}, CONFIG)

    assert isinstance(found['structured_response'], Place)
    ok = [entry for entry in entries() if entry.status == 'ok']
    assert len(ok) == len([call for call in sim.log() if call['status'] == 200])


@pytest.mark.parametrize('way', [invoke, ainvoke])
async def test_retries_of_the_framework_around_a_router(way, models, sim, entries, leg) -> None:
    sim.fault(status=529)
    sim.fault(status=529)
    made = models(fallback=False).bind_tools([track])
    answer = await called(way, made.with_retry(wait_exponential_jitter=False), CONFIG)

    assert answer.tool_calls
    light, _ = NAMES[leg]
    assert [(light, 'error'), (light, 'error'), (light, 'ok')] == [
        (entry.model_requested, entry.status) for entry in entries()
    ]


def test_fallbacks_of_the_framework_around_a_router(models, sim, entries, leg) -> None:
    sim.fault(status=529)
    other = MODELS[leg](sim, model=NAMES[leg][1])
    made = models(fallback=False).with_fallbacks([other]).bind_tools([track])

    assert made.invoke(ASKED, CONFIG).tool_calls
    assert ['error'] == [entry.status for entry in entries()]  # the other one is not recorded
    assert [529, 200] == [call['status'] for call in sim.log()]
