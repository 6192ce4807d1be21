"""Running the code of a job's inputs until each has its output, as many at a time as fit.

An input's code waits in the lot wherever it asks a model. When all code that runs waits, and more
inputs are to come, the waiting code is let go: its requests are on disk, and it runs again from
the beginning once one of them is answered, with the journal's answers to those before. So memory
does not grow with the number of inputs. When nothing more can come, what waits is sent.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal
from inspect import isawaitable
from typing import Any

from farthing.ledger import Ledger
from farthing.money import usd
from farthing.run.parking import Lot
from farthing.run.replies import Seat
from farthing.run.seats import parking

_UNWINDING_S = 1.0
_STALLED_S = 10.0
_PACE_S = 0.02
_log = logging.getLogger('farthing')
Call = Callable[[Any], Any]
"""What is done with an input: a function, or one that returns something to await."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one input.

    Attributes:
        index: Its place among the inputs.
        output: What its code returned.
        error: What its code raised; `None` if it returned.
        cost_usd: What its requests cost; `None` where a price is missing, or where a request
            was sent outside the batches. Where equal requests are merged, the first one's input
            has paid.
        attempts: Most attempts that one of its requests took.
    """

    index: int
    output: Any = None
    error: BaseException | None = None
    cost_usd: Decimal | None = Decimal(0)
    attempts: int = 0


class Drive:
    """One run over a job's inputs.

    Args:
        lot: Where their requests wait.
        ledger: Tells what an input cost.
        call: What is done with an input.
        inputs: The inputs.
        window: How many run at a time.
        idle_s: How long all must have waited before what waits is sent: one code may ask several
            models side by side.
        threaded: Whether `call` blocks, and runs in threads.
    """

    def __init__(
        self,
        lot: Lot,
        ledger: Ledger,
        call: Call,
        inputs: Sequence[Any],
        *,
        window: int,
        idle_s: float,
        threaded: bool,
    ) -> None:
        self._lot = lot
        self._ledger = ledger
        self._call = call
        self._inputs = inputs
        self._window = window
        self._idle_s = idle_s
        self._pool = ThreadPoolExecutor(window, 'farthing-input') if threaded else None
        self._ready = deque(range(len(inputs)))
        self._live: dict[asyncio.Task[Any], Seat] = {}
        self._ended: list[asyncio.Task[Any]] = []
        self._asleep: set[int] = set()
        self._unused = 0
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._told = False
        lot.notify = self._notify

    async def outcomes(self, *, until_sent: bool = False) -> AsyncIterator[Outcome]:
        """Each input's outcome, as it comes.

        Args:
            until_sent: Stop when everything that can be sent now has been.

        Raises:
            BaseException: What ended the job: its limit, the ledger, the journal.
        """
        while self._ready or self._live or self._asleep:
            self._start()
            for outcome in self._finished():
                yield outcome
            if self._lot.failure is not None:
                raise self._lot.failure
            self._wake()
            if not self._quiet():
                await self._stalled()
            elif self._lot.flushed:
                if until_sent and self._lot.sent:
                    return
                await self._change()
            elif self._lot.quiet_s < self._idle_s:
                await self._change(self._idle_s - self._lot.quiet_s)
            elif self._ready:
                await self._sleep()
            else:
                self._lot.flush()

    async def close(self) -> None:
        """Let go of all code that still runs; warn of requests that were sent for nothing."""
        if self._unused:
            _log.warning(
                'farthing: job %s: %d requests were sent that the code of their inputs did not '
                'ask for when it ran again: it has to ask the same each time, without clocks or '
                'random numbers',
                self._lot.job.id,
                self._unused,
            )
            self._unused = 0
        for task, seat in self._live.items():
            seat.dropped = True
            task.cancel()
        await asyncio.gather(*self._live, return_exceptions=True)
        for left in (self._live, self._ready, self._asleep):
            left.clear()
        self._changed.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _start(self) -> None:
        while self._ready and len(self._live) < self._window:
            number = self._ready.popleft()
            seat = self._lot.seat(number)
            # In the context that the run was begun in: what is started later, when another one
            # reads the results, is for the same tenant.
            task = asyncio.create_task(
                self._run(seat, self._inputs[number]), context=self._context.copy()
            )
            self._live[task] = seat
            task.add_done_callback(self._end)

    async def _run(self, seat: Seat, given: Any) -> Any:
        parking.set(seat)
        if self._pool is not None:
            return await self._loop.run_in_executor(
                self._pool, copy_context().run, self._call, given
            )  # fmt: skip
        made = self._call(given)
        return await made if isawaitable(made) else made

    def _finished(self) -> list[Outcome]:
        ended = [task for task in self._ended if task in self._live]
        self._ended.clear()
        if not ended:
            return []
        found = []
        with self._ledger.batches() as view:
            for task in ended:
                seat = self._live.pop(task)
                self._lot.leave(seat)
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                paid = view.paid(self._lot.job.id, seat.input)
                merged = self._lot.job.terms.dedupe
                if error is None and not merged and paid.requests > seat.rounds:
                    self._unused += paid.requests - seat.rounds
                cost = None if seat.unbatched else paid.cost
                found.append(
                    Outcome(
                        index=seat.input,
                        output=None if error else task.result(),
                        error=error,
                        cost_usd=None if cost is None else usd(cost),
                        attempts=paid.attempts,
                    )
                )
        return found

    def _wake(self) -> None:
        for number in self._lot.woken():
            if number in self._asleep:
                self._asleep.discard(number)
                self._ready.append(number)

    def _quiet(self) -> bool:
        """Whether all code that runs waits for an answer, and nothing more can be started."""
        full = len(self._live) >= self._window or not self._ready
        return full and not self._lot.busy and self._lot.stored

    async def _sleep(self) -> None:
        """Let go of all code that waits, for others to run."""
        gone = set(map(id, self._lot.drop_all(list(self._live.values()))))
        tasks = [task for task, seat in self._live.items() if id(seat) in gone]
        for task in tasks:
            seat = self._live.pop(task)
            self._asleep.add(seat.input)
            task.cancel()
        if tasks:
            # Code that catches what lets it go may take its time; it can send nothing more.
            await asyncio.wait(tasks, timeout=_UNWINDING_S)

    async def _stalled(self) -> None:
        """Wait for code that runs; send what waits where none of it gets on.

        Code that blocks a pool of few threads keeps the rest from ever sending anything.
        """
        await self._change(_STALLED_S)
        lot = self._lot
        if lot.quiet_s >= _STALLED_S and lot.waits and not lot.flushed:
            _log.warning(
                'farthing: job %s: %d inputs do not get on while others wait, so that batches '
                'are small: does their code block the loop or a pool of few threads?',
                self._lot.job.id,
                self._lot.busy,
            )
            self._lot.flush()

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._ended.append(task)
        if not task.cancelled():
            task.exception()  # of code that was let go nobody asks
        self._changed.set()

    async def _change(self, timeout_s: float | None = None) -> None:
        """Wait until something has happened, or for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
            await asyncio.sleep(_PACE_S)  # many end at a time, and are looked up in one view
        self._changed.clear()

    def _notify(self) -> None:
        """Called from the lot's thread, for each answer: the loop hears of many at once."""
        if self._told:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:
            self._lot.notify = _nothing  # the loop is closed: nobody listens any more

    def _hear(self) -> None:
        self._told = False
        self._changed.set()


def _nothing() -> None:
    """Nobody listens."""
