"""What levers decided about the request that leaves next, until the tap knows which entry it is.

A lever decides before its request leaves; the entry that the decision belongs to is known when the
answer has come. In between the decision waits in the context of the call, as the run does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from farthing.entry import Decision
from farthing.wire.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request.

    Attributes:
        time: When it left, in UTC.
        first_token_us: Time to the first byte of a streamed answer, else to its end.
        reading: What the answer said; `None` when there was none to read.
        ok: Whether the provider served it.
    """

    time: datetime
    first_token_us: int
    reading: Reading | None
    ok: bool


Choice = Callable[[str, Answer], Decision]
"""What a lever says of its request when that is answered: the decision, given its entry's id.

It is called once for each attempt, and may learn from the answer.
"""

_waiting: ContextVar[tuple[Choice, ...]] = ContextVar('farthing_choices', default=())


@contextmanager
def choosing() -> Iterator[None]:
    """A block in which one request is decided about and sent, with its retries."""
    outer = _waiting.set(())
    try:
        yield
    finally:
        _waiting.reset(outer)


def choose(choice: Choice) -> None:
    """Let a choice wait for the request that leaves next inside the `choosing` block."""
    _waiting.set((*_waiting.get(), choice))


def chosen() -> tuple[Choice, ...]:
    """The choices about a request that leaves this context now."""
    return _waiting.get()
