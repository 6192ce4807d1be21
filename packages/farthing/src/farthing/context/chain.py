"""Several policies, each working on what the one before it left."""

from dataclasses import dataclass

from farthing.context.planning import Policy
from farthing.context.values import History, Setting, State, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Policies in order, such as `ClearToolResults` before `Window` before `Select`.

    Attributes:
        policies: Who steps, first to last.
    """

    policies: tuple[Policy, ...]

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """All their steps as one."""
        reasons: list[str] = []
        retrieved: tuple[int, ...] = ()
        for policy in self.policies:
            done = policy.step(history, state, setting)
            state = done.state
            reasons += [done.reason] if done.reason else []
            retrieved += done.retrieved
        return Step(
            state=state, reason='; '.join(reasons), retrieved=tuple(dict.fromkeys(retrieved))
        )
