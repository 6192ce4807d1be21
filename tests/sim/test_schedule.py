"""The way of a batch, as a function of time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from farthing_sim import BatchRules
from farthing_sim.faults import Fault
from farthing_sim.schedule import Schedule

SECONDS = st.integers(0, 200_000)
SCHEDULES = st.builds(
    Schedule,
    rules=st.builds(
        BatchRules, processing_s=SECONDS, validating_s=SECONDS, finalizing_s=SECONDS,
        cancelling_s=SECONDS, expires_s=st.integers(1, 200_000),
    ),
    fault=st.builds(
        Fault, stalls_after=st.none() | st.integers(0, 20), cancel_completes=st.integers(0, 20)
    ),
    created_s=st.just(0.0),
    total=st.integers(1, 20),
)  # fmt: skip


@given(SCHEDULES, SECONDS, SECONDS)
def test_what_was_answered_stays_answered(schedule, one, other):
    early, late = sorted((one, other))

    assert 0 <= schedule.due(early) <= schedule.due(late) <= schedule.total


@given(SCHEDULES)
def test_a_batch_is_completed_if_and_only_if_all_of_it_is_answered_at_its_end(schedule):
    whole = schedule.due(schedule.end_s) == schedule.total

    assert whole == (schedule.end == 'completed')


@given(SCHEDULES, SECONDS, SECONDS)
def test_a_cancellation_keeps_what_was_answered_and_adds_what_was_asked_for(
    schedule, cancelled_s, later_s
):
    cancelled = replace(schedule, cancelled_s=float(cancelled_s))
    before = schedule.due(cancelled_s)
    most = min(schedule.total, before + schedule.fault.cancel_completes)

    assert most == cancelled.due(cancelled_s) == cancelled.due(cancelled_s + later_s)
    assert 'cancelled' == cancelled.end


@given(SCHEDULES, st.data())
def test_no_request_is_answered_before_it_is_due(schedule, data):
    position = data.draw(st.integers(0, schedule.total - 1))
    at_s = schedule.answered_at_s(position)

    assert schedule.begun_s <= at_s <= schedule.answered_s
    free = replace(schedule, fault=Fault(), rules=replace(schedule.rules, expires_s=1e9))
    assert position < free.due(at_s + 1e-3)
