"""Each policy by itself, on histories that fit on a page."""

from dataclasses import replace
from datetime import timedelta

import pytest

from farthing.context import (
    Block,
    Chain,
    ClearToolResults,
    History,
    PeriodicSummary,
    Plan,
    Select,
    State,
    TrimWhenCold,
    Window,
    dump,
    failed,
    load,
    plan,
    summarised,
)
from farthing.errors import ContextError

from .conftest import NOW, SETTING, chat, sent


def asked(turns: int, **sizes) -> History:
    """A history whose last request waits for its answer."""
    return History(blocks=chat(turns, **sizes)[:-1])


def test_a_window_keeps_the_system_text_the_first_request_and_the_newest_turns() -> None:
    planned = plan(Window(keep_turns=2, every=2), asked(6), State(), SETTING)

    # Turns of two blocks begin at 1, 3, 5, 7, 9 and 11; the last one is in progress.
    assert (0, 1) == planned.view.head
    assert (7, 8, 9, 10, 11) == planned.view.rest
    assert 3_000 + 120 + 2 * 400 + 120 == planned.view.tokens
    assert 280 + 2 * 400 == planned.decision.dropped_tokens


def test_a_trim_says_what_it_costs_and_saves_and_when_it_has_paid() -> None:
    window = Window(keep_turns=2, every=3)
    first = plan(window, asked(5), State(), SETTING)
    planned = plan(window, asked(6), first.state, SETTING)

    assert not first.decision.rewrite
    assert planned.decision.rewrite
    assert 'kept 2 turns' == planned.decision.reason
    # Of what was sent, turns 4 and 5 up to the request of turn 5: 520 tokens are written again.
    assert 520 * (3_750_000 - 300_000) == planned.decision.rewrite_cost
    assert (280 + 800) * 300_000 == planned.decision.saving
    assert 6 == planned.decision.break_even_calls  # 5.54


def test_on_a_cold_cache_everything_that_may_go_goes_at_once_and_costs_nothing() -> None:
    patient = Window(keep_turns=2)
    state = plan(patient, asked(5), State(), SETTING).state
    later = replace(SETTING, now=NOW + timedelta(minutes=6))

    for policy in (patient, TrimWhenCold(keep_turns=2)):
        warm = plan(policy, asked(6), state, SETTING)
        cold = plan(policy, asked(6), state, later)

        assert not warm.decision.rewrite
        assert (7, 8, 9, 10, 11) == cold.view.rest
        assert 0 == cold.decision.rewrite_cost


def test_a_window_that_waits_for_a_long_prompt_drops_nothing_before_not_even_when_cold() -> None:
    # Sixteen turns and a request, with the system text: 3,000 + 16 x 400 + 120 tokens.
    window = Window(keep_turns=2, every=1, at_tokens=9_520)
    short, long = (plan(window, asked(turns), State(), SETTING) for turns in (16, 17))

    assert (9_120, 0) == (short.view.tokens, short.decision.dropped_tokens)
    assert 3_000 + 120 + 2 * 400 + 120 == long.view.tokens
    assert 'kept 2 turns' == long.decision.reason


def test_over_the_limit_half_of_the_room_is_given_up_so_that_it_lasts() -> None:
    history = replace(asked(20), limit=9_000)
    planned = plan(Window(keep_turns=18), history, State(), SETTING)

    # The smallest prompt is the head and the newest request: 3,240 tokens; half way is 6,120.
    assert 5_640 <= planned.view.tokens <= 6_120
    assert 'over the limit of 9000 tokens' == planned.decision.reason


def test_inside_a_long_turn_the_oldest_steps_go_with_their_results() -> None:
    history = replace(asked(1, calls=9), limit=10_000)
    planned = plan(Window(), history, State(), SETTING)

    assert (0, 1) == planned.view.head
    assert 'tool_call' == history.blocks[planned.view.rest[0]].kind
    assert planned.view.tokens <= 10_000


# --- summaries


