"""The driver of routing, with real requests to the simulated providers."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import anthropic
import pytest
from tests.run.routed import AsyncModels, request, router

from farthing.attribution import Attribution
from farthing.errors import InputError, RoutingError
from farthing.meter.shared import meter
from farthing.routing import Cascade, Choice, Draft, LLMClassifier, Query, Rules
from farthing.routing.cascade import complete
from farthing.run.proof import Unproved
from farthing.run.router import Dispatcher

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
CHOICES = {'light': 'simple requests', 'standard': 'all others'}


def driver(ledger, *policies, **options) -> Dispatcher:
    return Dispatcher(router(*policies), meter(ledger), **{'mode': 'active'} | options)


def test_the_decided_route_serves_and_its_entry_says_why(ledger, models, decisions) -> None:
    served = driver(ledger, LIGHT).call(request(), models)

    assert (['light'], 'light') == (models.called, served.route)
    (one,) = decisions()
    assert ('claude-haiku-4-5', 'light', 'rules', 'rule 1') == (
        one['model'], one['chosen'], one['policy'], one['reason']
    )  # fmt: skip
    assert one['facts']['unproven']
    assert 3 * one['cost'] == one['instead']  # Sonnet has three times Haiku's prices


def test_in_shadow_mode_the_default_route_serves_and_the_wish_is_written_down(
    ledger, models, decisions
) -> None:
    driver(ledger, LIGHT, mode='shadow').call(request(), models)

    (one,) = decisions()
    assert ('claude-sonnet-4-6', 'light', 'standard') == (
        one['model'], one['chosen'], one['facts']['served']
    )  # fmt: skip
    assert one['cost'] == one['instead']


async def test_an_async_call_is_decided_and_recorded_alike(ledger, models, decisions) -> None:
    await driver(ledger, LIGHT).acall(request(), AsyncModels(models))
    driver(ledger, LIGHT).call(request(), models)

    one, other = decisions()
    assert one['facts'].pop('routing_us') >= 0
    assert other['facts'].pop('routing_us') >= 0
    assert one == other


@pytest.mark.parametrize('status', [429, 500, 529])
def test_where_a_route_fails_the_default_answers_and_both_are_billed(
    ledger, models, decisions, sim, status
) -> None:
    sim.fault(status=status)
    served = driver(ledger, LIGHT).call(request(), models)

    assert 'standard' == served.route
    failed, answered = decisions()
    assert ('claude-haiku-4-5', 'error', 0, 'failed') == (
        failed['model'], failed['status'], failed['instead'], failed['facts']['attempt']
    )  # fmt: skip
    assert ('claude-sonnet-4-6', 'light', 'standard') == (
        answered['model'], answered['chosen'], answered['facts']['served']
    )  # fmt: skip
    assert {'light'} == {*answered['facts']['fallback_of']}
    assert answered['reason'].startswith('rule 1; after light: ')


def test_a_default_that_fails_is_never_followed_by_a_weaker_route(ledger, models, sim) -> None:
    sim.fault(status=500)
    sim.fault(status=500)
    with pytest.raises(anthropic.InternalServerError):
        driver(ledger).call(request('Prove it.'), models)

    assert ['standard', 'heavy'] == models.called


def test_the_user_may_name_the_routes_to_fall_back_to_or_none(ledger, models, sim) -> None:
    sim.fault(status=500)
    driver(ledger, fallback=['light']).call(request('Prove it.'), models)
    sim.fault(status=500)
    with pytest.raises(anthropic.InternalServerError):
        driver(ledger, fallback=False).call(request('Prove it.'), models)

    assert ['standard', 'light', 'standard'] == models.called


def test_a_request_that_is_wrong_is_not_sent_to_another_route(ledger, models, sim) -> None:
    sim.fault(status=400)
    with pytest.raises(anthropic.BadRequestError):
        driver(ledger, LIGHT).call(request(), models)

    assert ['light'] == models.called


def test_a_forced_route_serves_alone_in_both_modes(ledger, models, sim) -> None:
    for mode in ('active', 'shadow'):
        driver(ledger, LIGHT, mode=mode).call(request(forced='heavy'), models)
    sim.fault(status=500)
    with pytest.raises(anthropic.InternalServerError):
        driver(ledger, LIGHT).call(request(forced='heavy'), models)

    assert ['heavy'] * 3 == models.called


def test_a_forced_route_that_does_not_exist_is_the_only_error_of_ours(ledger, models) -> None:
    with pytest.raises(RoutingError, match='known: light, standard, heavy'):
        driver(ledger).call(request(forced='huge'), models)


def slow(question) -> str:
    time.sleep(1)
    return 'light'


@pytest.mark.parametrize(
    ('answers', 'status', 'error'),
    [
        (slow, None, 'TimeoutError'),
        (lambda question: 'light or standard, who knows', None, 'RoutingError'),
        (lambda question: 'light', 429, 'RateLimitError'),
    ],
)
@pytest.mark.parametrize('mode', ['active', 'shadow'])
def test_a_classifier_that_fails_means_the_default_route_with_the_reason(
    ledger, models, decisions, sim, answers, status, error, mode
) -> None:
    models.answers = answers
    if status is not None:
        sim.fault(status=status)
    policy = LLMClassifier(choices=CHOICES)
    served = driver(ledger, policy, mode=mode, ask_within_s=0.5).call(request(), models)

    assert 'standard' == served.route
    asked, answered = decisions()
    assert ('claude-haiku-4-5', 'routing', None) == (
        asked['model'], asked['purpose'], asked['policy']
    )  # fmt: skip
    assert ('user', f'llm_classifier: {error}', 'llm_classifier failed') == (
        answered['purpose'], answered['facts']['failed'], answered['reason']
    )  # fmt: skip


async def test_an_async_classifier_that_is_too_slow_is_left(ledger, models, decisions) -> None:
    class Slow(AsyncModels):
        async def answer(self, question) -> str:
            await asyncio.sleep(5)
            return 'light'

    policy = LLMClassifier(choices=CHOICES)
    await driver(ledger, policy, ask_within_s=0.2).acall(request(), Slow(models))

    (answered,) = decisions()
    assert 'llm_classifier: TimeoutError' == answered['facts']['failed']


def test_what_deciding_cost_stands_in_the_record(ledger, models, decisions) -> None:
    driver(ledger, LLMClassifier(choices=CHOICES)).call(request(), models)

    asked, answered = decisions()
    assert (1, asked['cost']) == (
        answered['facts']['routing_calls'], answered['facts']['routing_cost']
    )  # fmt: skip
    assert answered['facts']['routing_us'] > 0


def test_a_classifier_is_asked_once_for_a_turn_of_a_session(ledger, models) -> None:
    made = driver(ledger, LLMClassifier(choices=CHOICES))
    made.call(request(), models).ended(Draft(text='Here.'), 'thread')
    for _ in range(3):
        made.call(request('And my parcel?', thread='thread'), models)

    assert 2 == models.asked


def test_a_draft_that_is_accepted_is_the_answer_and_one_that_is_refused_is_billed_too(
    ledger, models, decisions
) -> None:
    def refuses(query: Query, draft: Draft) -> str | None:
        return None if 'accept' in query.text else 'it says so'

    cascade = Cascade(weak='light', strong='heavy', checks=(refuses,), version='1')
    made = driver(ledger, cascade)
    accepted = made.call(request('accept'), models)
    refused = made.call(request('refuse'), models)

    assert (True, 'light') == (accepted.drafted, accepted.route)
    assert (False, 'heavy') == (refused.drafted, refused.route)
    draft, thrown, strong = decisions()
    assert ('light', 'draft accepted') == (draft['chosen'], draft['reason'])
    assert 'attempt' not in draft['facts']
    assert ('claude-haiku-4-5', 'heavy', 'light', 'draft', 0) == (
        thrown['model'], thrown['chosen'], thrown['facts']['served'], thrown['facts']['attempt'],
        thrown['instead'],
    )  # fmt: skip
    assert ('claude-opus-4-7', 'heavy') == (strong['model'], strong['chosen'])


def test_in_shadow_mode_no_draft_is_made_and_the_weak_route_is_what_is_wanted(
    ledger, models, decisions
) -> None:
    cascade = Cascade(weak='light', strong='heavy', checks=(complete,), version='1')
    driver(ledger, cascade, mode='shadow').call(request(), models)

    assert ['standard'] == models.called
    (one,) = decisions()
    assert ('cascade', 'light', 'standard') == (
        one['policy'], one['chosen'], one['facts']['served']
    )  # fmt: skip


def test_evidence_has_a_route_serve_its_task_in_shadow_mode(ledger, models, decisions) -> None:
    class Proven(Unproved):
        def promoted(self, task: str | None, route: str) -> bool:
            return (task, route) == ('faq', 'light')

    made = driver(ledger, LIGHT, mode='shadow', proof=Proven())
    made.call(request(who=Attribution(task='faq')), models)
    made.call(request(who=Attribution(task='law')), models)

    assert ['light', 'standard'] == models.called
    assert [None, 'standard'] == [one['facts'].get('served') for one in decisions()]


def test_a_pending_tool_call_stays_with_its_route(ledger, models) -> None:
    made = driver(ledger, LIGHT)
    made.call(request(), models).ended(Draft(text=''), 'thread')
    made.call(request('x', thread='thread', pending=True), models)
    elsewhere = driver(ledger, LIGHT)
    elsewhere.call(request('x', thread='t', pending=True, pending_route='heavy'), models)

    assert ['light', 'light', 'heavy'] == models.called


def test_a_warm_cache_is_left_only_where_that_pays(ledger, models, sim, decisions) -> None:
    # Opus holds 60,000 tokens; writing them anew for Haiku is dearer than a turn of Opus.
    made = driver(ledger, LIGHT)
    sim.fault(usage={'cache_creation_input_tokens': 60_000})
    first = made.call(request('x' * 200_000, forced='heavy'), models)
    first.ended(Draft(text='Yes.'), 'thread')
    made.call(replace(request(thread='thread'), chars=200_100), models)

    assert ['heavy', 'heavy'] == models.called
    (_, held) = decisions()
    assert held['reason'].endswith('heavy serves it, for leaving its cache does not pay')
    assert ('light', {'heavy': 60_000}) == (
        held['facts']['wanted'], held['facts']['warm_tokens']
    )  # fmt: skip


def test_after_a_failure_a_conversation_returns_to_the_route_that_it_was_to_have(
    ledger, models, sim
) -> None:
    made = driver(ledger, LIGHT)
    sim.fault(status=529)
    for turn in range(3):
        thread = None if not turn else 'thread'
        asked = replace(request('Tell me more.', thread=thread), chars=100 * (turn + 1))
        made.call(asked, models).ended(Draft(text='Yes.'), 'thread')

    assert ['standard', 'heavy', 'standard', 'standard'] == models.called


def test_a_router_over_a_policy_that_breaks_still_serves(ledger, models, decisions) -> None:
    class Broken:
        name, version = 'broken', '1'

        def choose(self, query: Query) -> Choice | None:
            raise ZeroDivisionError

    driver(ledger, Broken()).call(request(), models)

    (one,) = decisions()
    assert ('standard', 'broken: ZeroDivisionError') == (one['chosen'], one['facts']['failed'])


def test_a_ledger_that_cannot_be_written_does_not_fail_the_call(ledger, models, caplog) -> None:
    made = driver(ledger, LIGHT)
    ledger.post_decision = _broken
    made.call(request(), models)
    made.call(request(), models)

    assert 2 == made.troubles['record']
    assert 1 == caplog.text.count('a routed call could not be followed')


def _broken(decision) -> None:
    raise OSError('no space left')


@pytest.mark.parametrize('options', [{'mode': 'on'}, {'fallback': ['huge']}, {'ask_within_s': 0}])
def test_an_argument_that_cannot_be_taken_is_refused_at_once(ledger, options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        driver(ledger, **options)


def test_feedback_is_an_outcome_of_the_run(ledger, tmp_path) -> None:
    driver(ledger).feedback('run-1', 0.5, source='user')
    with pytest.raises(InputError, match='expected a number'):
        driver(ledger).feedback('run-1', 'good', source='user')
    ledger.flush()

    with sqlite3.connect(tmp_path / 'farthing.db') as db:
        assert [('run-1', '0.5', 'user')] == db.execute(
            'SELECT run_id, score, source FROM outcome'
        ).fetchall()


def test_a_router_of_rules_needs_no_numpy() -> None:
    script = (
        'import sys\n'
        'import farthing.run.routing\n'
        'from farthing.routing import Rules\n'
        'assert "farthing.routing.numeric" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', script], check=True)  # noqa: S603 - this test's own script


@pytest.mark.parametrize('warm', [False, True])
def test_the_default_would_have_cached_what_the_served_route_caches(
    ledger, models, sim, decisions, warm
) -> None:
    made = driver(ledger, LIGHT)
    if warm:
        sim.fault(usage=used(written=10_000))
        made.call(request(), models).ended(Draft(text='Yes.'), 'thread')
    sim.fault(usage=used(read=10_000 if warm else 0, written=2_000))
    asked = replace(request(thread='thread' if warm else None), chars=100)
    made.call(asked, models)

    # Sonnet per million: 0.30 read, 3.75 written for 5 minutes, 15 out; it would have the first
    # answer in its cache as well.
    read, written = (10_010, 1_990) if warm else (0, 2_000)
    cost = 300_000 * read + 3_750_000 * written + 15_000_000 * 10
    assert cost == decisions()[-1]['instead']


def test_the_default_would_have_nothing_of_a_conversation_that_was_never_cached(
    ledger, models, sim, decisions
) -> None:
    made = driver(ledger, LIGHT)
    made.call(request(), models).ended(Draft(text='Yes.'), 'thread')
    sim.fault(usage=used(written=12_000))
    made.call(replace(request(thread='thread'), chars=100), models)

    # Sonnet writes all of it, too: 3.75 per million, and 15 for the answer.
    assert 3_750_000 * 12_000 + 15_000_000 * 10 == decisions()[-1]['instead']


def used(*, read: int = 0, written: int) -> dict[str, int]:
    return {
        'input_tokens': 0,
        'output_tokens': 10,
        'cache_read_input_tokens': read,
        'cache_creation_input_tokens': written,
    }
