"""Where requests of a job wait for their answers.

A job's code runs with a *seat* in its context. What it sends is not sent: it is parked in the
*lot* of the job, stored, put into a batch with others, and answered when that ends. One thread of
the lot stores, plans, asks the providers and hands out answers, so that there is one order of
things; any number of threads and tasks may wait.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from farthing.batching.jobs import Draft, Item, Job
from farthing.batching.keys import item_key
from farthing.entry import Entry
from farthing.errors import BatchError, FarthingError, LedgerError
from farthing.ledger import Ledger
from farthing.ledger.batch_view import View
from farthing.meter import Meter
from farthing.run.answering import Answers, Waiting
from farthing.run.batches import Scheduler, Tick
from farthing.run.drafting import Asked, Drafting
from farthing.run.journal import Answer, Journal
from farthing.run.replies import Dropped, Reply, Seat, refusal
from farthing.run.settling import Done, OnDone
from farthing.run.unbatched import Unbatched

_log = logging.getLogger('farthing')
_MANY = 1_000
_GATHER_S = 1.0


class Lot:
    """The requests of one job that wait in this process.

    Args:
        job: The job.
        meter: Prices, and tells equal requests by the ledger's key.
        ledger: Has the job.
        journal: Keeps requests and answers.
        learn: Keeps the credentials of a request in memory; the fingerprint of their account.
        scheduler: Makes what drives the job, given what hears of answers.
        poll_s: How often the providers are asked.
        idle_s: Where nobody says when to send: after so long without a further request.
        notify: Called from any thread when something has changed.
    """

    def __init__(
        self,
        job: Job,
        *,
        meter: Meter,
        ledger: Ledger,
        journal: Journal,
        learn: Callable[[str, str, Mapping[str, str]], str],
        scheduler: Callable[[OnDone], Scheduler],
        poll_s: float,
        idle_s: float | None = None,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self.job = job
        self.failure: BaseException | None = None
        self.tick = Tick()
        self.unbatched = Unbatched(job.id)
        self.busy = 0
        self.notify = notify
        self.meter = meter
        self.learn = learn
        self._ledger = ledger
        self._journal = journal
        self._scheduler = scheduler(self._done)
        self._drafting = Drafting(meter)
        self._answers = Answers(job, meter=meter, ledger=ledger, journal=journal)
        self._poll_s = poll_s
        self._idle_s = idle_s
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stop = False
        self._arrived: deque[Waiting] = deque()
        self._waiters: dict[str, list[Waiting]] = {}
        self._sleepers: dict[str, tuple[int, ...]] = {}
        self._woken: deque[int] = deque()
        self._flush = False
        self._sent = False
        self._heard = 0
        self._unheard: int | None = 0
        self._last_s = self._first_s = time.monotonic()
        self._next_s = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True, name='farthing-batches')
        self._thread.start()

    def seat(self, number: int) -> Seat:
        """A seat for an input, whose code runs from now on."""
        with self._lock:
            self.busy += 1
        return Seat(self, number)

    def leave(self, seat: Seat) -> None:
        """The code of a seat has ended."""
        with self._lock:
            if not seat.waiting:
                self.busy -= 1
            seat.dropped = True
        self._hail()

    def park(self, seat: Seat, asked: Asked) -> 'Future[Reply]':
        """A promise of the answer to a request.

        Raises:
            Dropped: The seat's code was let go.
            BatchError: The request cannot be written as JSON.
        """
        digest = self._drafting.digest(asked)
        future: Future[Reply] = Future()
        with self._lock:
            if seat.dropped:
                raise Dropped
            if self.failure is not None:
                future.set_result(refusal(asked.provider, self.failure))
                return future
            nth, number = seat.numbered(digest)
            merged = self.job.terms.dedupe
            self._arrived.append(
                Waiting(
                    seat=seat,
                    asked=asked,
                    digest=digest,
                    nth=nth,
                    round=number,
                    key=item_key(digest, owner=None if merged else seat.input, nth=nth),
                    future=future,
                )
            )
            if not seat.waiting:
                self.busy -= 1
            seat.waiting += 1
            self._flush = self._sent = False
            self._last_s = time.monotonic()
            if len(self._arrived) == 1:
                self._first_s = self._last_s
                self._wake.set()
        self._hail()
        return future

    def _hail(self) -> None:
        if self._arrived and self._ripe():
            self._wake.set()

    def pass_by(self, seat: Seat, provider: str) -> None:
        """A request that no batch takes is about to be sent at once.

        Raises:
            Dropped: The seat's code was let go, and may send nothing more.
        """
        if seat.dropped:
            raise Dropped
        seat.unbatched = True
        self.unbatched.add(provider)

    def drop_all(self, seats: Sequence[Seat]) -> list[Seat]:
        """Those of the seats whose code was let go: all that it waits for is stored.

        Their inputs are among the `woken` ones when an answer has come.
        """
        with self._lock:
            keys: dict[int, list[str]] = {}
            for key, some in self._waiters.items():
                for one in some:
                    keys.setdefault(id(one.seat), []).append(key)
            return [seat for seat in seats if self._drop(seat, keys.get(id(seat), []))]

    def _drop(self, seat: Seat, keys: list[str]) -> bool:
        if not seat.waiting or len(keys) < seat.waiting:
            return False
        seat.dropped = True
        for key in keys:
            left = [one for one in self._waiters[key] if one.seat is not seat]
            gone = [one for one in self._waiters[key] if one.seat is seat]
            if left:
                self._waiters[key] = left
            else:
                del self._waiters[key]
            # A tuple of numbers: lists would be visited, each of them, by the garbage collector.
            self._sleepers[key] = (*self._sleepers.get(key, ()), seat.input)
            for one in gone:
                if one.future.set_running_or_notify_cancel():
                    one.future.set_exception(Dropped())
        return True

    def woken(self) -> list[int]:
        """Inputs whose code was let go, and which have an answer now."""
        with self._lock:
            found = list(dict.fromkeys(self._woken))
            self._woken.clear()
        return found

    @property
    def stored(self) -> bool:
        """Whether everything that was parked is on disk."""
        return not self._arrived

    @property
    def waits(self) -> bool:
        """Whether any code waits here."""
        return bool(self._waiters)

    @property
    def quiet_s(self) -> float:
        """For how long nothing has been parked or answered."""
        return time.monotonic() - self._last_s

    @property
    def flushed(self) -> bool:
        """Whether everything that was parked is to be sent."""
        return self._flush

    @property
    def sent(self) -> bool:
        """Whether everything that can be sent now has been."""
        return self._sent

    def flush(self) -> None:
        """Send what waits: nothing more will come before it is answered."""
        with self._lock:
            self._flush = True
            self._next_s = 0.0
        self._wake.set()

    def close(self) -> None:
        """Stop; what is under way at the providers stays, and the job can be taken up again."""
        self._stop = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stop:
                self._wake.wait(self._pause_s())
                self._wake.clear()
                self._step()
        except BaseException as error:  # noqa: BLE001 - told to all who wait: none waits for ever
            self._fail(error)
        finally:
            self._end()

    def _ripe(self) -> bool:
        """Whether to store what has arrived: one request takes as long as many.

        While code runs that may park more, there is time until the first one has waited a while.
        """
        many = len(self._arrived) >= _MANY or not self.busy
        return many or time.monotonic() >= self._first_s + _GATHER_S

    def _end(self) -> None:
        self.unbatched.tell()
        try:
            self._scheduler.release(self.job.id)
        except FarthingError as error:
            _log.warning(
                'farthing: job %s keeps its lease until it expires: %s', self.job.id, error
            )
        self._journal.close()

    def _pause_s(self) -> float | None:
        now_s = time.monotonic()
        until_s = self._next_s
        if self._arrived:
            until_s = min(until_s, self._first_s + _GATHER_S)
        if self._idle_s is not None and not self._flush and self._waiters:
            until_s = min(until_s, self._last_s + self._idle_s)
        return max(0.0, until_s - now_s)

    def _step(self) -> None:
        self._admit()
        now_s = time.monotonic()
        idle_s = self._idle_s
        if idle_s is not None and not self._flush and now_s - self._last_s >= idle_s:
            self._flush, self._next_s = True, 0.0
        if now_s < self._next_s:
            return
        plan = self._flush
        try:
            self.tick = self._scheduler.tick(self.job.id, plan=plan)
            self._sent = plan and self._flush
            self._catch_up()
        except LedgerError as error:
            _log.warning('farthing: job %s waits for its ledger: %s', self.job.id, error)
        self._next_s = time.monotonic() + self._poll_s
        if plan and not (self.busy or self._woken):
            self._check_hope()
        self.notify()

    def _check_hope(self) -> None:
        """All code waits.

        Raises:
            BatchError: It waits for what will never be sent.
        """
        vain = len(self._waiters) + len(self._sleepers)
        if self.tick.over is not None and vain:
            raise BatchError(
                f'job {self.job.id} is {self.tick.over} and sends nothing more, and {vain} '
                'requests of its code have no answer; submit it under its name, without `job`, to '
                'pay for them'
            )

    def _admit(self) -> None:
        """Store what has arrived, and answer what is known."""
        while self._arrived and self._ripe():
            some = [self._arrived[at] for at in range(min(len(self._arrived), _MANY))]
            fresh: dict[str, tuple[Draft, bytes]] = {}
            with self._ledger.batches() as view:
                items = view.keyed(self.job.id, [one.key for one in some])
                bodies = self._answers.read(
                    [key for key, item in items.items() if item.state == 'done']
                )
                for one in some:
                    self._admit_one(view, one, items.get(one.key), bodies, fresh)
            if fresh:
                self._journal.keep_requests(
                    self.job.id, ((draft.key, body) for draft, body in fresh.values())
                )
                with self._ledger.changing_batches() as change:
                    change.admit(self.job.id, [draft for draft, _ in fresh.values()])
            with self._lock:
                for _ in some:
                    self._arrived.popleft()
                self._first_s = time.monotonic()
            self.notify()

    def _admit_one(
        self,
        view: View,
        one: Waiting,
        item: Item | None,
        bodies: Mapping[str, Answer],
        fresh: dict[str, tuple[Draft, bytes]],
    ) -> None:
        try:
            known = self._waiters.get(one.key)
            if not known and item is not None and item.state == 'done':
                self._resolve(one, self._answers.known(one, item, view, bodies))
                return
            if not known and item is None and self.job.terms.reuse:
                earlier = self._answers.earlier(one, view)
                if earlier is not None:
                    self._resolve(one, earlier)
                    return
            if not known:
                # Also of an item that is stored already: its body may be damaged in the journal.
                fresh[one.key] = self._drafting.draft(
                    one.asked,
                    one.digest,
                    owner=one.seat.input,
                    nth=one.nth,
                    round_=one.round,
                    merged=self.job.terms.dedupe,
                )
        except FarthingError as error:
            self._resolve(one, refusal(one.asked.provider, error))
            return
        with self._lock:
            self._waiters.setdefault(one.key, []).append(one)

    def _done(self, done: Sequence[Done]) -> None:
        """Items were answered in a step of ours."""
        self._heard += len(done)
        self._hand_out(done)

    def _hand_out(self, done: Sequence[Done]) -> None:
        """Items have their answers: hand them to all who wait, and wake those that were let go."""
        keys = [item.draft.key for item, _ in done]
        bodies = self._answers.read([key for key in keys if key in self._waiters])
        for item, entries in done:
            self._hand_out_one(item, entries, bodies)
        self.notify()

    def _hand_out_one(
        self, item: Item, entries: Sequence[Entry], bodies: Mapping[str, Answer]
    ) -> None:
        key = item.draft.key
        with self._lock:
            waiting = self._waiters.pop(key, [])
            self._woken.extend(self._sleepers.pop(key, ()))
        if entries and not waiting:
            self._answers.heard_by_nobody(key)
        for number, one in enumerate(waiting):
            try:
                reply = self._answers.fresh(one, item, () if number else entries, bodies)
            except FarthingError as error:
                reply = refusal(item.draft.provider, error)
            self._resolve(one, reply)

    def _resolve(self, one: Waiting, reply: Reply) -> None:
        with self._lock:
            seat = one.seat
            seat.waiting -= 1
            self._last_s = time.monotonic()
            if not seat.waiting and not seat.dropped:
                self.busy += 1
        if one.future.set_running_or_notify_cancel():
            one.future.set_result(reply)

    def _catch_up(self) -> None:
        """Look for what other processes have collected, also between two of our own steps."""
        unheard = None if self.tick.busy else self.tick.done - self._heard
        if unheard is None or unheard != self._unheard:
            self._recheck()
        self._unheard = unheard

    def _recheck(self) -> None:
        with self._ledger.batches() as view:
            found = view.keyed(self.job.id, [*self._waiters, *self._sleepers])
        self._hand_out([(item, ()) for item in found.values() if item.state == 'done'])

    def _fail(self, error: BaseException) -> None:
        """Nothing more will be answered: tell all who wait."""
        with self._lock:
            self.failure = error
            # What was being stored just now stands among both.
            waiting = (one for some in self._waiters.values() for one in some)
            left = {id(one): one for one in (*self._arrived, *waiting)}
            self._arrived.clear()
            self._waiters.clear()
        for one in left.values():
            self._resolve(one, refusal(one.asked.provider, error))
        self.notify()
