"""What the ledger's evidence says of routes, kept at hand and read anew in the background."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from farthing.routing.evidence import Bar, Evidence
from farthing.routing.task_table import Books

_log = logging.getLogger('farthing')
_REFRESH_S = 60.0


class Proves(Protocol):
    """Knows what evidence says of routes."""

    def promoted(self, task: str | None, route: str) -> bool:
        """Whether the route may stand for the default on this task."""

    def refresh(self) -> None:
        """Take in what was graded until now."""


class Unproved:
    """No evidence: nothing is promoted."""

    def promoted(self, task: str | None, route: str) -> bool:  # noqa: ARG002 - as `Proves`
        """See `Proves`."""
        return False

    def refresh(self) -> None:
        """See `Proves`."""


class Proof:
    """Tells whether a route is promoted for a task. Safe to use from several threads.

    Args:
        ledger: Where the graded pairs are.
        default: The default route.
        models: The model behind each route, by name: what was proved of another does not count.
        bar: What a route must clear.
        now: Tells the time in seconds; evidence is read again after a minute.
    """

    def __init__(
        self,
        ledger: Books,
        *,
        default: str,
        models: dict[str, str],
        bar: Bar | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._default = default
        self._models = models
        self._bar = bar
        self._now = now
        self._reading = threading.Lock()
        self._warned = False
        self._evidence = Evidence()
        self._read_s = now()
        self.refresh()

    def promoted(self, task: str | None, route: str) -> bool:
        """Whether the route may stand for the default on this task."""
        if self._now() - self._read_s > _REFRESH_S:
            self._read_s = self._now()
            threading.Thread(target=self.refresh, daemon=True, name='farthing-evidence').start()
        return self._evidence.promoted(task, route, model=self._models.get(route))

    def refresh(self) -> None:
        """Read what was graded until now; without it, what is known here must do."""
        with self._reading:
            try:
                pairs = self._ledger.pairs()
                self._evidence = Evidence.of(pairs, default=self._default, bar=self._bar)
            except Exception as error:  # noqa: BLE001 - a user's call never fails for evidence
                if not self._warned:
                    self._warned = True
                    _log.warning(
                        'farthing: evidence on routes cannot be read (%s: %s); nothing further is '
                        'promoted',
                        type(error).__name__,
                        error,
                    )
