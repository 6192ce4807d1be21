"""A task is promoted on proof, returned on regression, and neither by looking often."""

from datetime import UTC, datetime, timedelta
from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.routing import Bar, Evidence, Pair

START = datetime(2026, 11, 1, tzinfo=UTC)


def pair(number: int, difference: float | None, **changes) -> Pair:
    """A pair of `light` beside the default `heavy`, whose scores differ by so much."""
    worse, better = max(0.0, -(difference or 0)), max(0.0, difference or 0)
    fields = {
        'task': 'triage',
        'weak': 'light',
        'strong': 'heavy',
        'default': 'heavy',
        'models': ('claude-haiku-4-5', 'claude-opus-4-7'),
        'weak_score': None if difference is None else 1 - worse,
        'strong_score': None if difference is None else 1 - better,
        'time': START + timedelta(minutes=number),
        'run_id': f'{number:06}',
    }
    return Pair(**(fields | changes))


def pairs(differences, **changes) -> list[Pair]:
    return [pair(number, one, **changes) for number, one in enumerate(differences)]


def draws(size: int, seed: int, *, worse: float, better: float) -> list[float]:
    """Graded right or wrong: the light route alone fails or succeeds with these chances."""
    chance = Random(seed)  # noqa: S311 - made-up grades
    return [float((chance.random() < better) - (chance.random() < worse)) for _ in range(size)]


def verdict(differences, **changes):
    [found] = Evidence.of(pairs(differences), **changes).verdicts
    return found


def test_equal_answers_are_proof_after_a_few_hundred():
    # Five bettors of a fifth each; the boldest makes 1.0 of 1 - .95 + .95 / .98 on each pair.
    needed = log(5 / 0.05) / log(0.05 + 0.95 / 0.98)
    assert 235 < needed < 240

    early, late = verdict([0.0] * 235), verdict([0.0] * 240)

    assert (None, START + timedelta(minutes=235)) == (early.promoted, late.promoted)
    assert (1, 0) == (early.missing, late.missing)
    assert early.lower < -0.02 < late.lower


def test_graded_right_or_wrong_equal_models_need_more():
    # Each is right in 8 of 10: two thirds of the pairs tell nothing, the others scatter.
    grades = draws(2_000, 4, worse=0.16, better=0.16)

    assert verdict(grades[:200], bar=Bar(margin=0.1)).promoted is None
    assert verdict(grades, bar=Bar(margin=0.1)).promoted is not None


def test_a_route_that_is_worse_by_the_margin_is_hardly_ever_promoted():
    """Looked at after every pair, with a true difference of exactly the margin: error 5 %."""
    wrong = sum(
        verdict(draws(1_500, seed, worse=0.03, better=0.01)).promoted is not None
        for seed in range(60)
    )

    assert wrong <= 3


def test_few_pairs_promote_nothing_however_good_they_are():
    assert verdict([1.0] * 29).promoted is None
    assert 1 == verdict([1.0] * 29).missing
    assert verdict([1.0] * 30).promoted is not None


def test_a_task_is_returned_on_regression_and_has_to_prove_itself_anew():
    fails = draws(60, 1, worse=0.3, better=0.0)

    found = verdict([*[0.0] * 300, *fails])

    assert (None, 1) == (found.promoted, found.returned)
    assert found.pairs < 60
    assert verdict([*[0.0] * 300, *fails, *[0.0] * 1_000]).promoted is not None


def test_a_route_that_keeps_its_quality_stays_promoted():
    assert [0] * 20 == [
        verdict(draws(2_000, seed, worse=0.05, better=0.06)).returned for seed in range(20)
    ]


def test_another_model_behind_a_route_begins_anew():
    new = {'models': ('claude-haiku-5', 'claude-opus-4-7')}
    old = pairs([0.0] * 300)

    found = Evidence.of([*old, pair(300, 0.0, **new)])

    assert not found.promoted('triage', 'light')
    assert 1 == found.verdicts[0].pairs
    assert Evidence.of(old).promoted('triage', 'light', model='claude-haiku-4-5')
    assert not Evidence.of(old).promoted('triage', 'light', model='claude-haiku-5')


def test_tasks_routes_and_defaults_are_judged_apart():
    found = Evidence.of(
        [
            *pairs([0.0] * 300),
            *pairs([0.0] * 300, task=None),
            *pairs([-1.0] * 300, task='proof'),
            *pairs([0.0] * 300, task='chat', default='light'),
        ],
        default='heavy',
    )

    assert ['(no task)', 'proof', 'triage'] == [
        one.text.partition(',')[0] for one in found.verdicts
    ]
    assert found.promoted(None, 'light')
    assert not found.promoted('proof', 'light')
    assert not found.promoted('chat', 'heavy')
    assert not found.promoted('triage', 'standard')


def test_pairs_without_a_grade_are_counted_and_prove_nothing():
    found = verdict([0.0, None, None])

    assert (1, 2) == (found.pairs, found.ungraded)
    assert found.text.endswith('; pairs without a grade: 2')


def test_a_verdict_can_be_read():
    assert (
        'triage, light: promoted on 2026-11-01; +0.000 beside heavy on 300 pairs, surely above '
        '-0.016 (margin -0.020)' == verdict([0.0] * 300).text
    )
    assert (
        'triage, light: not promoted, pairs missing: 236 or more; no graded pair; '
        'pairs without a grade: 1' == verdict([None]).text
    )


def test_scores_off_the_scale_are_refused():
    stars = pair(1, 0.0, weak_score=4.0, strong_score=5.0)

    with pytest.raises(InputError, match=r'is scored 4\.0 and 5\.0: expected 0 to 1'):
        Evidence.of([stars])
    assert 1 == Evidence.of([stars], bar=Bar(scale=(1, 5), margin=0.1)).verdicts[0].pairs


@pytest.mark.parametrize('changes', [{'margin': 0.0}, {'margin': 2}, {'error': 1.0}])
def test_a_bar_that_means_nothing_is_refused(changes):
    with pytest.raises(InputError, match='expected'):
        Bar(**changes)


@given(
    differences=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=60),
    seed=st.randoms(),
)
def test_the_bound_is_below_the_mean_and_knows_no_order(differences, seed):
    found = verdict(differences, bar=Bar(least_pairs=1_000))
    seed.shuffle(differences)
    other = verdict(differences, bar=Bar(least_pairs=1_000))

    assert found.lower == pytest.approx(other.lower)
    assert -1 <= found.lower <= found.difference


@given(st.lists(st.sampled_from([-0.5, 0.0, 0.0, 0.0, 0.5]), min_size=30, max_size=400))
def test_a_task_is_promoted_when_the_bound_first_clears_the_margin(differences):
    bar = Bar(margin=0.1)

    found = verdict(differences, bar=bar)

    if found.promoted is None and not found.returned:
        assert found.lower <= -0.1 + 1e-9
        assert found.missing > 0
        again = verdict([*differences, *[0.0] * found.missing], bar=bar)
        assert again.promoted is not None
