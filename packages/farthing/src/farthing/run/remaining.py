"""How many calls a session is expected to make yet, by how long earlier ones were."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, timedelta

from farthing.meter import Meter
from farthing.meter.meter import Books
from farthing.run.background import Background
from farthing.run.counting import Failures

_REFRESH_S = 600.0
_REACH = timedelta(days=30)
_RESTED = timedelta(days=1)  # a session of today may not have ended
_FEW = 20
_lock = threading.Lock()
_known: 'dict[int, Remaining]' = {}


def remaining(one: Meter) -> 'Remaining':
    """What is known of the lengths of a ledger's sessions; the same for all of its drivers."""
    with _lock:
        found = _known.get(id(one))
        if found is None or found.ledger is not one.ledger:
            found = _known[id(one)] = Remaining(one.ledger, Background().start)
        return found


class Remaining:
    """Lengths of the ledger's sessions, read again every ten minutes and never while a call waits.

    Args:
        ledger: Whose sessions.
        start: Does work in the background.

    Attributes:
        failures: What went wrong, by reason; what is not known is `None`.
    """

    def __init__(self, ledger: Books, start: Callable[[Callable[[], None]], None]) -> None:
        self.ledger = ledger
        self.failures = Failures()
        self._start = start
        self._lock = threading.Lock()
        self._read_s: float | None = None
        self._lengths: dict[str | None, list[int]] = {}

    def expected(self, task: str | None, calls: int, now: datetime) -> int | None:
        """The mean of what sessions of the task went on for, of those that came so far.

        `None` where fewer than 20 of them did.
        """
        with self._lock:
            due = self._read_s is None or time.monotonic() - self._read_s > _REFRESH_S
            if due:
                self._read_s = time.monotonic()
        if due:
            self._start(lambda: self._read(now))
        lengths = self._lengths.get(task, [])
        longer = lengths[bisect_left(lengths, calls) :]
        return sum(longer) // len(longer) - calls if len(longer) >= _FEW else None

    def _read(self, now: datetime) -> None:
        try:
            found = self.ledger.report(
                by=('task', 'session'),
                since=now - _REACH,
                until=now - _RESTED,
                where={'purpose': 'user', 'call_type': 'chat'},
            )
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; it is counted
            self.failures.count('history', error)
            return
        lengths: dict[str | None, list[int]] = {}
        for row in found.rows:
            if row.keys['session'] is not None:
                lengths.setdefault(row.keys['task'], []).append(row.calls)
        self._lengths = {task: sorted(many) for task, many in lengths.items()}
