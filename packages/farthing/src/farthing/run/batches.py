"""Driving batch jobs: one step at a time, each of them safe to repeat.

`tick` may be called from a loop, from cron or from a task queue, by any process: it takes the
job's lease, asks the provider what has changed, and stores every transition before and after it
acts. All waiting is at the provider.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from farthing.batching.chunking import LIMITS, Target
from farthing.batching.jobs import Job, Submission
from farthing.batching.keys import owns
from farthing.batching.orphans import Finding, Listed, Patience, seek
from farthing.batching.retrying import Retries
from farthing.batching.states import OPEN, OVER, JobState, SubmissionState
from farthing.errors import BatchError
from farthing.ledger import Ledger
from farthing.meter import Meter
from farthing.run.at_once import AtOnce
from farthing.run.collecting import Collecting
from farthing.run.journal import Journal
from farthing.run.leasing import Leasing
from farthing.run.moves import Moves
from farthing.run.planning import Planning
from farthing.run.providers import InDoubt, Provider, Providers, Refused
from farthing.run.sending import Denied, Sending
from farthing.run.settling import OnDone, Settling
from farthing.wire.batches import Remote
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a job is driven.

    Attributes:
        patience: When a creation that was not answered is made again.
        retries: What is tried again.
        lease_s: How long a process that says nothing more keeps a job from others.
        backoff_s: How long a refused creation waits.
        room: Most input tokens that may be enqueued for a model, until the provider says less.
        side_by_side: How many requests are asked at once when time runs out.
    """

    patience: Patience = field(default_factory=Patience)
    retries: Retries = field(default_factory=Retries)
    lease_s: float = 60.0
    backoff_s: float = 30.0
    room: int | None = None
    side_by_side: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a step has found.

    Attributes:
        busy: Whether another process drives the job: nothing was done.
        open: Submissions that are under way.
        waiting: Items that are in none.
        done: Items that have an answer or a last error.
        troubles: What went wrong and is tried again.
        over: The job's state if it sends nothing more, and nothing of it is under way.
    """

    busy: bool = False
    open: int = 0
    waiting: int = 0
    done: int = 0
    troubles: tuple[str, ...] = ()
    over: JobState | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not (self.busy or self.open or self.waiting)


class Scheduler:
    """Drives the jobs of one ledger, by one thread at a time.

    Args:
        meter: Prices what was answered.
        ledger: Has the jobs and takes the entries.
        journal: Has the requests and keeps the answers.
        providers: Whom to ask, by target.
        now: Tells the time in seconds since 1970.
        settings: See `Settings`.
        on_done: Hears of items that have their answers.
    """

    def __init__(
        self,
        meter: Meter,
        ledger: Ledger,
        journal: Journal,
        providers: Providers,
        *,
        now: Callable[[], float] = time.time,
        settings: Settings | None = None,
        on_done: OnDone | None = None,
    ) -> None:
        chosen = settings or Settings()
        moves = Moves(ledger, now)
        settling = Settling(meter, ledger, journal, chosen.retries, on_done or _nobody)
        self._settings = chosen
        self._providers = providers
        owner = f'{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}'
        self._moves = moves
        self._leasing = Leasing(moves, owner, chosen.lease_s)
        self._collecting = Collecting(moves, settling, chosen.patience)
        self._sending = Sending(moves, journal, self._collecting, chosen.backoff_s)
        self._planning = Planning(moves, self._collecting.limits, chosen.room)
        self._at_once = AtOnce(moves, journal, settling, chosen.side_by_side)
        self._troubles: list[str] = []

    def tick(self, job_id: str, *, plan: bool = True) -> Tick:
        """Take a job one step on.

        Args:
            job_id: The job.
            plan: Whether items that wait are sent.

        Raises:
            BatchLimit: The next round would pass the job's limit, and the job is held.
            BatchError: There is no such job; or the provider refuses the credentials, and the
                job is held.
            LedgerError: The ledger cannot be used now.
        """
        with self._moves.ledger.batches() as view:
            id_ = view.job(job_id).id
        with self._leasing.held(id_) as ours:
            return self._step(id_, plan=plan) if ours else Tick(busy=True)

    def release(self, job_id: str) -> None:
        """Let others drive the job at once."""
        self._leasing.release(job_id)

    def _step(self, id_: str, *, plan: bool) -> Tick:
        self._troubles = []
        with self._moves.ledger.batches() as view:
            job = view.job(id_)
        late = job.terms.deadline.phase(self._moves.now()) == 'sync'
        self._collect(job, cancel=late or job.state == 'cancelled')
        if plan and job.state == 'open':
            try:
                self._advance(job, late=late)
            except BatchError as error:
                with self._moves.ledger.changing_batches() as change:
                    change.set_job(job.id, 'held', str(error))
                raise
        return self._told(job)

    def _collect(self, job: Job, *, cancel: bool) -> None:
        """Learn what has become of what was sent."""
        self._at_once.recover(job)
        for one in self._of(job, 'sending'):
            self._find(one)
        for one in self._of(job, 'unknown'):
            self._with(one, self._prove)
        for one in self._of(job, 'submitted'):
            self._with(one, self._cancel if cancel else self._look)
        for one in self._of(job, 'ended'):
            self._with(one, self._collecting.collect)
        for one in self._of(job, 'lost'):
            self._with(one, self._look_for_lost)
        for one in self._of(job, 'late'):
            self._with(one, self._collecting.look_again)
        if cancel:
            for one in self._of(job, 'planned'):
                self._moves.take_back(one, 'the batches are given up')

    def _advance(self, job: Job, *, late: bool) -> None:
        """Send what waits: in batches, or at once where the deadline is near."""
        if late:
            # What is in a batch may still be answered there: nothing is asked before all ended.
            if not self._of(job, *OPEN):
                self._planning.check(job, times=2)
                self._at_once.ask(job, lambda item: self._provider(item.draft.target))
            return
        self._planning.plan(job)
        for one in self._of(job, 'planned'):
            self._with(one, self._sending.send)

    def _find(self, one: Submission) -> None:
        if DIALECTS[one.target.provider].uploads and one.file is None:
            # A batch is created of a file, and no file's id was stored: there is no batch.
            self._moves.move(one, 'planned', reason='the upload was not answered')
        else:
            self._with(one, self._seek)

    def _sought(self, one: Submission, provider: Provider) -> Finding:
        """What the provider lists of a batch whose creation was not answered."""
        intent = one.intent
        listed = [_listed(remote) for remote in provider.listed(one.target, intent.sent_s)]
        with self._moves.ledger.batches() as view:
            known = view.batches(one.target.provider)
        return seek(
            intent,
            listed,
            known=known,
            labelled=LIMITS[one.target.provider].labelled,
            now_s=self._moves.now(),
            patience=self._settings.patience,
        )

    def _seek(self, one: Submission, provider: Provider) -> None:
        """Look for a batch whose creation was not answered."""
        found = self._sought(one, provider)
        move, reason = self._moves.move, found.reason
        if found.verdict == 'adopt':
            move(one, 'submitted', batch=found.ids[0], reason=reason)
        elif found.verdict == 'verify':
            move(one, 'unknown', candidates=found.ids, reason=reason)
        elif found.verdict == 'wait':
            move(one, 'sending', looks=one.looks + 1, reason=reason)
        else:
            # Under another label, so that the results of both could be told apart.
            with self._moves.ledger.changing_batches() as change:
                change.lose(one, f'{reason}: its requests are sent again', self._moves.now())

    def _look_for_lost(self, one: Submission, provider: Provider) -> None:
        """Look, ever more rarely, for a batch whose requests were sent again.

        One that is there after all is asked to stop, and what it has answered is booked.
        """
        if self._moves.now() < one.changed_s + self._settings.patience.settle_s * 2**one.looks:
            return
        looked = self._moves.move(one, 'lost', looks=one.looks + 1)
        if looked is None:
            return
        found, foreign = self._sought(looked, provider), looked.foreign
        for batch in found.ids:
            remote = provider.get(one.target, batch)
            ended = remote.state != 'running'
            if found.verdict == 'adopt' or (ended and _is_ours(one, remote, provider)):
                reason = 'it was created after all, when its requests were sent again'
                self._moves.move(
                    looked, 'submitted', batch=batch, cancelling=True, looks=0, reason=reason
                )
                if not ended:
                    provider.cancel(one.target, batch)
                return
            foreign += (batch,) if ended else ()
        if foreign != looked.foreign:
            self._moves.move(looked, 'lost', foreign=foreign)

    def _prove(self, one: Submission, provider: Provider) -> None:
        """Which of the candidates is ours; only the results of one that has ended tell."""
        for batch in one.candidates:
            remote = provider.get(one.target, batch)
            if remote.state == 'running':
                continue
            if _is_ours(one, remote, provider):
                self._moves.move(one, 'submitted', batch=batch, candidates=(), reason=None)
                return
            others = tuple(other for other in one.candidates if other != batch)
            self._moves.move(
                one,
                'unknown' if others else 'sending',
                candidates=others,
                foreign=(*one.foreign, batch),
                looks=0,
                reason=f'batch {batch} is another one',
            )
            return

    def _look(self, one: Submission, provider: Provider) -> None:
        """Ask how a batch is doing."""
        self._poll(one, provider)

    def _cancel(self, one: Submission, provider: Provider) -> None:
        """Ask how a batch is doing, and it to stop."""
        if self._poll(one, provider) and not one.cancelling:
            provider.cancel(one.target, one.batch or '')
            self._moves.move(one, 'submitted', cancelling=True)

    def _poll(self, one: Submission, provider: Provider) -> bool:
        """Whether a batch still runs; what has ended moves on."""
        remote = provider.get(one.target, one.batch or '')
        if remote.state == 'ended':
            self._moves.move(one, 'ended', outputs=remote.outputs, looks=0)
        elif remote.state == 'failed':
            self._collecting.failed(one, remote, rest_s=self._settings.backoff_s)
        return remote.state == 'running'

    def _with(self, one: Submission, step: Callable[[Submission, Provider], None]) -> None:
        """Take a step that asks the provider; what cannot be done now is tried with the next."""
        provider = self._provider(one.target)
        if provider is None:
            return
        try:
            step(one, provider)
        except Denied as error:
            raise BatchError(
                f'{one.target.provider} refuses the credentials ({error}): nothing was sent; '
                'correct them and resume the job'
            ) from error
        except (Refused, InDoubt) as error:
            self._troubles.append(f'{one.target.provider}: {error}')

    def _provider(self, target: Target) -> Provider | None:
        """Whom to ask; whose key is not known here is asked by another process, or later."""
        found = self._providers(target)
        trouble = (
            f'no credentials for {target.provider} at {target.base}: set its key, or run the '
            'chain again'
        )
        if found is None and trouble not in self._troubles:
            self._troubles.append(trouble)
        return found

    def _of(self, job: Job, *states: SubmissionState) -> list[Submission]:
        with self._moves.ledger.batches() as view:
            return view.submissions(job.id, *states)

    def _told(self, job: Job) -> Tick:
        with self._moves.ledger.batches() as view:
            counts = view.counts(job.id)
            under_way = len(view.submissions(job.id, *OPEN))
        return Tick(
            open=under_way,
            waiting=counts.get('waiting', 0),
            done=counts.get('done', 0),
            troubles=tuple(self._troubles),
            over=job.state if job.state in OVER and not under_way else None,
        )


def _nobody(done: object) -> None:
    """Nobody waits for an answer."""


def _is_ours(one: Submission, remote: Remote, provider: Provider) -> bool:
    """Whether the first line of a batch's results carries our label."""
    dialect = DIALECTS[one.target.provider]
    for output in remote.outputs:
        for raw in provider.results(one.target, output):
            return owns(one.label, dialect.result(loads(raw) or {}).custom_id)
    return False


def _listed(remote: Remote) -> Listed:
    return Listed(
        id=remote.id,
        created_s=remote.created_s,
        requests=remote.requests,
        label=remote.label,
        file=remote.file,
    )
