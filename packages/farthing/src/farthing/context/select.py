"""Old turns that bear on the newest request, repeated at the end of the prompt.

They differ from call to call, so they stand behind all that a cache can keep: nothing is written
again for them. They cost their own tokens at the full price on each call, and are asked for only
where turns have been dropped.
"""

from dataclasses import dataclass

from farthing.context.planning import seen
from farthing.context.values import History, Setting, State, Step
from farthing.errors import ContextError


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """Finds dropped blocks again; put it last in a `Chain`, after what drops them.

    Attributes:
        budget: The most tokens that are repeated.
        rankers: Names of what ranks the blocks, see `farthing.context.rankers`; the orders of
            several become one. Who makes `History.find` reads it.

    Raises:
        ContextError: The budget is too small.
    """

    budget: int = 2_000
    rankers: tuple[str, ...] = ('bm25',)

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ContextError(f'`budget` is {self.budget!r}: expected at least 1 token')

    def step(self, history: History, state: State, setting: Setting) -> Step:  # noqa: ARG002
        """Repeat what `history.find` finds, within the budget and the limit."""
        if history.find is None or not state.cut:
            return Step(state=state)
        view = seen(history, state)
        budget = self.budget
        if history.limit is not None:
            budget = min(budget, history.limit - view.tokens)
        hidden = frozenset(range(state.cut)) - {*view.kept}
        if budget < 1 or not hidden:
            return Step(state=state)
        return Step(state=state, retrieved=tuple(history.find(hidden, budget)))
