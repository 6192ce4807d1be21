"""Batch jobs for code of any framework: what `BatchRunner` is in each adapter.

A name has one unfinished job at a time: to submit again under it goes on with that, whatever
became of the process that began it. What is answered already is never paid again.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.progress import Progress

from farthing.attribution import Attribution, attributed
from farthing.batching.deadline import RESERVE_S, Deadline
from farthing.batching.estimating import Estimate
from farthing.batching.jobs import Job, Terms
from farthing.errors import BatchError, InputError
from farthing.io.batch_desk import Desk, Span, Status, seconds
from farthing.io.tap import tap
from farthing.meter.shared import Source
from farthing.money import pico
from farthing.run.batches import Settings, Tick
from farthing.run.driving import Call, Drive, Outcome
from farthing.run.gauge import Gauge
from farthing.run.parking import Lot
from farthing.run.replies import Seat
from farthing.run.seats import seated


class RunningJob:
    """A job, and the code of its inputs as far as it runs in this process.

    Attributes:
        id: The job's id, with which it is found again.
    """

    def __init__(self, runner: 'Runner', job: Job, call: Call, inputs: Sequence[Any]) -> None:
        self.id = job.id
        self._runner = runner
        self._lot = runner.lot(job)
        self._drive = runner.drive(self._lot, call, inputs)
        self._early: list[Outcome] = []
        self._left = len(inputs)
        self._closed = False

    async def begin(self) -> None:
        """Run the inputs' code until everything that can be sent now has been."""
        with self._runner.tapped():
            async for outcome in self._drive.outcomes(until_sent=True):
                self._early.append(outcome)

    async def results(self) -> AsyncIterator[Outcome]:
        """Each input's outcome, as it comes. When all have come, the job is finished.

        Raises:
            BatchLimit: The next round would pass `max_cost_usd`.
            BatchError: The job cannot go on; what is answered stays. Or its code was let go: the
                results were read before, to their end or not.
            LedgerError: The ledger cannot be used.
        """
        if self._closed:
            raise self._gone()
        try:
            while self._early:
                self._left -= 1
                yield self._early.pop(0)
            with self._runner.tapped():
                async for outcome in self._drive.outcomes():
                    self._left -= 1
                    yield outcome
            if self._left:
                raise self._gone()
            self._runner.finish(self.id)
        finally:
            await self.close()

    def _gone(self) -> BatchError:
        return BatchError(
            f'results of job {self.id} were read before, or it was closed: submit it again with '
            f'job={self.id!r}, which pays for nothing that is answered'
        )

    def status(self) -> Status:
        """How far it is."""
        return self._runner.desk.status(self.id)

    @property
    def unbatched(self) -> Mapping[str, int]:
        """How many requests no batch takes, by provider: they were sent at once, at full price."""
        return self._lot.unbatched.counts

    def cancel(self) -> None:
        """Give its batches up; what is answered until then is kept and paid."""
        self._runner.desk.set_state(self.id, 'cancelled')

    async def close(self) -> None:
        """Let go of the code that runs here; the job stays, and can be submitted again."""
        self._closed = True
        await self._drive.close()
        await asyncio.to_thread(self._lot.close)


