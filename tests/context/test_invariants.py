"""What holds under every policy, for every history."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farthing.context import (
    Chain,
    ClearToolResults,
    History,
    PeriodicSummary,
    Plan,
    Policy,
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
from farthing.context.optimum import optimum
from farthing.context.planning import seen
from farthing.context.replay import Session, Whole, replay
from farthing.context.turns import unpaired
from farthing.errors import ContextError

from .conftest import HAIKU, SETTING, chat, prompts, sent, sessions, size, tariff

# A session is many calls; how long it takes to make or to live is no matter here.
LIVES = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])

KEEPS = st.integers(1, 4)
EVERY = st.one_of(st.just('auto'), st.integers(1, 4))
AT_TOKENS = st.sampled_from([0, 5_000, 20_000])
SIMPLE = st.one_of(
    st.builds(Window, keep_turns=KEEPS, every=EVERY, at_tokens=AT_TOKENS),
    st.builds(TrimWhenCold, keep_turns=KEEPS),
    st.builds(
        PeriodicSummary,
        keep_turns=KEEPS,
        every=EVERY,
        summary_tokens=st.integers(1, 500),
        rates=st.sampled_from([None, HAIKU]),
    ),
    st.builds(
        ClearToolResults,
        keep=st.integers(0, 3),
        keep_turns=st.integers(0, 3),
        at_least=st.one_of(st.just('auto'), st.integers(1, 4_000)),
    ),
)
POLICIES = st.one_of(
    SIMPLE,
    st.lists(SIMPLE, max_size=3).map(lambda some: Chain(policies=(*some, Select(budget=1_000)))),
)
ENDS = st.sampled_from(['done', 'failed', 'late'])


def found(among: frozenset[int], budget: int) -> Sequence[int]:
    """The newest of what may be found, as if each text had 100 tokens."""
    return sorted(among)[-(budget // 100) :] if budget >= 100 else ()


def lived(
    policy: Policy, session: Session, *, ends: Sequence[str] = (), limit: int | None = None
) -> Iterator[tuple[History, Plan]]:
    """A session from its first call to its last, an hour of silence before every fifth."""
    state, setting, ends = State(), SETTING, list(ends)
    for number, history in enumerate(prompts(session, limit=limit, find=found)):
        pause = timedelta(hours=1) if number % 5 == 4 else timedelta(seconds=20)
        setting = replace(setting, now=setting.now + pause)
        planned = plan(policy, history, state, setting)
        yield history, planned
        state = load(dump(planned.state))
        assert planned.state == state
        end = ends.pop() if state.asked and ends else 'done'
        if state.asked and end == 'done':
            state = summarised(state, state.asked, digest=f'summary {number}')
        elif state.asked and end == 'failed':
            state = failed(state, state.asked, setting.now)


@LIVES
@given(POLICIES, sessions(), st.lists(ENDS))
def test_each_result_has_its_call_and_each_call_its_results(policy, session, ends) -> None:
    for history, planned in lived(policy, session, ends=ends):
        assert 0 == unpaired([history.blocks[at] for at in planned.view.kept])


@LIVES
@given(POLICIES, sessions(), st.lists(ENDS))
def test_system_texts_the_first_and_the_newest_request_stay(policy, session, ends) -> None:
    for history, planned in lived(policy, session, ends=ends):
        kept = planned.view.kept
        systems = {at for at, one in enumerate(history.blocks) if one.kind == 'system'}
        requests = [at for at, one in enumerate(history.blocks) if one.kind == 'user']

        assert systems <= {*kept}
        assert {*requests[:1], *requests[-1:]} <= {*kept}
        assert list(kept) == sorted({*kept})


@LIVES
@given(POLICIES, sessions(), st.lists(ENDS))
def test_what_was_sent_is_sent_again_unless_the_decision_says_rewrite(
    policy, session, ends
) -> None:
    before: list[str] = []
    for history, planned in lived(policy, session, ends=ends):
        now = sent(history, planned.view)

        assert planned.decision.rewrite == (before != now[: len(before)])
        assert planned.decision.reason or not planned.decision.rewrite
        before = now


@LIVES
@given(POLICIES, sessions(), st.integers(2_000, 20_000))
def test_no_prompt_is_over_the_limit_counted_with_tools_and_system(policy, session, limit) -> None:
    # It may be refused, where even head, newest request and newest step are too long.
    with suppress(ContextError):
        for history, planned in lived(policy, session, limit=limit):
            assert size(history, planned.view) == planned.view.tokens
            assert size(history, planned.view) == planned.decision.kept_tokens
            assert planned.view.tokens <= limit


@LIVES
@given(POLICIES, sessions(), st.integers(2_000, 20_000))
def test_a_limit_that_only_the_whole_history_exceeds_is_kept_and_not_refused(
    policy, session, room
) -> None:
    """A prompt of head, newest request and newest step alone always fits."""
    blocks = session.blocks
    head = sum(one.tokens for one in blocks if one.kind == 'system')
    step = sum(sorted((one.tokens for one in blocks), reverse=True)[:8])
    limit = session.tool_tokens + head + step + room

    for history, planned in lived(policy, session, limit=limit):
        assert size(history, planned.view) <= limit


@LIVES
@given(KEEPS, EVERY, AT_TOKENS, sessions())
def test_no_window_drops_anything_from_a_prompt_that_is_shorter_than_it_may_be(
    keep, every, at_tokens, session
) -> None:
    policy = Window(keep_turns=keep, every=every, at_tokens=at_tokens)
    state = State()
    for history, planned in lived(policy, session):
        if seen(history, state).tokens < at_tokens:
            assert state.cut == planned.state.cut
        state = planned.state


@LIVES
@given(POLICIES, sessions(), st.lists(ENDS))
def test_the_same_input_gives_the_same_output(policy, session, ends) -> None:
    assert list(lived(policy, session, ends=ends)) == list(lived(policy, session, ends=ends))


@LIVES
@given(POLICIES, sessions(), st.lists(ENDS))
def test_nothing_is_dropped_for_a_summary_that_was_not_made(policy, session, ends) -> None:
    """What a summary covers was asked for, and the policy's newest turns stay as they were."""
    for history, planned in lived(policy, session, ends=ends):
        summary = planned.view.summary
        if isinstance(policy, PeriodicSummary):
            turns = history.turns
            newest = turns[-min(policy.keep_turns + 1, len(turns))].start if turns else 0

            assert (planned.state.cut > 0) == (summary is not None)
            assert {*range(newest, len(history.blocks))} <= {*planned.view.kept}
            assert summary is None or summary.until == planned.state.cut


