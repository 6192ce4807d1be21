"""A summary in place of the oldest turns, asked for when it pays and never made here.

A step asks by setting `State.asked`. Whoever calls models makes the summary after the answer, while
the old view serves, and says so with `summarised` or `failed`; nothing is dropped before that.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from farthing.context.planning import seen
from farthing.context.rates import Rates
from farthing.context.values import History, Request, Setting, State, Step, Summary
from farthing.context.window import check_turns, is_due, keep_start
from farthing.errors import ContextError

INSTRUCTION_TOKENS = 150
"""About what the request for a summary adds to what it is of."""
_LOST = timedelta(minutes=10)  # Whoever was to make the summary is gone by then.
_FIRST_WAIT = timedelta(seconds=30)
_MOST_DOUBLINGS = 7  # about an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicSummary:
    """Replaces the oldest turns by a summary that takes up the one before it.

    Attributes:
        every: Turns that pile up between two summaries; `auto` takes the cheapest number by the
            rates, the growth that the session has shown, and what a summary costs.
        keep_turns: Full turns that always stay as they were, besides the one in progress.
        summary_tokens: About how long a summary is.
        slice_tokens: The most that one is made of, besides the one before it: a model that gets
            more than it can read sees the end of it alone. A single turn may be longer.
        rates: Of the model that makes them; `None` is the session's own.
        may_share: Whether the session's own model can be asked behind the prompt that it has
            cached.

    Raises:
        ContextError: A number is too small.
    """

    every: int | Literal['auto'] = field(default='auto', kw_only=False)
    keep_turns: int = 6
    summary_tokens: int = 400
    slice_tokens: int = 60_000
    rates: Rates | None = None
    may_share: bool = True

    def __post_init__(self) -> None:
        check_turns(self.keep_turns, self.every)
        if min(self.summary_tokens, self.slice_tokens) < 1:
            raise ContextError(f'{self} cannot be: expected at least 1 token')

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """Take a summary that is ready; else ask for one, if enough has piled up."""
        start = keep_start(history, self.keep_turns)
        if state.ready is not None:
            if state.ready.until > max(start, state.cut):
                return Step(state=state)
            cut = max(state.cut, state.ready.until)
            taken = replace(state, cut=cut, summary=state.ready, ready=None)
            return Step(state=taken, reason=f'kept {self.keep_turns} turns and a summary')
        # The turn in progress will be a full one when the summary is taken.
        stop = max(keep_start(history, self.keep_turns - 1), state.cut)
        covered = state.summary.until if state.summary else 0
        if stop <= covered or _waits(state, setting.now):
            return Step(state=state)
        request = self._request(history, state, setting, stop)
        # What was dropped for another reason is missing until a summary covers it.
        due = state.cut > covered or is_due(
            self.every, history, state, setting, request.stop, request
        )
        replaced = history.tokens(request.start, request.stop)
        replaced += state.summary.tokens if state.summary else 0
        due = due and replaced >= self.summary_tokens // 2  # else there is nothing to sum up
        return Step(state=replace(state, asked=request) if due else state)

    def _request(self, history: History, state: State, setting: Setting, stop: int) -> Request:
        old = state.summary
        begin = old.until if old else history.turns[0].start
        stop = self._within_slice(history, begin, stop)
        piece = INSTRUCTION_TOKENS + (old.tokens if old else 0) + history.tokens(begin, stop)
        view = seen(history, state).tokens
        own, cheap = setting.rates, self.rates or setting.rates
        # The session's own model reads the view from its cache, if nothing is missing there.
        shared = view * own.read + INSTRUCTION_TOKENS * own.input
        shared += self.summary_tokens * own.output
        apart = piece * cheap.input + self.summary_tokens * cheap.output
        shares = self.may_share and shared < apart and state.cut <= begin
        return Request(
            start=begin,
            stop=stop,
            anchor=history.anchor(stop),
            previous=old,
            tokens=self.summary_tokens,
            shares_prefix=shares,
            cost=shared if shares else apart,
            token_cost=own.read if shares else cheap.input,
            at=setting.now,
        )

    def _within_slice(self, history: History, begin: int, stop: int) -> int:
        """The last turn up to which a summary can be made; the first one, if that is too long."""
        ends = [turn.start for turn in history.turns if begin < turn.start < stop] + [stop]
        fit = [end for end in ends if history.tokens(begin, end) <= self.slice_tokens]
        return fit[-1] if fit else ends[0]


def _waits(state: State, now: datetime) -> bool:
    """Whether a summary is under way, or failed not long ago."""
    if state.asked is not None and now - state.asked.at < _LOST:
        return True
    return state.retry_at is not None and now < state.retry_at


def summarised(
    state: State,
    request: Request,
    *,
    digest: str,
    tokens: int | None = None,
    cost: int | None = None,
) -> State:
    """The state once a summary has been made; unchanged if it was asked for by another state.

    Args:
        state: As it is now, which may be later than the request.
        request: What was asked for.
        digest: A keyed fingerprint of the text.
        tokens: Its length; as expected, if not said.
        cost: What it cost in 1e-12 USD; as expected, if not said.
    """
    if state.asked != request:
        return state
    made = Summary(
        until=request.stop,
        tokens=request.tokens if tokens is None else tokens,
        digest=digest,
        cost=request.cost if cost is None else cost,
    )
    return replace(state, asked=None, ready=made, failures=0, retry_at=None)


def failed(state: State, request: Request, now: datetime) -> State:
    """The state once a summary could not be made: all stays, and the next one is asked for later.

    Each failure in a row doubles the wait, from half a minute to about an hour.
    """
    if state.asked != request:
        return state
    wait = _FIRST_WAIT * 2 ** min(state.failures, _MOST_DOUBLINGS)
    return replace(state, asked=None, failures=state.failures + 1, retry_at=now + wait)
