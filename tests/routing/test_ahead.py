"""Expected costs of the turns to come, against every way in which they may turn out."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.routing.ahead import Cached, Turn, ahead
from farthing.routing.routes import Rates

OPUS = Rates(read=500_000, write=6_250_000, output=25_000_000)
HAIKU = Rates(read=100_000, write=1_250_000, output=5_000_000)
TURNS = st.builds(
    Turn,
    light=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    added=st.integers(0, 5_000),
    output=st.integers(0, 2_000),
    calls=st.sampled_from([1.0, 1.75, 3.0]),
)


def served(schedule, strong: Cached, weak: Cached, prefix: int, turn: Turn, idle: int) -> float:
    """What a schedule, such as `ssws`, costs after a turn on the stronger model."""
    caches = {'s': (strong, prefix + turn.added, 0), 'w': (weak, 0, idle)}
    total = 0.0
    for number, one in enumerate(schedule, 1):
        size = prefix + number * turn.added
        cache, held, unused = caches[one]
        warm = held if unused < cache.life else 0
        rates = cache.rates
        reads = warm + (turn.calls - 1) * (size + turn.added)
        written = size - warm + turn.added
        total += rates.read * reads + rates.write * written + rates.output * turn.output
        caches = {name: (of, has, since + 1) for name, (of, has, since) in caches.items()}
        caches[one] = (cache, size + turn.added, 0)
    return total


def best(schedule, *session) -> float:
    """The cheapest schedule where it is known beforehand which turns are light."""
    allowed = [('s', 'w') if light else ('s',) for light in schedule]
    return min(served(ways, *session) for ways in product(*allowed))


@given(
    turn=TURNS,
    prefix=st.integers(0, 100_000),
    turns=st.integers(1, 5),
    lives=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_switching_is_expected_to_cost_between_foresight_and_no_switch(turn, prefix, turns, lives):
    strong, weak = Cached(OPUS, lives[0]), Cached(HAIKU, lives[1])
    session = strong, weak, prefix, turn, weak.life

    found = ahead(strong, weak, prefix, turn, turns)

    alone = served('s' * turns, *session)
    foreseen = 0.0
    for lights in product((True, False), repeat=turns):
        chance = 1.0
        for light in lights:
            chance *= turn.light if light else 1 - turn.light
        foreseen += chance * best(lights, *session)
    assert alone == pytest.approx(found.strong)
    assert foreseen <= found.after_strong[-1] * (1 + 1e-9)
    assert found.after_strong[-1] <= alone * (1 + 1e-9)
    assert 0 <= found.saves + 1e-9


@given(turn=TURNS, prefix=st.integers(0, 100_000), turns=st.integers(0, 6))
def test_where_all_turns_are_light_the_cheapest_schedule_is_found(turn, prefix, turns):
    strong, weak = Cached(OPUS, 3), Cached(HAIKU, 3)
    session = strong, weak, prefix, turn._replace(light=1.0), weak.life

    found = ahead(strong, weak, prefix, turn._replace(light=1.0), turns)

    assert best([True] * turns, *session) == pytest.approx(found.after_strong[-1])


def test_a_turn_on_the_weaker_model_owes_the_stronger_one_what_it_added():
    turn = Turn(light=0.0, added=2_500, output=500, calls=1.0)
    found = ahead(Cached(OPUS, 5), Cached(HAIKU, 5), 50_000, turn, 1)

    # Written at 6.25 instead of read at 0.50, per million tokens.
    assert 2_500 * 5_750_000 == found.after_weak[1] - found.after_strong[-1]


def test_an_expired_cache_is_owed_whole():
    turn = Turn(light=0.0, added=2_500, output=500, calls=1.0)
    found = ahead(Cached(OPUS, 5), Cached(HAIKU, 5), 50_000, turn, 1)

    assert 52_500 * 5_750_000 == found.after_weak[-1] - found.after_strong[-1]


def test_where_no_cache_lives_until_the_next_turn_every_turn_writes_it():
    turn = Turn(light=0.0, added=1_000, output=100, calls=1.0)

    # 11,000 and then 12,000 tokens at 6.25 a million, and 2 x 100 of answer at 25.
    assert (
        23_000 * 6_250_000 + 200 * 25_000_000
        == ahead(Cached(OPUS, 0), Cached(HAIKU, 0), 9_000, turn, 2).strong
    )
