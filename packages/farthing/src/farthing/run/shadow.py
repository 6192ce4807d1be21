"""Shadow calls: a sample of calls is answered by another route as well, and both answers graded.

It happens behind the user's back in the good sense: after the answer, in a thread of its own, one
at a time, and never for more money than the budget. What is learned goes to the ledger as
`farthing.ledger.routed` says; a failure is counted and heard by nobody else.
"""

import logging
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from farthing.attribution import attributed
from farthing.errors import InputError
from farthing.ledger import Ledger
from farthing.ledger.routed import shadow
from farthing.meter.following import Posted, following
from farthing.money import pico
from farthing.routing import Draft, Question, Router
from farthing.run.calls import Replay
from farthing.run.grading import Graded, Grader, outcome, source_of
from farthing.run.serving import Tally

_log = logging.getLogger('farthing')
_MOST_WAITING = 100
_T = TypeVar('_T')


class Shadow:
    """Replays and grades a sample of calls. Safe to use from several threads.

    Args:
        router: The routes.
        ledger: Where the pairs go.
        grader: Grades both answers.
        share: Which share of the calls is replayed.
        budget_usd: The most that shadow calls and grading may cost: what this ledger held of them
            when the process made its first one, and what it has made since. When it is spent, or
            when a cost is unknown, no more are made. The last one may exceed it.
        draw: A random number from 0 to 1.

    Attributes:
        counts: What became of the calls: `graded`, `ungraded`, `failed`, `dropped` (too many were
            waiting), `unpaid` (the budget is spent).

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(
        self,
        router: Router,
        ledger: Ledger,
        grader: Grader,
        *,
        share: float = 0.05,
        budget_usd: Decimal | float | str = 5,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not 0 <= share <= 1:
            raise InputError(f'`shadow_share` is {share!r}: expected 0 to 1')
        if not callable(grader):  # each answer would be paid for and none of them graded
            raise InputError(f'`grader` is {grader!r}: expected a function of `Graded`')
        self._budget = _budget(budget_usd)
        self._router = router
        self._ledger = ledger
        self._grader = grader
        self._share = share
        self._draw = draw
        self._spent: int | None = None
        self._unknown = False
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Replay] = queue.Queue(_MOST_WAITING)
        self._worker: threading.Thread | None = None
        self.counts: Counter[str] = Counter()

    @property
    def spent(self) -> int | None:
        """What shadow calls and grading have cost, in 1e-12 USD; `None` is unknown, or none yet."""
        return None if self._unknown else self._spent

    def offer(self, replay: Replay) -> None:
        """Take a call into the sample, or leave it."""
        if self._draw() >= self._share:
            return
        try:
            self._waiting.put_nowait(replay)
        except queue.Full:
            self.counts['dropped'] += 1
            return
        with self._lock:
            if self._worker is None or not self._worker.is_alive():  # a fork leaves none
                self._worker = threading.Thread(
                    target=self._work, daemon=True, name='farthing-shadow'
                )
                self._worker.start()

    def wait(self) -> None:
        """Wait until nothing waits any more."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            replay = self._waiting.get()
            try:
                self.counts[self._replayed(replay)] += 1
            except Exception as error:  # noqa: BLE001 - nobody waits for it; it is counted
                self.counts['failed'] += 1
                if self.counts['failed'] == 1:
                    _log.warning(
                        'farthing: a shadow call on route %r failed (%s); further ones are counted',
                        replay.other,
                        type(error).__name__,
                    )
            finally:
                self._waiting.task_done()

    def _replayed(self, replay: Replay) -> str:
        """Call, grade and post; what became of it."""
        if self._spent is None:
            self._spent = self._held()
        if self._unknown or self._spent >= self._budget:
            return 'unpaid'
        who = replay.request.who
        about = attributed(
            tenant=who.tenant, task=who.task, session=who.session, purpose='shadow', tags=who.tags
        )
        calling, grading = _Shadowed(replay, self._router), Tally()
        with about:
            calling.asking()
            answer = self._paid(calling, replay.call)
            scores = self._paid(grading, partial(self._graded, replay, answer, grading))
        if scores is None or calling.last is None:
            return 'ungraded'
        now, source = datetime.now(UTC), source_of(self._grader)
        for run_id, score in zip((replay.run_id, calling.last.run_id), scores, strict=True):
            self._ledger.post_outcome(outcome(run_id, score, source=source, time=now))
        return 'graded'

    def _graded(self, replay: Replay, answer: Draft, tally: Tally) -> tuple[object, object] | None:
        """The scores of the user's answer and of this one."""
        default = replay.served == self._router.default

        def ask(question: Question) -> str:
            tally.asking()
            return replay.ask(question)

        scores = [
            self._grader(
                Graded(
                    question=replay.request.text,
                    task=replay.request.who.task,
                    answer=one,
                    reference=replay.answer if default else answer,
                    ask=ask,
                )
            )
            for one in (replay.answer, answer)
        ]
        return None if None in scores else (scores[0], scores[1])

    def _held(self) -> int:
        """What the ledger holds of earlier shadow calls that have a price."""
        return self._ledger.report(where={'purpose': 'shadow'}).total.cost

    def _paid(self, tally: Tally, work: Callable[[], _T]) -> _T:
        """What `work` returns or raises; what it costs is taken from the budget."""
        try:
            with following(tally):
                return work()
        except Exception:
            if tally.last is None:
                tally = Tally()  # it failed before anything was sent
            raise
        finally:
            self._pay(tally.cost)

    def _pay(self, cost: int | None) -> None:
        if cost is not None:
            self._spent = (self._spent or 0) + cost
        elif not self._unknown:
            self._unknown = True
            _log.warning('farthing: what a shadow call cost is unknown, so no more are made')


class _Shadowed(Tally):
    """Follows a shadow call, and hangs on its entry whose shadow it is."""

    def __init__(self, replay: Replay, router: Router) -> None:
        super().__init__()
        self._replay = replay
        self._router = router

    def posted(self, one: Posted) -> None:
        """See `farthing.meter.following.Follower`."""
        super().posted(one)
        replay, routes = self._replay, self._router.routes
        weak, strong = (name for name in routes if name in {replay.served, replay.other})
        one.tell(
            shadow(
                entry_id=one.entry_id,
                time=one.answer.time,
                shadow_of=replay.run_id,
                ran=replay.other,
                weak=weak,
                strong=strong,
                default=self._router.default,
                models=(routes[weak].model, routes[strong].model),
                version=replay.version,
            )
        )


def _budget(usd: Decimal | float | str) -> int:
    try:
        found = pico(Decimal(str(usd)))
    except (ArithmeticError, ValueError):
        found = -1
    if found < 0:
        raise InputError(f'`shadow_budget_usd` is {usd!r}: expected USD of at least 0')
    return found
