"""Sessions routed again: what a driver knows at each turn, and what it makes of recorded ones."""

from pathlib import Path

import pytest

from farthing import PriceBook
from farthing.routing import Route, Router
from farthing.routing.sessions import Given, Known, Talk, Usual

from .conftest import route

SHARED = Path(__file__).resolve().parents[2] / '..' / 'shared' / 'data' / 'context'
KINDS = ('system', 'user', 'tool_call', 'tool_result', 'assistant', 'user', 'user', 'assistant')
TALK = Talk.of(KINDS, (1_000, 10, 20, 300, 40, 10, 10, 50), fixed_tokens=500)


def router() -> Router:
    routes: dict[str, Route] = {name: route(name) for name in ('light', 'heavy')}
    return Router(routes=routes, policies=(Given(),), default='heavy', book=PriceBook.load())


def test_a_talk_has_a_turn_for_each_request_that_is_answered():
    assert ((2, 4), (7,)) == TALK.turns
    assert (1, 5) == TALK.asked
    assert 1_510 == TALK.before[2]
    assert (20, 40, 50) == tuple(TALK.output(at) for at in (2, 4, 7))


def test_a_request_without_an_answer_is_no_turn():
    assert () == Talk.of(('user', 'user'), (1, 1), fixed_tokens=0).turns


def test_a_driver_knows_what_it_has_sent_where_and_when():
    known = Known(TALK, Usual(), router(), 'heavy')
    assert known.session([], wants_weak=True, now_s=0) is None

    known.served(0, 'light', ended_s=5)
    session = known.session([True], wants_weak=True, now_s=50)

    # Up to the answer that was called for last; all was said until then, and 360 in that turn.
    assert ('light', 1_870, {'light': 1_830}) == (
        session.route, session.prefix_tokens, dict(session.warm_tokens),
    )  # fmt: skip
    assert (60, 300, 2.0) == (session.output_tokens, session.new_tokens, session.calls)
    assert ({'light': 45}, 50) == (dict(session.idle_s), session.turn_s)
    assert (2 / 3, 2 / 3) == (session.again, session.turns_left)
    assert {} == known.session([True], wants_weak=True, now_s=500).warm_tokens


def test_earlier_sessions_tell_what_is_usual():
    usual = Usual()
    usual.learn(TALK, [True, False], took_s=100)
    known = Known(TALK, usual, router(), 'heavy')

    session = known.session([], wants_weak=True, now_s=0)

    assert (0.5, 0.5, 1.5) == (session.again, session.turns_left, session.calls)
    assert (1_510, {}) == (session.prefix_tokens, session.warm_tokens)
    assert ('first_turn', 50) == (session.free, session.turn_s)


@pytest.mark.skipif(not SHARED.is_dir(), reason='no recorded sessions in ../shared/data/context')
def test_on_recorded_sessions_cache_aware_switching_saves_beside_both_other_ways():
    """The table of `bench.routing_sessions`, one seed of Opus 4.7 and Haiku 4.5."""
    sessions = pytest.importorskip('bench.routing_sessions')
    talks = sessions.sessions(sessions.JOIN)

    found = [
        tuple(sessions.costs(talks, 'opus', 'haiku', share=share, seed=1).values())
        for share in (0.05, 1 / 3, 2 / 3)
    ]

    assert all(aware <= strong for strong, _, aware in found)
    assert all(aware <= 0.9 * strong for strong, _, aware in found[1:])
    assert sum(aware for _, _, aware in found) < sum(each for _, each, _ in found)
