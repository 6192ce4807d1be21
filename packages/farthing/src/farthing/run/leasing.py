"""Holding a job: a lease in the ledger, renewed in the background while a step takes long.

A lease is short, so that another process soon goes on where this one has died. A step may be long:
results of hours, answers that are asked for at once. A process that took over meanwhile would take
what is being asked for lost, and ask again.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from farthing.errors import LedgerError
from farthing.run.moves import Moves

_log = logging.getLogger('farthing')
_SHARE = 3  # so many renewals in a lease: one may come too late


class Leasing:
    """The leases that one process takes.

    Args:
        moves: Has the ledger and the time.
        owner: Who takes them.
        lease_s: How long one holds that is not renewed.
    """

    def __init__(self, moves: Moves, owner: str, lease_s: float) -> None:
        self._moves = moves
        self._owner = owner
        self._lease_s = lease_s

    @contextmanager
    def held(self, job: str) -> Iterator[bool]:
        """Hold a job in this block; `False` where another process does.

        When the block ends the lease stays until it expires, or until `release`.
        """
        if not self._take(job):
            yield False
            return
        done = threading.Event()
        renewing = threading.Thread(
            target=self._renew, args=(job, done), daemon=True, name='farthing-lease'
        )
        renewing.start()
        try:
            yield True
        finally:
            done.set()
            renewing.join()

    def release(self, job: str) -> None:
        """Let others hold it at once."""
        with self._moves.ledger.changing_batches() as change:
            change.release(job, self._owner)

    def _take(self, job: str) -> bool:
        now_s = self._moves.now()
        with self._moves.ledger.changing_batches() as change:
            return change.lease(job, self._owner, now_s=now_s, until_s=now_s + self._lease_s)

    def _renew(self, job: str, done: threading.Event) -> None:
        while not done.wait(self._lease_s / _SHARE):
            try:
                if not self._take(job):
                    _log.warning('farthing: job %s is driven by another process by now', job)
                    return
            except LedgerError as error:
                _log.warning('farthing: the lease of job %s is not renewed: %s', job, error)
