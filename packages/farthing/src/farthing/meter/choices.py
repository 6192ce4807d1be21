"""What levers decided about the request that leaves next, until the tap knows which entry it is.

A lever decides before its request leaves; the entry that the decision belongs to is known when the
answer has come. In between the decision waits in the context of the call, as the run does. It
belongs to every attempt at its request, and to no request after one that was answered.

Where a framework sends a request from another context than the one that decided, the decision is
offered to all contexts, and the request's own words tell whether it is meant.
"""

import time
from collections import Counter, OrderedDict
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
        provider: Who bills it.
        model: The model that was asked for; `None` is unknown.
        batch: Whether it was answered in a provider's batch, at its price: what a lever compares
            with would have been there as well.
        remembered: Whether the framework's own cache answered it: nothing was sent.
    """

    time: datetime
    first_token_us: int
    reading: Reading | None
    ok: bool
    official: bool
    provider: str
    model: str | None = None
    batch: bool = False
    remembered: bool = False


Settle = Callable[[str, Answer], Decision]
"""What a lever says of its request when that is answered: the decision, given its entry's id."""


Fits = Callable[[Shape], bool]
"""Whether a request may be the one that a decision is about."""


class Choice:
    """A decision that waits for its entry.

    Args:
        lever: Who decided.
        shape: The shape of the request, or what says whether a shape fits where the lever does not
            see the request as it is sent.
        settle: Makes the decision when its entry is known.
    """

    __slots__ = ('_settle', 'fits', 'lever', 'settled')

    def __init__(self, lever: str, shape: Shape | Fits, settle: Settle) -> None:
        self.lever = lever
        self.fits: Fits = shape.__eq__ if isinstance(shape, Shape) else shape
        self.settled = False
        self._settle = settle

    def about(self, entry_id: str, answer: Answer) -> Decision:
        """The decision about one attempt; the first that was served is the last."""
        self.settled = answer.ok
        if answer.ok:
            _offered.pop(id(self), None)
        return self._settle(entry_id, answer)


_waiting: ContextVar[tuple[Choice, ...]] = ContextVar('farthing_choices', default=())
_offered: OrderedDict[int, tuple[Choice, tuple[str, ...], float]] = OrderedDict()
_MOST_OFFERED = 1_000
_FRESH_S = 300.0  # a request that is made anew after failures leaves within that time, too


def choose(choice: Choice) -> None:
    """Let a choice wait for the request of its shape that leaves this context next.

    It takes the place of the lever's earlier choice.
    """
    others = tuple(one for one in _waiting.get() if one.lever != choice.lever and not one.settled)
    _waiting.set((*others, choice))


def offer(choice: Choice, *texts: str) -> None:
    """Let a choice wait for a request of its shape that leaves any context.

    Args:
        choice: It waits until it is settled, for five minutes, or until many others have been
            offered after it: one whose request is never sent must not meet another's.
        texts: The last text of the user in the request; several, where it may be one of them.
    """
    _offered[id(choice)] = (choice, texts, time.monotonic())
    while len(_offered) > _MOST_OFFERED:
        _offered.popitem(last=False)


def withdraw(choice: Choice) -> None:
    """Let a choice wait no longer."""
    choice.settled = True
    _offered.pop(id(choice), None)


def awaited() -> bool:
    """Whether any choice may be about a request of this context."""
    waiting = _waiting.get()  # mostly none: every call that the tap has not seen asks
    return bool(_offered) or (bool(waiting) and any(not one.settled for one in waiting))


def chosen(shape: Shape, text: Callable[[], str]) -> tuple[Choice, ...]:
    """The choices about a request of that shape that leaves this context now.

    Args:
        shape: Of the request.
        text: Its last text of the user; only asked for where a choice was offered to all contexts.
            Where it fits several of one lever, it is none of them: nobody knows whose it is.
    """
    here = tuple(one for one in _waiting.get() if not one.settled and one.fits(shape))
    if not _offered:
        return here
    said, stale_s = text(), time.monotonic() - _FRESH_S
    open_ = []
    for one, asked, at_s in list(_offered.values()):
        if one.settled or at_s < stale_s:
            _offered.pop(id(one), None)
        elif said in asked and one.fits(shape):
            open_.append(one)
    levers = Counter(one.lever for one in (*here, *open_))
    return (*here, *(one for one in open_ if levers[one.lever] == 1))
