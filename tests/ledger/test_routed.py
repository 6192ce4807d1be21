"""Shadow calls and their grades in a real ledger, and what they prove."""

from datetime import timedelta
from decimal import Decimal

import pytest

from farthing import Decision, Ledger, Outcome
from farthing.ledger.routed import shadow
from farthing.ledger.values import Routed
from farthing.routing import Evidence, Query, TaskTable

from .samples import START, correction, entry

MODELS = ('claude-haiku-4-5', 'claude-opus-4-7')


def grade(ledger: Ledger, run: str, score: str, *, source: str = 'exact', minute: int = 0) -> None:
    at = START + timedelta(minutes=minute)
    ledger.post_outcome(Outcome(run_id=run, score=Decimal(score), source=source, time=at))


def post_pair(ledger: Ledger, number: int, *, ran: str = 'light', **changes) -> None:
    """A call `run-N` and its shadow `shadow-N`, as a driver posts them."""
    ledger.post(entry(2 * number, run_id=f'run-{number}', **changes))
    shadowed = entry(2 * number + 1, run_id=f'shadow-{number}', **changes)
    ledger.post(shadowed)
    ledger.post_decision(
        shadow(
            entry_id=shadowed.id,
            time=shadowed.time,
            shadow_of=f'run-{number}',
            ran=ran,
            weak='light',
            strong='heavy',
            default='heavy',
            models=MODELS,
            version='1',
        )
    )


def test_a_pair_has_both_scores_by_the_same_grader(ledger: Ledger) -> None:
    post_pair(ledger, 1)
    grade(ledger, 'run-1', '0.9')
    grade(ledger, 'shadow-1', '0.7')
    grade(ledger, 'run-1', '0.1', source='feedback')

    [found] = ledger.pairs()

    assert ('triage', 'light', 'heavy', 'light', MODELS) == (
        found.task,
        found.weak,
        found.strong,
        found.route,
        found.models,
    )
    assert (0.7, 0.9) == (found.weak_score, found.strong_score)
    assert pytest.approx(0.2) == found.gap
    assert (START + timedelta(minutes=3), 'run-1') == (found.time, found.run_id)


def test_after_promotion_the_default_runs_in_the_shadow(ledger: Ledger) -> None:
    post_pair(ledger, 1, ran='heavy')
    grade(ledger, 'run-1', '0')
    grade(ledger, 'shadow-1', '1')

    [found] = ledger.pairs()

    assert (0.0, 1.0) == (found.weak_score, found.strong_score)


def test_graders_that_differ_make_no_pair(ledger: Ledger) -> None:
    post_pair(ledger, 1)
    grade(ledger, 'run-1', '1', source='feedback')
    grade(ledger, 'shadow-1', '1', source='exact')

    [found] = ledger.pairs()

    assert (None, None, None) == (found.weak_score, found.strong_score, found.gap)


def test_the_latest_score_of_a_grader_counts_and_graders_are_averaged(ledger: Ledger) -> None:
    post_pair(ledger, 1)
    for run, scores in (('run-1', ('1', '0.5')), ('shadow-1', ('0', '0.25'))):
        grade(ledger, run, '0.75', source='exact', minute=1)
        grade(ledger, run, scores[0], source='exact', minute=2)
        grade(ledger, run, scores[1], source='judge', minute=0)

    [found] = ledger.pairs()

    assert (0.125, 0.75) == (found.weak_score, found.strong_score)


def test_a_shadow_call_that_failed_is_no_pair_and_a_repeated_post_is_one(ledger: Ledger) -> None:
    post_pair(ledger, 1, status='error')
    post_pair(ledger, 2)
    post_pair(ledger, 2)

    assert ['run-2'] == [one.run_id for one in ledger.pairs()]


def test_the_ledgers_pairs_promote_a_task_and_fill_a_task_table(ledger: Ledger) -> None:
    for number in range(250):
        post_pair(ledger, number, task='triage')
        post_pair(ledger, 1_000 + number, task='proof')
        for run, score in ((f'run-{number}', '1'), (f'shadow-{number}', '1')):
            grade(ledger, run, score)
        for run, score in ((f'run-{1_000 + number}', '1'), (f'shadow-{1_000 + number}', '0.5')):
            grade(ledger, run, score)

    evidence = Evidence.of(ledger.pairs(), default='heavy')
    table = TaskTable.from_ledger(ledger, weak='light', strong='heavy')

    assert evidence.promoted('triage', 'light')
    assert not evidence.promoted('proof', 'light')
    assert ['light', 'heavy'] == [
        table.choose(Query(text='x', task=task)).route for task in ('triage', 'proof')
    ]


