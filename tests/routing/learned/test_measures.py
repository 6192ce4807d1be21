"""APGR, CPT and savings of rankings small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.routing.measures import Ranking, apgr, cost_share, cpt, least_share, saving

# Four queries: the strong model is right on all, the weak one on the last two.
WEAK = np.array([0.0, 0.0, 1.0, 1.0])
STRONG = np.ones(4)


def curve(*scores: float):
    return Ranking.of(np.array(scores), WEAK, STRONG).curve()


def test_hindsight_recovers_the_gap_at_half_of_the_calls():
    # Quality .5, .75, 1, 1, 1: the areas over .5 are .03125 + .09375 + .125 + .125 of .5.
    found = curve(4, 3, 2, 1)

    assert 0.75 == pytest.approx(apgr(found))
    assert 0.25 == pytest.approx(cpt(found, 0.5))
    assert 0.40 == pytest.approx(cpt(found, 0.8))


def test_the_worst_order_is_as_far_below_chance():
    found = curve(1, 2, 3, 4)

    assert 0.25 == pytest.approx(apgr(found))
    assert 0.75 == pytest.approx(cpt(found, 0.5))


def test_equal_scores_count_as_drawn_by_lot():
    found = curve(1, 1, 1, 1)

    assert (0.5, 0.5, 0.8) == pytest.approx((apgr(found), cpt(found, 0.5), cpt(found, 0.8)))


def test_the_saving_counts_the_weak_calls_that_are_paid_instead():
    # 90 % of 1 needs .8 of the gap of .5: 40 % strong calls; at a ratio of 5 they cost
    # .4 + .6 / 5 = .52 of always-strong.
    assert 0.48 == pytest.approx(saving(curve(4, 3, 2, 1), 0.9, 5))
    assert 1 == cost_share(1, 5)


def test_without_a_gap_there_is_nothing_to_recover():
    found = Ranking.of(np.arange(4.0), STRONG, WEAK).curve()

    assert (None, None) == (apgr(found), cpt(found, 0.5))
    assert 0 == least_share(found, 0.5)


def test_a_quality_that_is_never_reached_has_no_share():
    assert least_share(curve(4, 3, 2, 1), 1.1) is None


scores = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40
)


@given(scores)
def test_the_curve_runs_from_weak_alone_to_strong_alone(rows):
    router, weak, strong = np.array(rows, dtype=float).T

    found = Ranking.of(router, weak, strong).curve()

    assert (weak.mean(), strong.mean()) == pytest.approx((found.weak, found.strong))
    assert np.all(np.diff(found.share) > 0)


@given(scores)
def test_no_ranking_beats_hindsight_and_the_reverse_mirrors_it(rows):
    router, weak, strong = np.array(rows, dtype=float).T

    def reached(ranking):
        return apgr(Ranking.of(ranking, weak, strong).curve())

    if reached(router) is None:
        return
    assert reached(router) <= reached(strong - weak) + 1e-9
    assert 1 == pytest.approx(reached(router) + reached(-router))


@given(scores, st.randoms(use_true_random=False))
def test_drawing_each_query_once_is_the_curve_itself(rows, chance):
    router, weak, strong = np.array(rows, dtype=float).T
    ranking = Ranking.of(router, weak, strong)

    plain, drawn = ranking.curve(), ranking.curve(np.ones(len(rows)))

    assert np.array_equal(plain.quality, drawn.quality)
