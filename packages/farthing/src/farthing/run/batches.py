"""Driving batch jobs: one step at a time, each of them safe to repeat.

`tick` may be called from a loop, from cron or from a task queue, by any process: it takes the
job's lease, asks the provider what has changed, and stores every transition before and after it
acts. All waiting is at the provider.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from farthing.batching.chunking import LIMITS, Target, chunks
from farthing.batching.jobs import Item, Job, Submission
from farthing.batching.keys import LABEL_BITS, label, owns
from farthing.batching.orphans import Patience, seek
from farthing.batching.retrying import Retries
from farthing.batching.states import OPEN
from farthing.entry import Entry
from farthing.errors import BatchError, BatchLimit
from farthing.ledger.batches import Change, View
from farthing.meter import Meter
from farthing.run.at_once import AtOnce
from farthing.run.collecting import Collecting
from farthing.run.journal import Journal
from farthing.run.providers import InDoubt, Provider, Providers, Refused
from farthing.run.sending import Sending
from farthing.run.settling import OnDone, Settling
from farthing.wire.batches import Remote
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads

_log = logging.getLogger('farthing')


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a job is driven.

    Attributes:
        patience: When a creation that was not answered is made again.
        retries: What is tried again.
        lease_s: How long a process that says nothing more keeps a job from others.
        backoff_s: How long a refused creation waits.
        room: Most input tokens that may be enqueued for a model, until the provider says less.
        at_once: How many requests are asked side by side when time runs out.
    """

    patience: Patience = field(default_factory=Patience)
    retries: Retries = field(default_factory=Retries)
    lease_s: float = 60.0
    backoff_s: float = 30.0
    room: int | None = None
    at_once: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a step has found.

    Attributes:
        busy: Whether another process drives the job: nothing was done.
        open: Submissions that are under way.
        waiting: Items that are in none.
        done: Items that have an answer or a last error.
        troubles: What went wrong and is tried again.
    """

    busy: bool = False
    open: int = 0
    waiting: int = 0
    done: int = 0
    troubles: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not (self.busy or self.open or self.waiting)


def _nobody(item: Item, entries: object) -> None:
    """Nobody waits for an answer."""


class Scheduler:
    """Drives the jobs of one ledger, by one thread at a time.

    Args:
        meter: Prices what was answered and has the ledger.
        journal: Has the requests and keeps the answers.
        providers: Whom to ask, by target.
        now: Tells the time in seconds since 1970.
        settings: See `Settings`.
        on_done: Hears of each item that has its answer.
    """

    def __init__(
        self,
        meter: Meter,
        journal: Journal,
        providers: Providers,
        *,
        now: Callable[[], float] = time.time,
        settings: Settings | None = None,
        on_done: OnDone = _nobody,
    ) -> None:
        self._ledger = meter.ledger
        self._providers = providers
        self._now = now
        self._settings = settings or Settings()
        self._owner = f'{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}'
        settling = Settling(meter, journal, self._settings.retries, on_done)
        self._collecting = Collecting(meter.ledger, settling, now)
        self._sending = Sending(meter.ledger, journal, now, self._settings.backoff_s)
        self._at_once = AtOnce(meter.ledger, journal, settling, now, self._settings.at_once)
        self._troubles: list[str] = []

    def tick(self, job_id: str, *, plan: bool = True) -> Tick:
        """Take a job one step on.

        Args:
            job_id: The job.
            plan: Whether items that wait are put into batches.

        Raises:
            BatchLimit: The next round would pass `max_cost_usd`. The job is held.
            BatchError: The provider refuses the credentials. The job is held.
            LedgerError: The ledger cannot be used now.
        """
        now_s = self._now()
        with self._ledger.changing_batches() as change:
            job = change.job(job_id)
            until_s = now_s + self._settings.lease_s
            if not change.lease(job.id, self._owner, now_s=now_s, until_s=until_s):
                return Tick(busy=True)
        self._troubles = []
        late = job.state == 'open' and job.terms.deadline.phase(now_s) == 'sync'
        giving_up = late or job.state == 'cancelled'
        for one in self._of(job, 'sending'):
            self._find(one)
        for one in self._of(job, 'unknown'):
            self._prove(one)
        for one in self._of(job, 'submitted'):
            self._look(one, cancel=giving_up)
        for one in self._of(job, 'ended'):
            self._asked(one, lambda provider, one=one: self._collecting.collect(one, provider))
        if giving_up:
            self._dissolve(job)
        if plan and job.state == 'open':
            self._advance(job, late=late)
        return self._told(job)

    def release(self, job_id: str) -> None:
        """Let others drive the job at once."""
        with self._ledger.changing_batches() as change:
            change.release(job_id, self._owner)

    def _of(self, job: Job, state: str) -> list[Submission]:
        with self._ledger.batches() as view:
            return view.submissions(job.id, state)

    def _advance(self, job: Job, *, late: bool) -> None:
        """Send what waits: in batches, or at once when the deadline is near."""
        if late:
            if not self._open(job):
                self._at_once.ask(job, self._provider)
            return
        self._plan(job)
        for one in self._of(job, 'planned'):
            self._asked(one, lambda provider, one=one: self._send(job, one, provider))

    def _find(self, one: Submission) -> None:
        """Look for a batch whose creation was not answered."""
        if DIALECTS[one.target.provider].uploads and one.file is None:
            # A batch is created of a file, and no file's id was stored: there is no batch.
            self._move(one, 'planned', reason='the upload was not answered')
            return
        self._asked(one, lambda provider: self._seek(one, provider))

    def _seek(self, one: Submission, provider: Provider) -> None:
        intent = one.intent
        listed = provider.listed(one.target, intent.sent_s)
        with self._ledger.batches() as view:
            known = view.batches(one.target.provider)
        found = seek(
            intent,
            [_listed(remote) for remote in listed],
            known=known,
            labelled=LIMITS[one.target.provider].labelled,
            now_s=self._now(),
            patience=self._settings.patience,
        )
        if found.verdict == 'adopt':
            self._move(one, 'submitted', batch=found.ids[0], reason=found.reason)
        elif found.verdict == 'verify':
            self._move(one, 'unknown', candidates=found.ids, reason=found.reason)
        elif found.verdict == 'wait':
            self._move(one, 'sending', looks=one.looks + 1, reason=found.reason)
        else:
            self._move(one, 'planned', looks=0, reason=found.reason)

    def _prove(self, one: Submission) -> None:
        """Which of the candidates is ours; only the results of one that has ended tell."""
        self._asked(one, lambda provider: self._candidates(one, provider))

    def _candidates(self, one: Submission, provider: Provider) -> None:
        for batch in one.candidates:
            remote = provider.get(one.target, batch)
            if remote.state == 'running':
                continue
            if self._is_ours(one, remote, provider):
                self._move(one, 'submitted', batch=batch, candidates=())
                return
            others = tuple(other for other in one.candidates if other != batch)
            foreign = (*one.foreign, batch)
            state = 'unknown' if others else 'sending'
            self._move(one, state, candidates=others, foreign=foreign, looks=0)
            return

    def _is_ours(self, one: Submission, remote: Remote, provider: Provider) -> bool:
        dialect = DIALECTS[one.target.provider]
        for output in remote.outputs:
            for raw in provider.results(one.target, output):
                return owns(one.label, dialect.result(loads(raw) or {}).custom_id)
        return False

    def _look(self, one: Submission, *, cancel: bool) -> None:
        """Ask how a batch is doing; cancel it where it is given up."""
        self._asked(one, lambda provider: self._poll(one, provider, cancel=cancel))

    def _poll(self, one: Submission, provider: Provider, *, cancel: bool) -> None:
        batch = one.batch or ''
        remote = provider.get(one.target, batch)
        if remote.state == 'ended':
            self._move(one, 'ended', outputs=remote.outputs)
        elif remote.state == 'failed':
            self._collecting.failed(one, remote, self._settings.backoff_s)
        elif cancel and not one.cancelling:
            provider.cancel(one.target, batch)
            self._move(one, 'submitted', cancelling=True)

    def _dissolve(self, job: Job) -> None:
        """Take back what was planned and not begun."""
        for one in self._of(job, 'planned'):
            self._collecting.dissolve(one, 'the job is given up')

    def _plan(self, job: Job) -> None:
        now_s = self._now()
        with self._ledger.batches() as view:
            targets: dict[Target, Target] = {}
            due: dict[Target, list[Item]] = {}
            cost: int | None = 0
            waiting: dict[Target, list] = {}
            for item in view.due(job.id, now_s):
                one = item.waiting
                waiting.setdefault(one.target, []).append(one)
                predicted = item.draft.predicted
                cost = None if cost is None or predicted is None else cost + predicted
        if not waiting:
            return
        self._within_limit(job, cost)
        with self._ledger.changing_batches() as change:
            for target, items in waiting.items():
                self._plan_target(change, job, target, items)

    def _within_limit(self, job: Job, cost: int | None) -> None:
        raise NotImplementedError
