"""A process that drives a job of plain requests and dies at one point of it, by kill -9.

    python dying.py LEDGER JOB POINT SIDE NTH LATE

POINT is what happens (`commit` of the ledger, `journal`, or a call to the provider), SIDE is
`before` or `after` it, NTH which time, from 1. Without a point it lives until the job is done.
With anything for LATE its deadline has come, and nothing is batched.
"""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from farthing.attribution import Attribution
from farthing.batching.deadline import Deadline
from farthing.batching.jobs import Terms
from farthing.batching.orphans import Patience
from farthing.io.batch_desk import Desk
from farthing.io.batch_files import admit, read
from farthing.run.batches import Settings

QUICK = Settings(patience=Patience(settle_s=0.4, looks=2), lease_s=0.5, backoff_s=0.05)
_CALLS = ('uploaded', 'upload', 'create', 'get', 'listed', 'cancel', 'ask')


class Fate:
    """Kills this process when a point is reached the nth time."""

    def __init__(self, point: str, side: str, nth: int) -> None:
        self._at = point, side
        self._left = nth

    def meet(self, point: str, side: str) -> None:
        if (point, side) == self._at:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


class DyingLedger:
    """A ledger whose transactions may be the process's last; leases are renewed beside them."""

    def __init__(self, ledger, fate: Fate) -> None:
        self._ledger = ledger
        self._fate = fate

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    @contextmanager
    def changing_batches(self):
        counts = threading.current_thread() is threading.main_thread()
        with self._ledger.changing_batches() as change:
            yield change
            if counts:
                self._fate.meet('commit', 'before')
        if counts:
            self._fate.meet('commit', 'after')


class DyingJournal:
    """A journal whose writes may be the process's last."""

    def __init__(self, journal, fate: Fate) -> None:
        self._journal = journal
        self._fate = fate

    def __getattr__(self, name):
        return getattr(self._journal, name)

    def keep_answers(self, job, answers) -> None:
        self._fate.meet('journal', 'before')
        self._journal.keep_answers(job, answers)
        self._fate.meet('journal', 'after')

    def keep_requests(self, *given) -> None:
        self._fate.meet('requests', 'before')
        self._journal.keep_requests(*given)
        self._fate.meet('requests', 'after')


class DyingProvider:
    """A provider whose calls may be the process's last."""

    def __init__(self, provider, fate: Fate) -> None:
        self._provider = provider
        self._fate = fate

    def __getattr__(self, name):
        found = getattr(self._provider, name)
        if name not in _CALLS:
            return found

        def call(*given, **named):
            self._fate.meet(name, 'before')
            answer = found(*given, **named)
            self._fate.meet(name, 'after')
            return answer

        return call

    def results(self, target, output):
        for line in self._provider.results(target, output):
            self._fate.meet('line', 'before')
            yield line


def drive(desk: Desk, job: str, scheduler, *, until_s: float = 60.0) -> None:
    """Tick until nothing is under way."""
    deadline = time.monotonic() + until_s
    while not (tick := scheduler.tick(job)).idle:
        if time.monotonic() > deadline:
            raise TimeoutError(f'{tick}: {desk.status(job)}')
        time.sleep(0.02)
    scheduler.release(job)


def main(
    ledger: str, requests: str, point: str = '', side: str = '', nth: str = '0', late: str = ''
) -> None:
    fate = Fate(point, side, int(nth))
    desk = Desk(ledger, settings=QUICK)
    desk.ledger = DyingLedger(desk.ledger, fate)
    make = desk.journal
    desk.journal = lambda: DyingJournal(make(), fate)
    deadline = Deadline(at_s=time.time() if late else None)
    job = desk.begun('crash', Terms(deadline=deadline))
    who = Attribution(tenant='acme', task='nightly')
    with Path(requests).open('rb') as lines:
        admit(desk, job, read(lines, desk.providers, who))
    scheduler = desk.scheduler(desk.journal())
    scheduler._providers = lambda target: DyingProvider(desk.providers(target), fate)
    drive(desk, job.id, scheduler)


if __name__ == '__main__':
    main(*sys.argv[1:])
