"""Compaction by the provider itself, as a policy: it is only switched on and read."""

from dataclasses import dataclass

from farthing.context.values import History, Setting, State, Step
from farthing.errors import ContextError

# Anthropic, compaction: `trigger.value` is at least 50,000 input tokens, 150,000 unless given.
LEAST_TOKENS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCompaction:
    """Lets the provider compact a long history; the adapter adds what the request needs for that.

    What it costs is read from the answer, as entries of the purpose `compaction`. It is a policy of
    its own: one that cuts the same history would work against it.

    Attributes:
        at_tokens: Input tokens from which on the provider compacts.

    Raises:
        ContextError: It is fewer than a provider takes.
    """

    at_tokens: int = 150_000

    def __post_init__(self) -> None:
        if self.at_tokens < LEAST_TOKENS:
            raise ContextError(
                f'`at_tokens` is {self.at_tokens!r}: expected at least {LEAST_TOKENS:,}'
            )

    def step(self, history: History, state: State, setting: Setting) -> Step:  # noqa: ARG002
        """No change of ours."""
        return Step(state=state)