@LIVES
@given(sessions(), KEEPS, st.sampled_from([1_024, 4_096, 0]))
def test_no_policy_costs_less_than_the_optimum_that_keeps_as_much(session, keep, least) -> None:
    prices = tariff()

    def cacheable(tokens: int) -> bool:
        return tokens >= least > 0

    best = optimum(session, prices, keep_turns=keep, cacheable=cacheable).cost
    for policy in (
        Whole(),
        Window(keep_turns=keep),
        Window(keep_turns=keep, every=1),
        Window(keep_turns=keep, every=3),
        Window(keep_turns=keep, at_tokens=10_000),
        PeriodicSummary(keep_turns=keep),
        ClearToolResults(keep_turns=keep),
    ):
        run = replay(session, policy, prices, cacheable=cacheable)
        uncached = replay(session, policy, prices, cacheable=lambda _: False)

        assert best <= run.cost
        assert best <= uncached.cost
        assert 0 == run.invalid_prompts


@LIVES
@given(sessions())
def test_a_history_that_was_edited_begins_anew(session) -> None:
    histories = list(prompts(session))
    state = (
        plan(Window(keep_turns=1, every=1), histories[-1], State(), SETTING).state
        if (histories)
        else State()
    )
    if not state.settled:
        return
    first = replace(histories[-1].blocks[0], digest='edited')
    edited = History(blocks=(first, *histories[-1].blocks[1:]))

    planned = plan(Whole(), edited, state, SETTING)

    assert tuple(range(len(edited.blocks))) == planned.view.kept
    assert planned.decision.rewrite
    assert 'the history was changed' == planned.decision.reason


def test_a_prompt_that_cannot_be_short_enough_says_why() -> None:
    history = History(blocks=chat(3)[:-1], fixed_tokens=500, limit=3_000)

    with pytest.raises(ContextError, match=r'smallest prompt .* 3740 tokens, 500 of them tools'):
        plan(Window(), history, State(), SETTING)
