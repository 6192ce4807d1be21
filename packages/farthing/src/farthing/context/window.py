"""Windows over the newest turns that trim rarely and far, when that is cheapest."""

from dataclasses import dataclass, replace
from typing import Literal

from farthing.context import economics
from farthing.context.planning import seen
from farthing.context.values import History, Request, Setting, State, Step
from farthing.errors import ContextError


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Keeps the newest turns; older ones stay until dropping them pays.

    A window that moves every turn changes the prompt's beginning every turn, and no cache survives
    it. This one lets turns pile up, then drops all but the last `keep_turns`.

    How rarely it trims changes its cost little and what its prompts hold a lot: for the same money,
    fewer kept turns and a higher `at_tokens` show a model more of the session.

    Attributes:
        keep_turns: Full turns that always stay, besides the one in progress.
        every: Turns that pile up between two trims; `auto` takes the cheapest number by the rates
            and the growth that the session has shown so far.
        at_tokens: Nothing is dropped from a shorter prompt, tools and system text included.

    Raises:
        ContextError: A number is too small.
    """

    keep_turns: int = 6
    every: int | Literal['auto'] = 'auto'
    at_tokens: int = 0

    def __post_init__(self) -> None:
        check_turns(self.keep_turns, self.every)
        if self.at_tokens < 0:
            raise ContextError(f'`at_tokens` is {self.at_tokens!r}: expected at least 0 tokens')

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """Drop what has piled up, if enough has."""
        start = keep_start(history, self.keep_turns)
        if start <= state.cut or seen(history, state).tokens < self.at_tokens:
            return Step(state=state)
        if not is_due(self.every, history, state, setting, start):
            return Step(state=state)
        return Step(state=replace(state, cut=start), reason=f'kept {self.keep_turns} turns')


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimWhenCold:
    """Keeps the newest turns once the cache has gone cold: then dropping the others costs nothing.

    Attributes:
        keep_turns: Full turns that always stay, besides the one in progress.
    """

    keep_turns: int = 6

    def __post_init__(self) -> None:
        check_turns(self.keep_turns, 'auto')

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """Drop all that may be dropped, if the last call is long ago."""
        start = keep_start(history, self.keep_turns)
        if start <= state.cut or not setting.is_cold(state):
            return Step(state=state)
        return Step(state=replace(state, cut=start), reason='the cache was cold')


def check_turns(keep_turns: int, every: int | Literal['auto']) -> None:
    """Refuse numbers of turns that make no window."""
    if keep_turns < 1:
        raise ContextError(f'`keep_turns` is {keep_turns!r}: expected at least 1')
    if every != 'auto' and every < 1:
        raise ContextError(f"`every` is {every!r}: expected 'auto' or at least 1 turn")


def keep_start(history: History, keep_turns: int) -> int:
    """Where the newest full turns begin; 0 where there are no older ones."""
    turns = history.turns
    return turns[-1 - keep_turns].start if len(turns) > keep_turns + 1 else 0


def is_due(
    every: int | Literal['auto'],
    history: History,
    state: State,
    setting: Setting,
    start: int,
    request: Request | None = None,
) -> bool:
    """Whether enough has piled up before `start`.

    Args:
        every: Turns, or `auto`.
        history: The session.
        state: As the last call left it.
        setting: Rates and time.
        start: Where the view would begin.
        request: The summary that would stand for what is dropped.
    """
    if every != 'auto':
        return sum(state.cut <= turn.start < start for turn in history.turns) >= every
    first = history.turns[0].start
    cached = state.seen > start and not setting.is_cold(state)
    kept = history.tokens(start, state.seen) if cached else 0
    dropped = history.tokens(max(state.cut, first), start)
    fixed_cost = token_cost = 0
    if request is not None:
        kept += request.tokens
        dropped += (request.previous.tokens if request.previous else 0) - request.tokens
        token_cost = request.token_cost
        fixed_cost = request.cost - token_cost * history.tokens(request.start, request.stop)
    return economics.is_due(
        setting,
        dropped=dropped,
        rewritten=kept,
        added=history.tokens(first, len(history.blocks)),
        calls=history.calls(),
        fixed_cost=fixed_cost,
        token_cost=token_cost,
    )
