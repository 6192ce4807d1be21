"""The batch jobs of one ledger: looked at, taken a step on, cancelled, purged."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import cast

from farthing.batching.jobs import Job, Terms
from farthing.batching.states import OPEN, OVER, JobState
from farthing.errors import InputError
from farthing.io.batch_providers import HttpProviders
from farthing.ledger import Ledger
from farthing.meter.shared import Source, meter
from farthing.money import usd
from farthing.run.batches import Scheduler, Settings, Tick
from farthing.run.journal import RETENTION_S, Journal, journal_of
from farthing.run.settling import OnDone

Span = str | float | timedelta
_SPAN = re.compile(r'(\d+(?:\.\d+)?)\s*([smhd])')
_UNIT_S = {'s': 1, 'm': 60, 'h': 3_600, 'd': 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a job is.

    Attributes:
        id: The job.
        state: `open`, `held`, `cancelled` or `finished`.
        reason: Why it is held.
        waiting: Requests that are in no batch.
        sent: Requests that are in one, or are asked at once.
        done: Requests with an answer, or with a last error.
        batches: The provider's batches that are under way.
        notes: What keeps those batches, and what was wrong with the results of others.
        cost_usd: Billed so far, without what has no price.
        unpriced: Requests whose cost is not known.
        in_doubt: Attempts whose answer was lost and which may be billed; they are not in the cost.
        duplicates: Answers to what was answered before; they are billed, and in the cost.
    """

    id: str
    state: JobState
    reason: str | None
    waiting: int
    sent: int
    done: int
    batches: int
    notes: tuple[str, ...]
    cost_usd: Decimal
    unpriced: int
    in_doubt: int
    duplicates: int


class Desk:
    """The jobs of a ledger.

    Args:
        source: The ledger, as everywhere.
        settings: How jobs are driven.
        now: Tells the time in seconds since 1970.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `source` is none of what is expected.
    """

    def __init__(
        self,
        source: Source = None,
        *,
        settings: Settings | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.meter = meter(source)
        self.ledger = cast('Ledger', self.meter.ledger)
        self.providers = HttpProviders(self.ledger.key())
        self.settings = settings or Settings()
        self.now = now

    def journal(self) -> Journal:
        """The ledger's journal, for one thread."""
        return journal_of(self.ledger.folder)

    def scheduler(self, journal: Journal, on_done: OnDone | None = None) -> Scheduler:
        """What drives the jobs, in one thread."""
        return Scheduler(
            self.meter,
            self.ledger,
            journal,
            self.providers,
            now=self.now,
            settings=self.settings,
            on_done=on_done,
        )

    def begun(self, name: str, terms: Terms, *, job: str | None = None) -> Job:
        """The job to go on with: a given one, else the unfinished one of that name, else a new one.

        Its deadline and limit become those of `terms`; a held one is open again.

        Raises:
            BatchError: There is no such job.
            InputError: The name is empty.
        """
        if not name:
            raise InputError("`name` is empty: expected a job's name, such as `nightly`")
        with self.ledger.changing_batches() as change:
            found = change.job(job) if job else change.latest(name)
            if found is None or (job is None and found.state in OVER):
                return change.begin(name, terms, self.now())
            change.set_terms(found.id, terms)
            if found.state == 'held':
                change.set_job(found.id, 'open')
            return change.job(found.id)

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self.ledger.batches() as view:
            return view.jobs()

    def status(self, job: str) -> Status:
        """How far a job is.

        Raises:
            BatchError: There is no such job.
        """
        with self.ledger.batches() as view:
            one = view.job(job)
            counts = view.counts(one.id)
            batches = view.submissions(one.id)
            cost, _, unpriced = view.spent(one.id)
            in_doubt, duplicates = view.doubts(one.id)
        return Status(
            id=one.id,
            state=one.state,
            reason=one.reason,
            waiting=counts.get('waiting', 0),
            sent=counts.get('sent', 0) + counts.get('sync', 0),
            done=counts.get('done', 0),
            batches=sum(each.state in OPEN for each in batches),
            notes=tuple(
                f'{each.batch or each.label}: {each.reason}'
                for each in batches
                if each.reason and each.state != 'failed'
            ),
            cost_usd=usd(cost),
            unpriced=unpriced,
            in_doubt=in_doubt,
            duplicates=duplicates,
        )

    def tick(self, job: str, *, plan: bool = True) -> Tick:
        """Take a job one step on, with the keys of the environment and those that are known.

        Raises:
            BatchError: As `Scheduler.tick`.
        """
        self.providers.learn_environment()
        journal = self.journal()
        try:
            with self.ledger.batches() as view:
                found = view.job(job).id
            scheduler = self.scheduler(journal)
            try:
                return scheduler.tick(found, plan=plan)
            finally:
                scheduler.release(found)
        finally:
            journal.close()

    def set_state(self, job: str, state: JobState, reason: str | None = None) -> Job:
        """Change a job's state; the next tick does what follows from it.

        Raises:
            BatchError: There is no such job.
        """
        with self.ledger.changing_batches() as change:
            found = change.job(job)
            change.set_job(found.id, state, reason)
            return change.job(found.id)

    def purge(self, *, older_than_s: float = RETENTION_S) -> list[str]:
        """Delete the texts of jobs that are over and older; the ids of these jobs.

        Their entries stay in the ledger. They cannot be run again from the journal.
        """
        before_s = self.now() - older_than_s
        gone = [one.id for one in self.jobs() if one.state in OVER and one.created_s <= before_s]
        journal = self.journal()
        if journal.path.exists():
            try:
                journal.purge(gone)
            finally:
                journal.close()
        return gone


def seconds(span: Span, what: str) -> float:
    """A span of time such as `20h`, `90m`, a number of seconds or a `timedelta`, in seconds.

    Raises:
        InputError: It is none.
    """
    if isinstance(span, timedelta):
        return span.total_seconds()
    if isinstance(span, str):
        found = _SPAN.fullmatch(span.strip())
        if found:
            return float(found[1]) * _UNIT_S[found[2]]
    elif isinstance(span, int | float) and span >= 0:
        return float(span)
    raise InputError(f'`{what}` is {span!r}: expected a span such as 20h, 90m, 45s or 2d')
