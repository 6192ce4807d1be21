"""The break-even of leaving a warm cache, against the table that was worked out by hand."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import Call, PriceBook, Usage
from farthing.errors import RoutingError
from farthing.routing import Route, Session
from farthing.routing.switching import LEAST, break_even, outlook

from .conftest import NOON, route

BOOK = PriceBook.load()


def weighed(old: str, new: str, prefix: int, warm: int = 0, **changes):
    session = Session(
        id='s',
        route=old,
        prefix_tokens=prefix,
        warm_tokens={old: prefix, new: warm},
        new_tokens=2_000,
        output_tokens=500,
        **({'again': 1.0} | changes),
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
        again=1.0,
    )

    found = break_even(session, route('heavy'), route('light'), BOOK, NOON)

    # Per token in 1e-12 USD: Opus 4.7 reads at 0.50, writes at 6.25, answers at 25 a million;
    # Haiku 4.5 at 0.10, 1.25 and 5.
    read_a, write_a, out_a = 500_000, 6_250_000, 25_000_000
    read_b, write_b, out_b = 100_000, 1_250_000, 5_000_000
    added = (write_a - write_b) * new + (out_a - out_b) * output
    assert found.first == ((write_b - read_a) * (prefix - kept) + (read_b - read_a) * kept - added)
    assert found.later == (read_a - read_b) * prefix + added


def test_a_detour_owes_the_old_cache_what_it_adds():
    # Haiku writes 1.25 - .5 more than Opus reads, of the prefix; Opus writes 5.75 more than it
    # reads, of about 2,500 tokens when it is back; and it would have written 5 more of 2,000 now,
    # and asked 20 more for 500 tokens of answer: 5,625 / .75 = 7,500.
    assert weighed('heavy', 'light', 6_500, again=None).loss < 0
    assert weighed('heavy', 'light', 8_500, again=None).loss > 0


def test_turns_in_a_row_pay_from_the_break_even_on():
    at_50k = weighed('heavy', 'light', 50_000, again=None, turns_left=1)

    assert at_50k.loss <= 0 < weighed('heavy', 'light', 50_000, turns_left=0).loss
    assert 2 >= at_50k.turns > 1
    assert at_50k == weighed('heavy', 'light', 50_000, turns_left=1)


def test_the_rarer_a_tier_the_less_a_switch_to_it_gains():
    losses = [
        weighed('heavy', 'light', 50_000, again=again, turns_left=20 * again, turn_s=60).loss
        for again in (0.1, 0.3, 0.6)
    ]

    assert sorted(losses, reverse=True) == losses
    assert losses[0] > 0 > losses[-1]


def test_a_tier_that_may_be_rare_gets_no_second_cache():
    usual = {'again': 0.5, 'turns_left': 20, 'turns': 10, 'turn_s': 60}

    unsure = weighed('heavy', 'light', 50_000, **usual, again_least=0.1)
    sure = weighed('heavy', 'light', 50_000, **usual, again_least=0.4)

    assert (unsure.loss, False) == (sure.loss, unsure.pays)
    assert sure.loss < 0
    assert unsure.saves < LEAST < sure.saves
    assert sure.pays


def test_a_strong_cache_that_would_expire_before_the_next_turn_is_kept_alive():
    rest = {'again': 0.8, 'turns_left': 20, 'turn_s': 60, 'warm': 48_000}
    fresh = weighed('heavy', 'light', 50_000, **rest, idle_s={'heavy': 60})
    old = weighed('heavy', 'light', 50_000, **rest, idle_s={'heavy': 290})

    assert fresh.loss <= 0 < old.loss


@given(
    model=st.sampled_from(
        [
            ('anthropic', 'claude-haiku-4-5', '5m'),
            ('anthropic', 'claude-opus-4-7', '1h'),
            ('anthropic', 'claude-sonnet-4-5', '5m'),
            ('openai', 'gpt-5-mini', 'free'),
            ('openai', 'gpt-5.6', '30m'),
            ('google', 'gemini-2.5-pro', 'free'),
            ('anthropic', 'claude-haiku-4-5', 'none'),
        ]
    ),
    warm=st.integers(0, 250_000),
    cold=st.integers(0, 250_000),
    output=st.integers(0, 5_000),
)
def test_rates_of_a_token_are_what_the_book_bills(model, warm, cold, output):
    provider, name, writes = model
    found = Route(name='r', provider=provider, model=name, cache_writes=writes)
    rates = found.rates(BOOK, NOON, warm + cold)
    charged = cold if writes in {'5m', '1h', '30m'} else 0
    usage = Usage(
        input_tokens=warm + cold,
        output_tokens=output,
        cache_read_tokens=0 if writes == 'none' else warm,
        cache_write_tokens=charged,
        **({f'cache_write_{writes}_tokens': charged} if charged else {}),
    )

    billed = BOOK.quote(usage, Call(provider=provider, model=name, at=NOON)).cost

    assert billed == rates.read * warm + rates.write * cold + rates.output * output


def test_a_model_without_a_price_has_no_rates():
    assert Route(name='r', provider='anthropic', model='x').rates(BOOK, NOON, 1) is None


@given(
    prefix=st.integers(1, 150_000),
    warm=st.integers(0, 100),
    again=st.floats(0, 1) | st.none(),
    turns=st.floats(0, 200) | st.none(),
    turn_s=st.sampled_from([None, 10.0, 200.0, 900.0]),
    idle_s=st.floats(0, 900),
)
def test_more_at_the_new_route_never_makes_a_switch_worse(
    prefix, warm, again, turns, turn_s, idle_s
):
    usual = {'again': again, 'turns_left': turns, 'turn_s': turn_s}
    idle = {'heavy': idle_s, 'light': 0}
    kept = prefix * warm // 100

    some = weighed('heavy', 'light', prefix, kept, **usual, idle_s=idle)
    all_of_it = weighed('heavy', 'light', prefix, prefix, **usual, idle_s=idle)

    # What the first turn saves is exact; what follows is reckoned with sizes a fifth apart.
    assert all_of_it.loss <= some.loss + 1_150_000 * 0.2 * prefix


def test_what_is_expected_of_the_turns_to_come():
    assert (0.5, None, 0.5) == outlook(0, 0)
    assert (0.25, 2.5) == _expected(outlook(10, 2))
    assert (0.25, 29 * 0.25) == _expected(outlook(10, 2, usual_turns=40))
    assert (0.25, 0.25) == _expected(outlook(10, 2, usual_turns=5))


def test_a_share_is_surer_the_more_turns_were_seen():
    least = [
        outlook(0, 0, usual_share=0.2, usual_seen=seen).again_least for seen in (1, 10, 100, 10_000)
    ]

    # Wilson's lower end at two standard errors, of 20 in 100:
    # (.2 + .02 - sqrt(.16 x .04 + .0004)) / 1.04 = .1322.
    assert 0.1322 == pytest.approx(least[2], abs=1e-4)
    assert sorted(least) == least
    assert 0.19 < least[3] < 0.2


def _expected(found):
    return found.again, found.turns_left


def test_a_turn_of_unknown_size_is_not_weighed():
    session = Session(id='s', route='heavy', prefix_tokens=10)

    assert break_even(session, route('heavy'), route('light'), BOOK, NOON) is None


@pytest.mark.parametrize(
    'changes',
    [
        {'turns_left': -1},
        {'turns': -1},
        {'calls': 0.5},
        {'again': 1.5},
        {'again_least': -0.1},
        {'idle_s': {'light': -1}},
    ],
)
def test_a_session_that_cannot_be_is_refused(changes):
    with pytest.raises(RoutingError):
        Session(id='s', route='heavy', prefix_tokens=10, **changes)


def test_more_warm_than_there_is_is_refused():
    with pytest.raises(RoutingError, match='11 warm tokens of a prefix of 10'):
        Session(id='s', route='heavy', prefix_tokens=10, warm_tokens={'light': 11})
