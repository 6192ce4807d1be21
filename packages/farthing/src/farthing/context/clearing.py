"""Old tool results give way to a short note: in agents they are most of the prompt.

A cleared result stays cleared, and results are cleared many at a time: each time, all that stands
behind the first of them is written again.
"""

from dataclasses import dataclass, replace
from typing import Literal

from farthing.context.economics import is_due
from farthing.context.planning import CLEARED_TOKENS, clearable
from farthing.context.values import History, Setting, State, Step
from farthing.context.window import keep_start
from farthing.errors import ContextError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearToolResults:
    """Clears tool results but the newest ones, once enough of them is there for it to pay.

    The calls and their arguments stay, so that every result keeps its call.

    Attributes:
        keep: So many of the newest results stay.
        keep_turns: And all results of so many of the newest full turns; 0 looks at `keep` alone.
        at_least: Tokens that are cleared at a time; `auto` takes the cheapest number by the rates
            and the growth that the session has shown so far.

    Raises:
        ContextError: A number is too small.
    """

    keep: int = 3
    keep_turns: int = 0
    at_least: int | Literal['auto'] = 'auto'

    def __post_init__(self) -> None:
        least = 1 if self.at_least == 'auto' else self.at_least
        if min(self.keep, self.keep_turns) < 0 or least < 1:
            raise ContextError(
                f'{self} cannot be: expected `keep` and `keep_turns` of at least 0, '
                "`at_least` 'auto' or at least 1 token"
            )

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """Clear what has piled up, if enough has."""
        stop = self._stop(history)
        gains = {
            at: history.blocks[at].tokens - CLEARED_TOKENS
            for at in range(max(state.cleared, state.cut), stop)
            if clearable(history, at)
        }
        if not gains or not self._pays(history, state, setting, gains):
            return Step(state=state)
        return Step(state=replace(state, cleared=stop), reason=f'cleared {len(gains)} tool results')

    def _stop(self, history: History) -> int:
        """The first block whose result stays."""
        results = [at for at, one in enumerate(history.blocks) if one.kind == 'tool_result']
        kept = results[-self.keep :] if self.keep else []
        stop = kept[0] if kept else len(history.blocks)
        if len(results) <= self.keep:
            return 0
        return min(stop, keep_start(history, self.keep_turns)) if self.keep_turns else stop

    def _pays(
        self, history: History, state: State, setting: Setting, gains: dict[int, int]
    ) -> bool:
        gained = sum(gains.values())
        if self.at_least != 'auto':
            return gained >= self.at_least
        again = 0
        if min(gains) < state.seen and not setting.is_cold(state):
            again = history.tokens(min(gains), state.seen)
            again -= sum(gain for at, gain in gains.items() if at < state.seen)
        results = sum(
            one.tokens - CLEARED_TOKENS
            for at, one in enumerate(history.blocks)
            if clearable(history, at)
        )
        return is_due(
            setting, dropped=gained, rewritten=again, added=results, calls=history.calls()
        )