class Runner:
    """Runs code over many inputs with its model calls in providers' batches, at half the price.

    Args:
        name: The job's name.
        ledger: As for every adapter.
        deadline: When it is to be done: a span from now such as `20h`, or a time.
        reserve: How long before the deadline batches are given up, for the rest to be asked at
            once.
        max_cost_usd: What it may cost at most; checked before each round, against estimates.
        dedupe: Whether equal requests are sent once.
        reuse: Whether answers of earlier jobs to equal requests are taken.
        tenant: Whose money it is, where the code does not say.
        task: What it is for, likewise.
        session: The conversation it belongs to, likewise.
        window: How many inputs run at a time.
        threads: Whether the code blocks, and runs in as many threads.
        poll: How often the providers are asked.
        idle: How long all code must have waited before its requests are sent.
        terms: Those of a job that goes on, instead of deadline, limit and the rest.
        settings: How batches are driven.
        now: Tells the time in seconds since 1970.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(
        self,
        name: str,
        *,
        ledger: Source = None,
        deadline: Span | datetime | None = None,
        reserve: Span = RESERVE_S,
        max_cost_usd: Decimal | str | float | None = None,
        dedupe: bool = False,
        reuse: bool = False,
        tenant: str | None = None,
        task: str | None = None,
        session: str | None = None,
        window: int = 1_000,
        threads: bool = False,
        poll: Span = 30.0,
        idle: Span = 1.0,
        terms: Terms | None = None,
        settings: Settings | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if window < 1:
            raise InputError(f'`window` is {window}: expected at least 1')
        self.name = name
        self.desk = Desk(ledger, settings=settings, now=now)
        self._given_terms = terms
        self._deadline = deadline
        self._reserve_s = seconds(reserve, 'reserve')
        self._max_cost = None if max_cost_usd is None else _pico(max_cost_usd)
        self._dedupe, self._reuse = dedupe, reuse
        self.who = Attribution(tenant=tenant, task=task, session=session)
        self._window = window
        self.threads = threads
        self.poll_s = seconds(poll, 'poll')
        self._idle_s = seconds(idle, 'idle')
        self._lock = threading.Lock()
        self._seat: Seat | None = None

    def begun(self, *, job: str | None = None) -> Job:
        """The job to go on with; see `Desk.begun`."""
        return self.desk.begun(self.name, self._terms(), job=job)

    async def estimate_calls(self, call: Call, inputs: Sequence[Any]) -> Estimate:
        """What the first round would cost; the inputs' code runs until it asks a model.

        Later rounds depend on answers: they are reckoned from the last job of this name, if any.
        """
        job = Job(
            id=f'{self.name}.0', name=self.name, number=0, created_s=self.desk.now(),
            terms=self._terms(),
        )  # fmt: skip
        gauge: Gauge = self._lot(Gauge, job)
        drive = self.drive(gauge, call, inputs)
        try:
            with self.tapped():
                async for _ in drive.outcomes(until_sent=True):
                    pass
        finally:
            await drive.close()
            await asyncio.to_thread(gauge.close)
        with self.desk.ledger.batches() as view:
            last = view.latest(self.name)
            first, whole = view.rounds(last.id) if last else (0, 0)
        return gauge.total.scaled(whole, first) if first else gauge.total

    async def submit_calls(
        self, call: Call, inputs: Sequence[Any], *, job: str | None = None
    ) -> RunningJob:
        """A job whose first round is sent.

        Args:
            call: What is done with an input.
            inputs: The inputs, in the same order whenever the job is submitted again.
            job: An earlier job's id, to run it again from the journal.

        Raises:
            BatchLimit: The first round would pass `max_cost_usd`; nothing was sent.
            BatchError: There is no such job, or the provider refuses the credentials.
            LedgerError: The ledger cannot be used.
        """
        running = RunningJob(self, self.begun(job=job), call, inputs)
        try:
            await running.begin()
        except BaseException:
            await running.close()
            raise
        return running

    def run_calls(
        self,
        call: Call,
        inputs: Sequence[Any],
        *,
        job: str | None = None,
        return_exceptions: bool = False,
        progress: bool = True,
    ) -> list[Any]:
        """The outputs in the order of the inputs; it blocks until all are there.

        Args:
            call: What is done with an input.
            inputs: The inputs.
            job: As in `submit_calls`.
            return_exceptions: Whether errors stand among the outputs. Else the first one is
                raised when all inputs are done.
            progress: Whether a bar is shown.
        """
        outcomes: list[Outcome | None] = [None] * len(inputs)
        done = ''

        async def collect() -> None:
            nonlocal done
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(self._window + 8, 'farthing-chain'))
            running = await self.submit_calls(call, inputs, job=job)
            done = running.id
            with Progress(transient=True, disable=not progress) as bar:
                task = bar.add_task(running.id, total=len(inputs))
                async for outcome in running.results():
                    outcomes[outcome.index] = outcome
                    bar.advance(task)

        _run_alone(collect())
        found = [one for one in outcomes if one is not None]
        failed = next((one.error for one in found if one.error is not None), None)
        if failed is not None and not return_exceptions:
            failed.add_note(
                f'farthing: the answers of job {done} are kept: `run(..., job={done!r})` pays for '
                'none of them again, and `return_exceptions=True` gives the other outputs'
            )
            raise failed
        return [one.output if one.error is None else one.error for one in found]

    @contextmanager
    def parked(self, *, job: str | None = None) -> Iterator[Job]:
        """Calls of models in this block wait for batches, each of which takes what came together.

        Code that is not run over inputs uses this: a batch leaves when nothing more was asked
        for as long as `idle`. Threads that do not copy their context are not in the block. A block
        that raises leaves its job unfinished: run again, it pays for nothing twice.
        """
        seat = self.seat(job=job)
        try:
            with self.in_force(), seated(seat):
                yield seat.lot.job
        except BaseException:
            self._leave()
            raise
        self.close()

    def tick(self, *, job: str | None = None) -> Tick:
        """Take the newest job of the name, or a given one, a step on: for cron and task queues.

        Whatever calls it, and however often at a time, nothing is sent twice. The code of inputs
        does not run here: answers are collected, and the next `submit` finds them.

        Raises:
            BatchLimit: The next round would pass `max_cost_usd`.
            BatchError: There is no such job, or it cannot go on.
            LedgerError: The ledger cannot be used.
        """
        return self.desk.tick(job or self.name)

    def seat(self, *, job: str | None = None) -> Seat:
        """The seat of code that is not run over inputs: one for all of it, until `close`."""
        with self._lock:
            if self._seat is None:
                begun = self.begun(job=job)
                self._seat = self._lot(Lot, begun, idle_s=self._idle_s).seat(0)
            return self._seat

    def close(self) -> None:
        """End what `parked` and `seat` have begun; the job is finished where all was answered."""
        seat = self._leave()
        if seat is not None and not seat.waiting and seat.lot.failure is None:
            self.finish(seat.lot.job.id)

    def _leave(self) -> Seat | None:
        with self._lock:
            seat, self._seat = self._seat, None
        if seat is not None:
            seat.lot.leave(seat)
            seat.lot.close()
        return seat

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Requests of code with a seat wait, and are attributed."""
        with self.tapped(), self._attributed():
            yield

    @contextmanager
    def tapped(self) -> Iterator[None]:
        """Requests of code with a seat wait."""
        tap.park()
        try:
            yield
        finally:
            tap.unpark()

    def _attributed(self) -> AbstractContextManager[object]:
        who = self.who
        return attributed(tenant=who.tenant, task=who.task, session=who.session)

    def lot(self, job: Job) -> Lot:
        """Where the requests of a job wait."""
        made: Lot = self._lot(Lot, job)
        return made

    def drive(self, lot: Lot, call: Call, inputs: Sequence[Any]) -> Drive:
        """A run over inputs, whose code is attributed as code that runs here is."""
        with self._attributed():
            return Drive(
                lot,
                self.desk.ledger,
                call,
                inputs,
                window=self._window,
                idle_s=self._idle_s,
                threaded=self.threads,
            )

    def finish(self, job: str) -> None:
        """All outcomes of a job were delivered."""
        with self.desk.ledger.changing_batches() as change:
            if change.job(job).state == 'open':
                change.set_job(job, 'finished')

    def _lot(self, kind: type[Any], job: Job, *, idle_s: float | None = None) -> Any:
        desk, journal = self.desk, self.desk.journal()
        return kind(
            job,
            meter=desk.meter,
            ledger=desk.ledger,
            journal=journal,
            learn=desk.providers.learn,
            scheduler=lambda on_done: desk.scheduler(journal, on_done),
            poll_s=self.poll_s,
            idle_s=idle_s,
        )

    def _terms(self) -> Terms:
        if self._given_terms is not None:
            return self._given_terms
        when = self._deadline
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise InputError(f'`deadline` is {when!r}: expected an aware datetime')
            at_s: float | None = when.timestamp()
        else:
            at_s = None if when is None else self.desk.now() + seconds(when, 'deadline')
        return Terms(
            deadline=Deadline(at_s=at_s, reserve_s=self._reserve_s),
            max_cost=self._max_cost,
            dedupe=self._dedupe,
            reuse=self._reuse,
        )


def _pico(amount_usd: Decimal | str | float) -> int:
    try:
        return pico(Decimal(str(amount_usd)))
    except InvalidOperation as error:
        raise InputError(f'`max_cost_usd` is {amount_usd!r}: expected an amount of USD') from error


def _run_alone(work: Any) -> None:
    """Run a coroutine in a loop of its own; in a thread of its own where a loop runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised below, where it is waited for
            failed.append(error)

    thread = threading.Thread(target=run, name='farthing-run')
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
