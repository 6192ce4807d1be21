"""Gaps are counted so that what never comes back is learned, and counts add up."""

from hypothesis import given
from hypothesis import strategies as st

from farthing.caching.gaps import EDGES, Gaps, Law, after, intervals, learned, waited

GAPS = st.lists(st.floats(min_value=0, max_value=10_000), max_size=30)


def test_a_gap_counts_where_it_came_and_in_what_it_outlasted():
    assert Gaps(came=(0, 0, 1, 0), passed=(1, 1, 0, 0)) == after(480)
    assert Gaps(came=(1, 0, 0, 0)) == after(60), 'a lifetime holds to its last second'
    assert Gaps(passed=(1, 1, 1, 1)) == after(5_400)


@given(st.floats(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=4))
def test_a_wait_counted_on_the_way_is_not_counted_again(gap, counted):
    counted = min(counted, intervals(gap))

    assert after(gap) == waited(0, counted) + after(gap, counted=counted)


@given(GAPS, GAPS)
def test_two_processes_counts_add_up(one, other):
    def count(gaps):
        return sum((after(gap) for gap in gaps), Gaps())

    assert count([*one, *other]) == count(one) + count(other)


@given(GAPS)
def test_a_law_is_a_chance(gaps):
    law = learned(Law((0.5, 0.4, 0.3, 0.1)), sum(map(after, gaps), Gaps()), weight=0.5)
    chances = [law.within(edge) for edge in EDGES]

    assert sorted(chances) == chances
    assert 0 < chances[0] <= chances[-1] < 1


def test_a_law_follows_what_was_seen():
    counts = sum([after(20)] * 30 + [after(480)] * 10, Gaps())
    law = learned(Law((0.5, 0.5, 0.5, 0.5)), counts, weight=1)

    # (30 + 0.5) / (40 + 1) come within a minute; nothing came until 5 minutes in the other ten.
    assert 30.5 / 41 == law.hazards[0]
    assert 0.5 / 11 == law.hazards[1]
    assert 10.5 / 11 == law.hazards[2]


def test_those_who_wait_count_only_in_what_they_have_outlasted():
    law = learned(Law((0.5,) * 4), waited(0, 1), weight=1)

    assert (0.25, 0.5, 0.5, 0.5) == law.hazards
