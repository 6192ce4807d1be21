"""The break-even of leaving a warm cache, against the table that was worked out by hand."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import PriceBook
from farthing.errors import RoutingError
from farthing.routing import Session
from farthing.routing.switching import break_even

from .conftest import NOON, route

BOOK = PriceBook.load()


def weighed(old: str, new: str, prefix: int, warm: int = 0):
    session = Session(
        id='s',
        route=old,
        prefix_tokens=prefix,
        warm_tokens={old: prefix, new: warm},
        new_tokens=2_000,
        output_tokens=500,
    )
    return break_even(session, route(old), route(new), BOOK, NOON)


@pytest.mark.parametrize(
    ('old', 'new', 'prefix', 'turns'),
    [
        ('heavy', 'standard', 20_000, 5),
        ('heavy', 'standard', 50_000, 9),
        ('heavy', 'standard', 100_000, 12),
        ('heavy', 'light', 20_000, 1),
        ('heavy', 'light', 50_000, 2),
        ('heavy', 'light', 100_000, 2),
        ('standard', 'light', 20_000, 2),
        ('standard', 'light', 50_000, 3),
        ('standard', 'light', 100_000, 4),
    ],
)
def test_turns_to_break_even_with_2000_new_and_500_output_tokens(old, new, prefix, turns):
    assert turns == ceil(weighed(old, new, prefix).turns)


@pytest.mark.parametrize(
    ('old', 'new', 'bound'),
    [('heavy', 'standard', 3_077), ('heavy', 'light', 26_667), ('standard', 'light', 10_526)],
)
def test_one_cheaper_turn_pays_below_this_prefix_only(old, new, bound):
    assert weighed(old, new, bound - 1).first < 0 < weighed(old, new, bound + 1).first


def test_the_first_turn_after_an_escalation_at_50000_tokens():
    # Opus writes 52,000 at 6.25 and answers 500 at 25: 0.3375; Haiku reads 50,000 at 0.10, writes
    # 2,000 at 1.25 and answers 500 at 5: 0.0100 USD.
    assert (337_500 - 10_000) * 10**6 == weighed('light', 'heavy', 50_000).first


def test_what_is_still_warm_at_the_other_model_makes_the_switch_cheaper():
    # Of 50,000 tokens 40,000 are warm: read at 0.10 instead of written at 1.25, per million.
    saved = (
        weighed('heavy', 'light', 50_000).first - weighed('heavy', 'light', 50_000, 40_000).first
    )

    assert 40_000 * 1_150_000 == saved


@given(
    prefix=st.integers(0, 150_000),
    warm=st.integers(0, 100),
    new=st.integers(0, 10_000),
    output=st.integers(0, 4_000),
)
def test_first_and_later_are_the_inequality_at_constant_rates(prefix, warm, new, output):
    kept = prefix * warm // 100
    session = Session(
        id='s',
        route='heavy',
        prefix_tokens=prefix,
        warm_tokens={'heavy': prefix, 'light': kept},
        new_tokens=new,
        output_tokens=output,
    )

    found = break_even(session, route('heavy'), route('light'), BOOK, NOON)

    # Per token in 1e-12 USD: Opus 4.7 reads at 0.50, writes at 6.25, answers at 25 a million;
    # Haiku 4.5 at 0.10, 1.25 and 5.
    read_a, write_a, out_a = 500_000, 6_250_000, 25_000_000
    read_b, write_b, out_b = 100_000, 1_250_000, 5_000_000
    added = (write_a - write_b) * new + (out_a - out_b) * output
    assert found.first == ((write_b - read_a) * (prefix - kept) + (read_b - read_a) * kept - added)
    assert found.later == (read_a - read_b) * prefix + added


def test_turns_that_are_not_known_count_as_none():
    found = weighed('heavy', 'light', 50_000)

    assert not found.pays(None)
    assert not found.pays(0)
    assert found.pays(1)


def test_a_turn_of_unknown_size_is_not_weighed():
    session = Session(id='s', route='heavy', prefix_tokens=10)

    assert break_even(session, route('heavy'), route('light'), BOOK, NOON) is None


def test_more_warm_than_there_is_is_refused():
    with pytest.raises(RoutingError, match='11 warm tokens of a prefix of 10'):
        Session(id='s', route='heavy', prefix_tokens=10, warm_tokens={'light': 11})
