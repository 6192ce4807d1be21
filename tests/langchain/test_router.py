"""A router's calls: decided, served, posted once under the model that served, with the reason."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import ValidationError
from tests.annotator import Marking
from tests.langchain.conftest import anthropic, openai, responses
from tests.langchain.routers import CONFIG, LIGHT

from farthing.errors import InputError, RoutingError
from farthing.io.tap import tap
from farthing.routing.cascade import complete
from langchain_farthing import (
    Cascade,
    Embedding,
    LedgerCallbackHandler,
    LLMClassifier,
    RouterChatModel,
    Rules,
    TaskTable,
    Trained,
    cached,
    recording,
)

ASKED = 'Where is my parcel?'


@pytest.fixture
def routed(ledger, claude, gpt) -> Iterator[Callable[..., RouterChatModel]]:
    def make(**options: Any) -> RouterChatModel:
        routes = {
            'light': claude(model='claude-haiku-4-5', max_retries=0),
            'standard': claude(max_retries=0),
            'heavy': gpt(model='gpt-5', max_retries=0),
        }
        given = {'routes': routes, 'policy': LIGHT, 'default': 'standard', 'mode': 'active'}
        return RouterChatModel(**given | {'ledger': ledger} | options)

    yield make
    tap.uninstall()


@pytest.fixture
def decisions(ledger, tmp_path):
    """The routing decisions with their entries, oldest first."""

    def read() -> list[dict[str, Any]]:
        ledger.flush()
        with sqlite3.connect(tmp_path / 'farthing.db') as db:
            rows = db.execute(
                'SELECT m.value, s.value, d.policy, d.chosen, d.reason, d.counterfactual_cost,'
                ' d.facts'
                ' FROM decision d JOIN entry e ON e.id = d.entry_id'
                ' JOIN dim m ON m.id = e.model_requested JOIN dim s ON s.id = e.status'
                " WHERE d.lever = 'routing' ORDER BY e.seq"
            ).fetchall()
        names = ('model', 'status', 'policy', 'chosen', 'reason', 'instead')
        return [
            dict(zip(names, row, strict=False)) | {'facts': orjson.loads(row[-1])} for row in rows
        ]

    return read


def test_a_call_is_served_by_the_decided_route_and_posted_once(
    routed, entries, decisions, ledger
) -> None:
    answer = routed().invoke(ASKED, CONFIG)

    (entry,) = entries()
    assert ('claude-haiku-4-5', 'acme', 'support') == (
        entry.model_requested, entry.attribution.tenant, entry.attribution.task
    )  # fmt: skip
    assert 'light' == answer.response_metadata['farthing_route']
    assert entry.run_id == answer.response_metadata['farthing_run_id']
    (row,) = ledger.report(by=['route', 'policy']).rows
    assert ('light', 'rules', 1) == (row.keys['route'], row.keys['policy'], row.calls)


def test_a_users_own_handler_makes_no_second_entry(routed, ledger, entries) -> None:
    handler = LedgerCallbackHandler(ledger)
    routed().invoke(ASKED, CONFIG | {'callbacks': [handler]})

    assert 1 == len(entries()) == handler.spend.calls


def test_the_issues_own_example_works(routed, ledger, claude, tmp_path) -> None:
    rules = tmp_path / 'rules.yaml'
    rules.write_text('- {route: light, keywords: [parcel]}')
    model = routed(
        policy=[
            Rules.from_yaml(rules),
            TaskTable.from_ledger(ledger),
            LLMClassifier(model=claude(model='claude-haiku-4-5')),
        ],
        mode='shadow',
        grader=lambda graded: 1,
        shadow_share=0.05,
        shadow_budget_usd=5,
    )

    assert 'standard' == model.invoke(ASKED).response_metadata['farthing_route']


def test_a_sample_is_graded_behind_the_scenes_and_feedback_is_an_outcome(
    routed, ledger, entries
) -> None:
    model = routed(
        mode='shadow', grader=lambda graded: 0.5, shadow_share=1, shadow_budget_usd='0.50'
    )
    answer = model.invoke(ASKED, CONFIG)
    model.wait()

    (pair,) = ledger.pairs()
    assert ('support', 'light', 0.5, 0.5) == (
        pair.task, pair.weak, pair.weak_score, pair.strong_score
    )  # fmt: skip
    assert pair.run_id == answer.response_metadata['farthing_run_id']
    served, shadow = entries()
    assert ('user', 'shadow') == (served.attribution.purpose, shadow.attribution.purpose)
    assert 'acme' == shadow.attribution.tenant
    for run in (answer, answer.id, pair.run_id):
        model.feedback(run, 1)
    with pytest.raises(RoutingError, match='does not tell its run'):
        model.feedback(AIMessage('of somebody else'), 1)


def test_a_replay_of_a_recorded_call_goes_to_no_ledger_that_nobody_named(
    routed, ledger, tmp_path, monkeypatch
) -> None:
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path / 'empty')
    model = routed(mode='shadow', grader=lambda graded: 1, shadow_share=1)
    with recording(ledger, tenant='acme'):
        (RunnableLambda(lambda text: text) | model).invoke(ASKED)
    model.wait()

    assert 2 == ledger.report(by=['tenant'], where={'tenant': 'acme'}).total.calls
    assert [] == list((tmp_path / 'empty').iterdir())


async def test_streams_and_async_calls_are_in_the_sample_too(routed, ledger) -> None:
    model = routed(mode='shadow', grader=lambda graded: 1, shadow_share=1)
    list(model.stream(ASKED))
    assert [piece async for piece in model.astream(ASKED)]
    await model.ainvoke(ASKED)
    assert model.stream_events(ASKED, version='v3').output
    model.wait()

    assert 4 == len(list(ledger.pairs()))


@pytest.mark.parametrize('fault', [{'delay_s': 3}, {}, {'status': 429}])
async def test_a_classifier_that_is_late_or_talks_or_refuses_means_the_default(
    routed, sim, claude, decisions, entries, fault
) -> None:
    policy = LLMClassifier(model=claude(model='claude-haiku-4-5', max_retries=0))
    model = routed(policy=policy, ask_within_s=0.5 if 'delay_s' in fault else 5)
    sim.fault(**fault)
    assert 'standard' == model.invoke(ASKED).response_metadata['farthing_route']
    sim.fault(**fault)
    assert 'standard' == (await model.ainvoke(ASKED)).response_metadata['farthing_route']

    kinds = {'delay_s': 'TimeoutError', 'status': 'AnthropicRateLimitError'}
    kind = kinds[next(iter(fault))] if fault else 'RoutingError'
    assert [f'llm_classifier: {kind}'] * 2 == [one['facts']['failed'] for one in decisions()]
    assert {'routing', 'user'} >= {entry.attribution.purpose for entry in entries()}


def test_the_default_would_have_served_in_the_same_tier_and_from_the_same_memory(
    routed, gpt, sim, decisions
) -> None:
    routes = {
        'light': gpt(model='gpt-5-mini', service_tier='flex', cache=InMemoryCache()),
        'standard': gpt(model='gpt-5', service_tier='flex'),
    }
    model = routed(routes=routes)
    sim.fault(usage={'prompt_tokens': 1_000, 'completion_tokens': 100, 'total_tokens': 1_100})
    for _ in range(2):
        model.invoke(ASKED)

    # GPT-5 in the tier flex: USD 0.625 per million in, 5 out; what LangChain remembers is free.
    assert [('ok', 625_000 * 1_000 + 5_000_000 * 100), ('cache_hit', 0)] == [
        (one['status'], one['instead']) for one in decisions()
    ]


def test_a_routed_call_of_a_batch_says_why_and_what_the_default_would_have_cost_there(
    routed, claude, runner, sim, decisions
) -> None:
    model = routed(routes={'light': claude(model='claude-haiku-4-5'), 'standard': claude()})
    used = {'input_tokens': 1_000, 'output_tokens': 100}
    sim.fault(on='anthropic_batches.create', usage=used)
    runner().run(model, [ASKED])

    (made,) = decisions()
    # Sonnet in a batch: USD 1.50 per million in, 7.50 out.
    assert ('rules', 'light', 1_500_000 * 1_000 + 7_500_000 * 100) == (
        made['policy'], made['chosen'], made['instead']
    )  # fmt: skip


def test_a_classifier_of_a_batch_has_the_time_that_a_batch_takes(
    routed, claude, runner, entries, decisions
) -> None:
    model = routed(policy=LLMClassifier(model=claude(model='claude-haiku-4-5')), ask_within_s=0.001)
    runner().run(model, [ASKED])

    # It was heard: the simulated answer names no route, and no time was up.
    assert ['llm_classifier: RoutingError'] == [one['facts']['failed'] for one in decisions()]
    assert [('routing', 'batch'), ('user', 'batch')] == [
        (entry.attribution.purpose, entry.mode) for entry in entries()
    ]


def test_a_classifiers_call_is_posted_as_routing_for_the_same_people(
    routed, claude, entries
) -> None:
    model = routed(policy=LLMClassifier(model=claude(model='claude-haiku-4-5')))
    model.invoke(ASKED, CONFIG)

    asked, answered = entries()
    assert ('routing', 'acme', 'support') == (
        asked.attribution.purpose, asked.attribution.tenant, asked.attribution.task
    )  # fmt: skip
    assert 'user' == answered.attribution.purpose


@pytest.mark.parametrize('content', ['no JSON', '{"format": "farthing-router", "version": 99}'])
def test_a_trained_router_that_cannot_be_read_means_the_default_with_the_reason(
    routed, decisions, tmp_path, caplog, content
) -> None:
    (tmp_path / 'router.json').write_text(content)
    model = routed(policy=Trained.load(tmp_path / 'router.json'))
    answer = model.invoke(ASKED)

    assert 'standard' == answer.response_metadata['farthing_route']
    (one,) = decisions()
    assert ('trained: ArtefactError', 'trained failed') == (one['facts']['failed'], one['reason'])
    assert "the policy 'trained' cannot be used" in caplog.text


async def streamed(model) -> list[Any]:
    return list(model.stream(ASKED))


async def astreamed(model) -> list[Any]:
    return [piece async for piece in model.astream(ASKED)]


async def whole(model) -> list[Any]:
    return [model.invoke(ASKED)]


@pytest.mark.parametrize(
    ('way', 'events'), [(whole, 0), (streamed, 0), (streamed, 1), (astreamed, 1)]
)
async def test_a_stream_that_dies_before_it_says_anything_is_begun_again_elsewhere(
    routed, sim, decisions, way, events
) -> None:
    sim.fault(drop_after_events=events)
    pieces = await way(routed())

    assert 'standard' == pieces[0].response_metadata['farthing_route']
    failed, answered = decisions()
    assert ('claude-haiku-4-5', 'failed') == (failed['model'], failed['facts']['attempt'])
    assert {'light'} == {*answered['facts']['fallback_of']}


def test_a_stream_that_dies_later_raises_what_it_died_of(routed, sim, decisions) -> None:
    sim.fault(drop_after_events=5)
    pieces = routed().stream('Tell me all about my parcel.')
    assert next(pieces)
    with pytest.raises(Exception, match=r'.'):
        list(pieces)

    (one,) = decisions()
    assert ('error', 'failed') == (one['status'], one['facts']['attempt'])


async def test_a_stream_that_is_left_is_billed_and_decided(routed, entries, decisions) -> None:
    stream = routed().stream(ASKED)
    next(stream)
    stream.close()
    other = routed().astream(ASKED)
    await anext(other)
    await other.aclose()

    assert ['cancelled', 'cancelled'] == [entry.status for entry in entries()]
    assert ['light', 'light'] == [one['chosen'] for one in decisions()]


def test_a_forced_route_by_configuration_by_name_or_by_its_model(routed) -> None:
    model = routed()
    config = {'configurable': {'route': 'heavy'}}
    answers = [
        model.invoke(ASKED, config), model.invoke(ASKED, model='heavy'),
        model.invoke(ASKED, model='gpt-5'),
    ]  # fmt: skip

    assert ['heavy'] * 3 == [one.response_metadata['farthing_route'] for one in answers]
    with pytest.raises(RoutingError, match='known: light, standard, heavy'):
        model.invoke(ASKED, model='gpt-9')


def test_options_and_marks_of_one_provider_do_not_reach_another(routed, wire) -> None:
    routes = {
        'light': openai(wire.sim, model='gpt-5-mini'),
        'standard': anthropic(wire.sim),
    }
    model = routed(routes=routes)
    marked = {'type': 'text', 'text': ASKED, 'cache_control': {'type': 'ephemeral'}}
    given = {'cache_control': {'type': 'ephemeral'}, 'prompt_cache_key': 'k'}
    for route in routes:
        model.invoke([HumanMessage([marked])], model=route, **given)

    to_openai, to_anthropic = wire.bodies
    assert 'cache_control' not in orjson.dumps(to_openai).decode()
    assert 'k' == to_openai['prompt_cache_key']
    assert 'prompt_cache_key' not in to_anthropic
    assert 'cache_control' in to_anthropic['messages'][0]['content'][0]


def test_an_answer_of_one_provider_goes_on_at_another(routed, wire) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return 'on its way'

    routes = {
        'light': responses(
            wire.sim, model='o4-mini',
            reasoning={'effort': 'low', 'summary': 'auto'},
        ),
        'standard': anthropic(
            wire.sim, max_tokens=2_048,
            thinking={'type': 'enabled', 'budget_tokens': 1_024},
        ),
    }  # fmt: skip
    model = routed(routes=routes).bind_tools([track])
    for first, second in (('light', 'standard'), ('standard', 'light')):
        said = [HumanMessage('Track my parcel, please.')]
        answer = model.invoke(said, model=first)
        (call,) = answer.tool_calls
        said += [answer, ToolMessage('on its way', tool_call_id=call['id'])]
        assert model.invoke(said, model=second).text


def test_a_tool_call_stays_with_its_route_also_in_another_process(routed) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return 'on its way'

    said = [HumanMessage('Track my parcel, please.')]
    asked = routed(policy=()).bind_tools([track]).invoke(said, model='heavy')
    said += [asked, ToolMessage('on its way', tool_call_id=asked.tool_calls[0]['id'])]
    answer = routed().bind_tools([track]).invoke(said)

    assert 'heavy' == answer.response_metadata['farthing_route']


def test_a_conversation_is_known_by_its_session_or_by_what_was_said(routed, decisions) -> None:
    model = routed()
    for config in ({'metadata': {'session': 's'}}, {}):
        said = [SystemMessage('Be kind.'), HumanMessage(ASKED)]
        said.append(model.invoke(said, config))
        said.append(HumanMessage('And when will my parcel be here?'))
        model.invoke(said, config)

    known = ['prefix_tokens' in one['facts'] for one in decisions()]
    assert [False, True, False, True] == known


def test_a_picture_goes_to_a_route_that_sees(routed, claude) -> None:
    picture = {'type': 'image', 'url': 'https://example.com/parcel.png'}
    said = [HumanMessage([{'type': 'text', 'text': ASKED}, picture])]
    blind = {'light': {'abilities': frozenset({'tools'})}}

    answer = routed(facts=blind).invoke(said)
    assert 'standard' == answer.response_metadata['farthing_route']


def test_a_tenant_may_be_kept_from_a_route(routed) -> None:
    model = routed(facts={'light': {'not_tenants': frozenset({'acme'})}})

    assert 'standard' == model.invoke(ASKED, CONFIG).response_metadata['farthing_route']
    assert 'light' == model.invoke(ASKED).response_metadata['farthing_route']


def test_the_profile_is_what_all_routes_share(routed, claude, gpt) -> None:
    light, heavy = claude(model='claude-haiku-4-5'), gpt(model='gpt-5')
    profile = routed(routes={'light': light, 'heavy': heavy}, default='heavy').profile

    both = (light.profile, heavy.profile)
    assert profile['max_input_tokens'] == min(one['max_input_tokens'] for one in both)
    assert profile['tool_calling'] is True
    assert 'name' not in profile


@pytest.mark.parametrize('stream', [False, True])
def test_a_model_that_the_tap_cannot_see_is_a_route_like_any_other(
    routed, claude, entries, decisions, stream
) -> None:
    local = FakeListChatModel(responses=['It is on its way.'])
    model = routed(routes={'light': local, 'standard': claude()})
    answer, *_ = model.stream(ASKED) if stream else [model.invoke(ASKED)]

    assert 'light' == answer.response_metadata['farthing_route']
    (one,) = decisions()
    assert ('light', 'ok') == (one['chosen'], one['status'])
    assert 1 == len(entries())


def test_tools_that_a_route_cannot_be_told_of_are_the_defaults(routed, claude, gpt) -> None:
    routes = {'light': claude(), 'standard': gpt(model='gpt-5', use_responses_api=True)}
    model = routed(routes=routes).bind_tools(
        [{'type': 'code_interpreter', 'container': {'type': 'auto'}}]
    )

    assert 'standard' == model.invoke(ASKED).response_metadata['farthing_route']
    with pytest.raises(RoutingError, match="route 'light' does not take these tools"):
        model.invoke(ASKED, model='light')


def test_a_model_without_tools_gets_no_call_with_tools(routed, claude) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return 'on its way'

    model = routed(routes={'light': FakeListChatModel(responses=['no']), 'standard': claude()})
    answer = model.bind_tools([track]).invoke(ASKED)

    assert 'standard' == answer.response_metadata['farthing_route']


def test_cached_routes_and_a_cached_router_mark_the_routes_requests(
    routed, wire, claude, ledger
) -> None:
    def route(model: str) -> Any:
        return claude(model=model, base_url=wire.sim.anthropic_url)

    routes = {'light': route('claude-haiku-4-5'), 'standard': route('claude-sonnet-4-6')}
    inside = routed(routes={name: cached(one, annotator=Marking()) for name, one in routes.items()})
    around = cached(routed(routes=routes), annotator=Marking())
    inside.invoke(ASKED)
    around.invoke(ASKED)

    assert all('cache_control' in orjson.dumps(body).decode() for body in wire.bodies)
    assert 2 == len(wire.bodies)


def test_a_cascade_is_held_back_in_a_stream_and_not_made_for_events(
    routed, entries, decisions
) -> None:
    cascade = Cascade(weak='light', strong='heavy', checks=(complete,))
    model = routed(policy=cascade)
    (piece,) = model.stream(ASKED)
    assert 'light' == piece.response_metadata['farthing_route']
    assert piece.text
    assert model.stream_events(ASKED, version='v3').output.text

    accepted, events = decisions()
    assert 'draft accepted' == accepted['reason']
    assert ('claude-sonnet-4-6', 'cascade: RoutingError') == (
        events['model'], events['facts']['failed']
    )  # fmt: skip


@pytest.mark.parametrize('disabled', [False, True])
async def test_a_whole_answer_is_one_piece_of_a_stream_with_its_tool_calls(
    routed, entries, disabled
) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return 'on its way'

    policy = LIGHT if disabled else Cascade(weak='light', strong='heavy', checks=(complete,))
    model = routed(policy=policy, disable_streaming=disabled).bind_tools([track])
    asked = 'Track my parcel, please.'
    pieces = [*model.stream(asked), *[piece async for piece in model.astream(asked)]]

    assert [['track'], ['track']] == [[c['name'] for c in one.tool_calls] for one in pieces]
    assert ['light', 'light'] == [one.response_metadata['farthing_route'] for one in pieces]
    assert all(one.usage_metadata for one in pieces)
    assert 2 == len(entries())


def test_routes_by_example(routed) -> None:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[float('parcel' in text), float('parcel' not in text)] for text in texts]

    examples = {'light': ['the parcel'], 'standard': ['a proof']}
    model = routed(policy=Embedding(examples, embed))

    assert 'light' == model.invoke(ASKED).response_metadata['farthing_route']


def test_what_an_unrecorded_embedding_costs_is_unknown_and_not_zero(routed, decisions) -> None:
    examples = {'light': ['the parcel'], 'standard': ['a proof']}
    policy = Embedding(examples, lambda texts: [[1.0, float(len(one))] for one in texts])
    routed(policy=policy).invoke(ASKED)

    assert 'routing_cost' not in decisions()[-1]['facts']


def test_the_callers_run_is_the_calls_run(routed, entries) -> None:
    run = uuid4()
    routed().invoke(ASKED, {'run_id': run})

    assert str(run) == entries()[0].run_id


@pytest.mark.parametrize(
    ('options', 'error', 'match'),
    [
        ({'routes': {}}, InputError, '`routes` is empty'),
        ({'routes': {'light': 'gpt'}}, InputError, "route 'light' is str"),
        ({'default': 'huge'}, RoutingError, "`default` is 'huge': expected one of"),
        ({'policy': 'rules'}, InputError, '`policy` has'),
        ({'fallback': ['huge']}, InputError, '`fallback` names'),
        ({'facts': {'huge': {}}}, InputError, '`facts` names'),
        ({'facts': {'light': {'hue': 1}}}, InputError, "`facts` of route 'light'"),
        ({'shadow_shar': 1}, ValidationError, 'shadow_shar'),
    ],
)
def test_an_argument_that_cannot_be_taken_is_refused_in_one_line(
    routed, options, error, match
) -> None:
    with pytest.raises(error, match=match):
        routed(**options)
