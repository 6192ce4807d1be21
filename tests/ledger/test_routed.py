"""Shadow calls and their grades in a real ledger, and what they prove."""

from datetime import timedelta
from decimal import Decimal

import pytest

from farthing import Ledger, Outcome
from farthing.ledger.routed import shadow
from farthing.routing import Evidence, Query, TaskTable

from .samples import START, entry

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