def summarising(turns: int, state: State, **how) -> Plan:
    return plan(PeriodicSummary(keep_turns=2, every=2, **how), asked(turns), state, SETTING)


def test_the_old_view_serves_until_the_summary_is_there_and_the_turn_is_over() -> None:
    waiting = summarising(5, State())
    request = waiting.state.asked

    assert (3, 7) == (request.start + 2, request.stop)  # turns 1 to 3, without the first request
    assert request.previous is None
    assert not waiting.decision.rewrite
    assert summarising(5, waiting.state).state.asked == request  # no second one meanwhile

    state = summarised(waiting.state, request, digest='sum', tokens=90, cost=7)
    same_turn = summarising(5, state)
    assert not same_turn.decision.rewrite

    taken = summarising(6, same_turn.state)
    assert ['system', 'asked 0', 'sum', 'asked 3'] == sent(asked(6), taken.view)[:4]
    assert 3_120 + 90 + 2 * 400 + 120 == taken.view.tokens
    assert 'kept 2 turns and a summary' == taken.decision.reason
    # The prompt of turn 5 ended with its request: 400 + 120 of it are written again.
    assert 520 * 3_450_000 + 90 * 3_750_000 + 7 == taken.decision.rewrite_cost


def test_the_next_summary_takes_up_the_one_before_it_and_only_the_new_slice() -> None:
    state = summarised(s := summarising(5, State()).state, s.asked, digest='one', tokens=90)
    state = summarising(6, state).state
    later = summarising(7, state).state.asked or summarising(8, state).state.asked

    assert 'one' == later.previous.digest
    assert 7 == later.start


def test_a_failed_summary_loses_nothing_and_is_asked_for_later_and_later() -> None:
    policy, history, setting = PeriodicSummary(keep_turns=2, every=2), asked(6), SETTING
    state, waits = State(), []
    for _ in range(4):
        planned = plan(policy, history, state, setting)
        assert tuple(range(len(history.blocks))) == planned.view.kept
        state = failed(planned.state, planned.state.asked, setting.now)
        waits.append((state.retry_at - setting.now).total_seconds())
        assert plan(policy, history, state, setting).state.asked is None
        setting = replace(setting, now=state.retry_at)

    assert [30, 60, 120, 240] == waits


def test_a_summary_that_fails_leaves_the_one_before_it_where_it_is() -> None:
    state = summarised(s := summarising(5, State()).state, s.asked, digest='one')
    state = summarising(6, state).state
    again = summarising(8, state).state
    assert again.asked

    planned = summarising(9, failed(again, again.asked, NOW))

    assert (again.cut, 'one') == (planned.state.cut, planned.view.summary.digest)
    assert not planned.decision.rewrite


def test_a_summary_that_comes_too_late_is_not_taken() -> None:
    waiting = summarising(5, State()).state
    moved_on = failed(waiting, waiting.asked, NOW)

    assert moved_on == summarised(moved_on, waiting.asked, digest='late')
    assert moved_on == failed(moved_on, waiting.asked, NOW)


def test_a_long_history_is_summarised_in_slices_that_a_model_can_read() -> None:
    policy = PeriodicSummary(keep_turns=2, every=1, slice_tokens=1_300)
    state, slices = State(), []
    for turns in range(12, 16):
        state = plan(policy, asked(turns), state, SETTING).state
        slices.append((state.asked.start, state.asked.stop))
        state = summarised(state, state.asked, digest=f'summary {turns}')
        state = plan(policy, asked(turns), state, SETTING).state

    # Three turns of 400 tokens each time, one after the other.
    assert [(1, 7), (7, 13), (13, 19), (19, 25)] == slices


def test_a_summary_that_nobody_makes_is_asked_for_again() -> None:
    waiting = summarising(5, State()).state
    later = replace(SETTING, now=NOW + timedelta(minutes=11))
    again = plan(PeriodicSummary(keep_turns=2, every=2), asked(5), waiting, later).state

    assert later.now == again.asked.at
    assert again == summarised(again, waiting.asked, digest='late')


