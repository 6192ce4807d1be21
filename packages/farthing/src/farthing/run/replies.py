"""What a parked request gets, and whose it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from farthing.entry import Entry
from farthing.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from farthing.run.parking import Lot

_REFUSED = 400


class Dropped(BaseException):
    """The code that waits is let go: its request is stored, and it runs again when it is answered.

    No `Exception`, so that neither an SDK nor a framework takes it for a failure of the call.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a parked request is answered with.

    Attributes:
        status: HTTP status.
        body: The provider's JSON.
        entry_id: The entry that paid for it; `None` where nothing was paid.
        entries: The same with what is billed beside it, where nobody was told of them before.
        again: Whether the code was let go when they were posted, and asks again: what levers
            choose for it now is not what was sent.
    """

    status: int
    body: bytes
    entry_id: str | None = None
    entries: Sequence[Entry] = ()
    again: bool = False

    @property
    def fresh(self) -> bool:
        """Whether it was paid just now, and not taken from the journal."""
        return bool(self.entries) and not self.again


class Seat:
    """One input of a job, while its code runs.

    Attributes:
        input: Its number.
        lot: Where its requests wait.
        waiting: How many of its requests wait now.
        dropped: Whether its code was let go.
        unbatched: Whether it sent a request that no batch takes.
    """

    __slots__ = ('_equal', 'dropped', 'input', 'lot', 'rounds', 'unbatched', 'waiting')

    def __init__(self, lot: 'Lot', number: int) -> None:
        self.lot = lot
        self.input = number
        self.waiting = 0
        self.dropped = False
        self.unbatched = False
        self.rounds = 0
        self._equal: dict[str, int] = {}

    def numbered(self, digest: str) -> tuple[int, int]:
        """How many equal requests came before this one, and its round from 1."""
        nth = self._equal.get(digest, 0)
        self._equal[digest] = nth + 1
        self.rounds += 1
        return nth, self.rounds


def refusal(provider: str, error: BaseException) -> Reply:
    """An error of ours, in the provider's shape: so the SDK tells it as it is."""
    body = DIALECTS[provider].failure('farthing_batch', str(error))
    return Reply(status=_REFUSED, body=orjson.dumps(body))
