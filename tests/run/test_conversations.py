"""What a router's driver remembers of conversations, as its router is told of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.routing import Route
from farthing.run.calls import Request
from farthing.run.conversation import Answered
from farthing.run.conversations import Conversations
from farthing.usage import Usage

ROUTES = {
    name: Route(name=name, provider='anthropic', model=model, cache_writes='5m')
    for name, model in {'light': 'claude-haiku-4-5', 'heavy': 'claude-opus-4-7'}.items()
}
START_S = 1_800_000_000.0


def asked(chars: int, thread: str | None = 't', **facts) -> Request:
    return Request(text='?', chars=chars, thread=thread, **facts)


def answered(
    route: str = 'heavy', *, at_s: float = START_S, chars: int = 4_200, **usage
) -> Answered:
    used = Usage(**{'input_tokens': 1_000, 'output_tokens': 50} | usage)
    return Answered(
        route=ROUTES[route], wanted=route, usage=used, chars=chars, at_s=at_s, goes_on=False,
        compacted=False,
    )  # fmt: skip


def session(known: Conversations, request: Request, at_s: float):
    return known.session(request, [*ROUTES], default='heavy', provider='anthropic', at_s=at_s)


def test_a_conversation_that_nobody_knows_is_a_first_turn() -> None:
    known = Conversations()

    assert None is session(known, asked(10), START_S)
    assert None is session(known, asked(10, None), START_S)
    assert 4 == known.input_tokens(asked(10), provider='anthropic')  # 2.6 characters a token


def test_what_was_written_is_warm_until_its_time_is_over() -> None:
    known = Conversations()
    known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread='t')

    soon = session(known, asked(4_300), START_S + 299)
    assert ('heavy', 1_050, {'heavy': 800}, {'heavy': 299.0}, None) == (
        soon.route, soon.prefix_tokens, soon.warm_tokens, soon.idle_s, soon.free
    )  # fmt: skip
    late = session(known, asked(4_300), START_S + 301)
    assert ({}, 'expired') == (late.warm_tokens, late.free)


def test_a_shorter_history_was_compacted_and_nothing_of_it_is_warm() -> None:
    known = Conversations()
    known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread='t')

    found = session(known, asked(500), START_S + 10)
    assert ('compacted', 0, {}) == (found.free, found.prefix_tokens, found.warm_tokens)


def test_both_routes_keep_what_they_have_seen() -> None:
    known = Conversations()
    known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread='t')
    known.learn(
        asked(4_300),
        answered('light', at_s=START_S + 60, chars=4_500, cache_write_tokens=1_000),
        thread='t',
    )

    found = session(known, asked(4_600), START_S + 120)
    assert ('light', {'heavy': 800, 'light': 1_000}, 60.0) == (
        found.route, found.warm_tokens, found.turn_s
    )  # fmt: skip


def test_calls_of_a_tool_loop_are_one_turn() -> None:
    known = Conversations()
    known.learn(asked(4_000, None), answered(), thread='t')
    goes_on = replace(answered(), goes_on=True)
    known.learn(asked(4_300, pending=True), goes_on, thread='t')
    known.learn(asked(4_600, pending=True), goes_on, thread='t')

    found = session(known, asked(4_900), START_S + 60)
    assert (3.0, 150) == (found.calls, found.output_tokens)


def test_the_same_history_may_go_on_in_two_ways() -> None:
    known = Conversations()
    known.learn(asked(4_000, None), answered(), thread='t')
    known.learn(asked(4_300), answered('light', chars=5_000), thread='one')
    known.learn(asked(4_300), answered('heavy', chars=5_000), thread='other')

    assert ['light', 'heavy', 'heavy'] == [
        session(known, asked(5_100, thread), START_S).route for thread in ('one', 'other', 't')
    ]


def test_what_is_usual_for_a_task_tells_how_long_and_how_hard_the_next_one_is() -> None:
    known = Conversations()
    for number in range(10):
        known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread=str(number))
        for turn in range(3):
            chars = 4_400 + 300 * turn
            known.learn(
                asked(chars, str(number)), answered('light', chars=chars), thread=str(number)
            )

    known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread='t')

    found = session(known, asked(4_300), START_S + 10)
    # 30 of 41 turns wanted the light route, which weighs 50 turns beside the one of its own; 11
    # conversations had 41 turns.
    again = 50 * (30 / 41) / 51
    assert again == pytest.approx(found.again)
    assert again * (41 / 11 - 2) == pytest.approx(found.turns_left)


def test_a_first_turn_of_a_known_task_is_told_what_is_usual() -> None:
    known = Conversations()
    for number in range(5):
        name = str(number)
        known.learn(asked(4_000, None), answered(cache_write_tokens=800), thread=name)
        after = answered('light', at_s=START_S + 40, chars=4_400, input_tokens=1_250)
        known.learn(asked(4_300, name), after, thread=name)

    found = session(known, asked(2_600, None), START_S + 100)

    # Half of ten turns was light; each adds 1,250 - 1,050 tokens, 40 s after the one before.
    assert ('first_turn', 'heavy', 1_000, {}) == (
        found.free, found.route, found.prefix_tokens, found.warm_tokens
    )  # fmt: skip
    assert (200, 50, 1.0, 40.0) == (
        found.new_tokens, found.output_tokens, found.calls, found.turn_s
    )  # fmt: skip
    assert (0.5, 0.5) == (found.again, found.turns_left)


@pytest.mark.parametrize('single', [10, 2])
def test_a_first_turn_that_may_be_the_only_one_is_free(single) -> None:
    known = Conversations()
    for number in range(10):
        known.learn(asked(4_000, None), answered(), thread=str(number))
        if number >= single:
            for turn in range(5):
                asks = asked(4_300 + turn, str(number))
                known.learn(asks, answered(at_s=START_S + turn), thread=str(number))

    assert None is session(known, asked(4_000, None), START_S)


def test_a_tool_call_of_another_process_is_known_by_its_route_alone() -> None:
    found = session(Conversations(), asked(260, pending=True, pending_route='light'), START_S)

    assert ('light', True, 100) == (found.route, found.pending_tool_call, found.prefix_tokens)
    gone = asked(260, pending=True, pending_route='gone')
    assert None is session(Conversations(), gone, START_S)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ROUTES]),
            st.integers(0, 3_000),
            st.integers(0, 3_000),
            st.integers(0, 500),
            st.booleans(),
            st.floats(-10, 1_000),
            st.integers(0, 9_000),
        ),
        max_size=8,
    )
)
def test_whatever_is_learned_makes_a_session_that_a_router_takes(calls) -> None:
    known, at_s = Conversations(), START_S
    for route, plain, written, output, goes_on, pause_s, chars in calls:
        at_s += pause_s
        request = asked(chars, pending=goes_on)
        found = session(known, request, at_s)
        call = answered(
            route, at_s=at_s, chars=chars + output, input_tokens=plain + written,
            cache_write_tokens=written, output_tokens=output,
        )  # fmt: skip
        compacted = found is not None and found.free == 'compacted'
        known.learn(request, replace(call, goes_on=goes_on, compacted=compacted), thread='t')
    session(known, asked(500), at_s)