def test_what_the_limit_dropped_is_asked_to_be_summarised_at_once() -> None:
    history = replace(asked(20), limit=9_000)
    policy = PeriodicSummary(keep_turns=15)
    cut = plan(policy, history, State(), SETTING).state
    request = plan(policy, history, replace(cut, asked=None), SETTING).state.asked

    assert cut.cut > 0
    assert (1, cut.cut) == (request.start, request.stop)


# --- tool results


def test_old_results_are_cleared_once_and_stay_cleared() -> None:
    policy = ClearToolResults(keep=1, at_least=1_500)
    # Results of 1,200 tokens stand at 3, 5, 9 and 11; clearing one saves 1,192.
    first = plan(policy, asked(1, calls=3), State(), SETTING)
    second = plan(policy, asked(2, calls=3), first.state, SETTING)
    third = plan(policy, asked(2, calls=3), second.state, SETTING)

    assert frozenset() == first.view.cleared
    assert {3, 5, 9} == second.view.cleared
    assert tuple(range(12)) == second.view.kept
    assert 'cleared 3 tool results' == second.decision.reason
    assert (third.view, False) == (second.view, third.decision.rewrite)


def test_results_that_are_shorter_than_the_note_are_left() -> None:
    blocks = chat(2, calls=2)
    short = tuple(replace(one, tokens=5) if one.kind == 'tool_result' else one for one in blocks)
    policy = ClearToolResults(keep=0, at_least=1)

    assert not plan(policy, History(blocks=short[:-1]), State(), SETTING).view.cleared


# --- retrieval


def test_what_is_found_stands_behind_all_else_and_rewrites_nothing() -> None:
    calls = []

    def find(among: frozenset[int], budget: int) -> list[int]:
        calls.append((among, budget))
        return [2, 3]

    policy = Chain(policies=(Window(keep_turns=2, every=2), Select(budget=500)))
    planned = plan(policy, replace(asked(6), find=find), State(), SETTING)
    again = plan(policy, replace(asked(6), find=find), planned.state, SETTING)

    assert [(frozenset({2, 3, 4, 5, 6}), 500)] * 2 == calls
    assert (2, 3) == planned.view.retrieved
    assert 3_120 + 800 + 120 + 400 == planned.view.tokens
    assert 400 * 3_000_000 == planned.decision.retrieved_cost
    assert not again.decision.rewrite


def test_nothing_is_looked_for_where_nothing_was_dropped() -> None:
    def find(among: frozenset[int], budget: int) -> list[int]:
        raise AssertionError(among, budget)

    assert () == plan(Select(), replace(asked(6), find=find), State(), SETTING).view.retrieved


# --- the state


def test_a_state_survives_being_stored() -> None:
    waiting = summarising(5, State()).state
    for state in (State(), waiting, summarised(waiting, waiting.asked, digest='sum')):
        assert state == load(dump(state))


@pytest.mark.parametrize(
    ('data', 'said'),
    [
        (b'', 'it is no state'),
        (b'[]', 'it is no state'),
        (b'{"version": 9}', 'has version 9, we know 1'),
        (b'{"version": 1, "cut": 3}', "has \\['cut'\\]"),
    ],
)
def test_what_is_no_state_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ContextError, match=said):
        load(data)


@pytest.mark.parametrize(
    'made',
    [
        lambda: Window(keep_turns=0),
        lambda: Window(every=0),
        lambda: Window(at_tokens=-1),
        lambda: TrimWhenCold(keep_turns=0),
        lambda: PeriodicSummary(every=-1),
        lambda: PeriodicSummary(summary_tokens=0),
        lambda: ClearToolResults(keep=-1),
        lambda: ClearToolResults(at_least=0),
        lambda: Select(budget=0),
        lambda: Block(kind='user', tokens=-1, digest=''),
    ],
)
def test_numbers_that_make_no_policy_are_refused(made) -> None:
    with pytest.raises(ContextError):
        made()
