"""What levers decided about the request that leaves next, until the tap knows which entry it is.

A lever decides before its request leaves; the entry that the decision belongs to is known when the
answer has come. In between the decision waits in the context of the call, as the run does. It
belongs to every attempt at its request, and to no request after one that was answered.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from farthing.entry import Decision
from farthing.wire.prompt import Shape
from farthing.wire.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request.

    Attributes:
        time: When it left, in UTC.
        first_token_us: Time to the first byte of a streamed answer, else to its end.
        reading: What the answer said; `None` when there was none to read.
        ok: Whether the provider served it.
        official: Whether it went to the provider's own address.
    """

    time: datetime
    first_token_us: int
    reading: Reading | None
    ok: bool
    official: bool


Settle = Callable[[str, Answer], Decision]
"""What a lever says of its request when that is answered: the decision, given its entry's id."""


class Choice:
    """A decision that waits for its entry."""

    __slots__ = ('_settle', 'lever', 'settled', 'shape')

    def __init__(self, lever: str, shape: Shape, settle: Settle) -> None:
        self.lever = lever
        self.shape = shape
        self.settled = False
        self._settle = settle

    def about(self, entry_id: str, answer: Answer) -> Decision:
        """The decision about one attempt; the first that was served is the last."""
        self.settled = answer.ok
        return self._settle(entry_id, answer)


_waiting: ContextVar[tuple[Choice, ...]] = ContextVar('farthing_choices', default=())


def choose(choice: Choice) -> None:
    """Let a choice wait for the request of its shape that leaves this context next.

    It takes the place of the lever's earlier choice.
    """
    others = tuple(one for one in _waiting.get() if one.lever != choice.lever and not one.settled)
    _waiting.set((*others, choice))


def chosen(shape: Shape) -> tuple[Choice, ...]:
    """The choices about a request of that shape that leaves this context now."""
    return tuple(one for one in _waiting.get() if not one.settled and one.shape == shape)