def test_an_empty_ledger_proves_nothing_and_has_no_opinion(ledger: Ledger) -> None:
    assert () == Evidence.of(ledger.pairs()).verdicts
    table = TaskTable.from_ledger(ledger, weak='light', strong='heavy')
    assert table.choose(Query(text='x', task='triage')) is None


def post_call(ledger: Ledger, number: int, chosen: str, **facts) -> None:
    """A call `run-N` that a policy routed, without a shadow."""
    call = entry(2 * number, run_id=f'run-{number}')
    ledger.post(call)
    ledger.post_decision(
        Decision(
            entry_id=call.id,
            time=call.time,
            lever='routing',
            policy='rules',
            version='1',
            chosen=chosen,
            reason='rule 1',
            facts=facts,
        )
    )


def by_route(ledger: Ledger) -> dict[tuple[str | None, ...], Routed | None]:
    rows = ledger.report(by='route,policy').rows
    return {tuple(row.keys.values()): row.routed for row in rows}


def test_a_report_by_route_tells_misroutes_where_both_answers_are_graded(ledger: Ledger) -> None:
    # Chosen light twice, once too weak; chosen heavy twice, once for nothing; the fifth is not
    # graded, the sixth was not routed.
    for number, chosen, weak in ((1, 'light', '0.5'), (2, 'light', '1'), (3, 'heavy', '0.5')):
        post_call(ledger, number, chosen)
        post_pair(ledger, number)
        grade(ledger, f'run-{number}', '1')
        grade(ledger, f'shadow-{number}', weak)
    post_call(ledger, 4, 'heavy')
    post_pair(ledger, 4)
    grade(ledger, 'run-4', '0.99')
    grade(ledger, 'shadow-4', '0.98')
    post_call(ledger, 5, 'standard')
    ledger.post(entry(12))

    unknown = Routed(graded=0, too_weak=None, too_strong=None, unproven=0)
    assert {
        ('light', 'rules'): Routed(graded=2, too_weak=1, too_strong=0, unproven=0),
        ('heavy', 'rules'): Routed(graded=2, too_weak=0, too_strong=1, unproven=0),
        ('standard', 'rules'): unknown,
        ('light', 'shadow'): unknown,
        (None, None): unknown,
    } == by_route(ledger)
    assert Routed(graded=4, too_weak=1, too_strong=1, unproven=0) == (
        ledger.report(by='route').total.routed
    )
    assert ledger.report(by='policy').total.routed is None


def test_a_call_stands_under_the_route_that_served_it(ledger: Ledger) -> None:
    post_call(ledger, 1, 'light', mode='shadow', served='heavy')

    assert [('heavy', 'rules')] == list(by_route(ledger))
    assert 1 == ledger.report(where={'route': 'heavy'}).total.calls
    assert 0 == ledger.report(where={'route': 'light'}).total.calls


def test_calls_that_were_downgraded_without_evidence_are_marked(ledger: Ledger) -> None:
    post_call(ledger, 1, 'light', mode='active', unproven=True)
    post_call(ledger, 2, 'light', mode='active')

    assert 1 == ledger.report(by='route').total.routed.unproven


def test_beside_a_route_other_levers_policies_do_not_show(ledger: Ledger) -> None:
    post_call(ledger, 1, 'light')
    ledger.post_decision(
        Decision(
            entry_id=entry(2).id,
            time=START,
            lever='caching',
            policy='plan',
            version='1',
            chosen='marks',
            reason='pays',
        )
    )

    assert [('light', 'rules')] == list(by_route(ledger))
    assert 'plan+rules' == ledger.report(by='policy').rows[0].keys['policy']


def test_failed_attempts_and_corrections_of_a_run_are_not_graded_twice(ledger: Ledger) -> None:
    post_call(ledger, 1, 'light')
    failed = entry(20, run_id='run-1', status='error', error='http_529')
    ledger.post(failed)
    ledger.post_correction(correction(2, rate=4_000_000))
    post_pair(ledger, 1)
    grade(ledger, 'run-1', '1')
    grade(ledger, 'shadow-1', '1')

    assert 1 == by_route(ledger)['light', 'rules'].graded
