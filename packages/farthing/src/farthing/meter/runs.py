"""The framework's open calls, and which of them an HTTP request belongs to.

A framework's callback says *who*: it opens a run here, and its context variable travels with the
call. The HTTP tap says *how much*: when a request leaves, it asks for the run of its context.
Nothing here guesses: where several runs share a context, the request's text decides, and a
request that matches none of them stays without a run.
"""

import time
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from datetime import UTC, datetime

from farthing.attribution import Attribution
from farthing.entry import CallType
from farthing.meter.account import Account
from farthing.meter.following import Follower, follower
from farthing.wire.prompt import Shape

_NO_SHAPE = Shape(None, 0, 0)


class Run:
    """A framework's call from its start to its end.

    Attributes:
        id: The framework's id of the run.
        key: What the run is found by: the same, in the framework's own type.
        parent_id: The run that it is part of.
        who: Whom the call is for.
        provider: The provider that the framework names; `None` when it names none.
        model: The model that the framework names.
        tapped: Whether the HTTP tap cannot miss its requests.
        call_type: `chat` or `embeddings`.
        siblings: How many runs the same framework call started together.
        deferred: Whether its request may leave later, and in another context than its start:
            a stream that sends it when it is first read.
        shape: Tells the shape of what the framework was given; its model is left to the request.
        accounts: Where its entries go.
        claims: How many requests left for it.
        answered: Whether one of them was answered.
        doubtful: Whether a request that may be its own was posted without it.
        closed: Whether the framework or the tap ended it.
        follower: Who hears of its entries; `None` is nobody.
        inner: Runs that started inside it before it sent a request of its own.
        nested: Whether it is such a run of another one.
        cut: Whether it was left before its end.
        answer_ids: Ids under which its answer was posted.
        pending: Ends the request that is under way for it, when the framework leaves the answer.
        time: When it started, in UTC.
        started_ns: The same on the monotonic clock.
        first_ns: When the framework handed out its first token.
    """

    __slots__ = (
        'accounts',
        'answer_ids',
        'answered',
        'call_type',
        'claims',
        'closed',
        'cut',
        'deferred',
        'doubtful',
        'first_ns',
        'follower',
        'id',
        'inner',
        'input_chars',
        'key',
        'model',
        'nested',
        'parent_id',
        'pending',
        'provider',
        'shape',
        'siblings',
        'started_ns',
        'tapped',
        'text',
        'time',
        'who',
    )

    def __init__(
        self,
        run_id: str,
        *,
        key: Hashable = None,
        parent_id: str | None,
        who: Attribution,
        account: Account,
        provider: str | None,
        model: str | None,
        tapped: bool = False,
        call_type: CallType = 'chat',
        siblings: int = 1,
        deferred: bool = False,
        text: Callable[[], str] = str,
        input_chars: Callable[[], int] = int,
        shape: Callable[[], Shape] = lambda: _NO_SHAPE,
    ) -> None:
        self.id = run_id
        self.key = run_id if key is None else key
        self.parent_id = parent_id
        self.who = who
        self.accounts = [account]
        self.provider = provider
        self.model = model
        self.tapped = tapped
        self.call_type: CallType = call_type
        self.siblings = siblings
        self.deferred = deferred
        self.text = text
        self.input_chars = input_chars
        self.shape = shape
        self.follower = follower()
        self.claims = 0
        self.answered = False
        self.doubtful = False
        self.closed = False
        self.cut = False
        self.nested = False
        self.inner: list[Run] = []
        self.answer_ids: set[str] = set()
        self.pending: Callable[[BaseException | None], None] | None = None
        self.time = datetime.now(UTC)
        self.started_ns = time.perf_counter_ns()
        self.first_ns: int | None = None

    @property
    def seen(self) -> bool:
        """Whether the HTTP tap has posted this run's answer, or may have."""
        return self.claims > 0 or self.doubtful

    def repeats(self, answer_ids: set[str], *, has_usage: bool) -> bool:
        """Whether the run only hands on the answer of a run inside it, which was posted.

        A model that calls another one in its own `_generate` is such a wrapper: it ends with the
        inner answer's ids, or with an answer of its own making that carries no usage.
        """
        if not self.inner:
            return False
        posted = [run for run in self.inner if run.answer_ids]
        if not any(not has_usage or run.answer_ids & answer_ids for run in posted):
            return False
        # A wrapper around this wrapper ends with the same answer.
        self.answer_ids.update(*(run.answer_ids for run in posted))
        return True

    def leave(self, error: BaseException | None) -> None:
        """Post what was read of an answer that the framework no longer reads."""
        if self.pending is not None:
            self.pending(error)

    def age_us(self) -> int:
        """Time since the start, in microseconds."""
        return (time.perf_counter_ns() - self.started_ns) // 1_000

    def first_token_us(self) -> int | None:
        """Time from the start to the first token, in microseconds."""
        return None if self.first_ns is None else (self.first_ns - self.started_ns) // 1_000

    def touch(self) -> None:
        """Note that the first token has come."""
        self.first_ns = time.perf_counter_ns()


_here: ContextVar[tuple[Run, ...]] = ContextVar('farthing_runs', default=())
_sent: ContextVar[Run | None] = ContextVar('farthing_sent', default=None)
_open: dict[Hashable, Run] = {}
_deferred: dict[Hashable, Run] = {}
"""Those of the open runs that may send from anywhere: each request that no run is around asks."""


def opened(run: Run) -> Run:
    """Open `run` in this context; a run that another handler opened already gets its account."""
    known = _open.setdefault(run.key, run)
    if known is not run:
        known.accounts += [a for a in run.accounts if a not in known.accounts]
        return known
    if run.deferred:
        _deferred[run.key] = run
    around = [one for one in _here.get() if not one.closed]
    if around and not around[-1].claims and not _siblings(around[-1], run):
        around[-1].inner.append(run)
        run.nested = True
    _here.set((*around, run))
    return run


def find(key: Hashable) -> Run | None:
    """The open run of that key."""
    return _open.get(key)


def ended(key: Hashable) -> Run | None:
    """The run of that key, which was open until now."""
    run = _open.pop(key, None)
    if run is not None:
        run.closed = True
        _deferred.pop(key, None)
    return run


def close(run: Run) -> bool:
    """End `run`; whether it was open until now."""
    run.closed = True
    _deferred.pop(run.key, None)
    return _open.pop(run.key, None) is not None


def here() -> Run | None:
    """The innermost open run around this code."""
    return next((run for run in reversed(_here.get()) if not run.closed), None)


def followed(by: Follower) -> Run | None:
    """The latest run that started in this context and has that follower, ended or not."""
    return next((run for run in reversed(_here.get()) if run.follower is by), None)


def still_open() -> list[Run]:
    """The runs that were started and never ended, oldest first."""
    return list(_open.values())


def claim(text: Callable[[], str], call_type: CallType = 'chat') -> Run | None:
    """The run that a request leaving this context belongs to; `text` is its last user text."""
    run = _claimed(text, call_type)
    _sent.set(run)
    return run


def sent() -> Run | None:
    """The run of the latest request that left this context."""
    return _sent.get()


def in_run() -> bool:
    """Whether this code runs inside an open run, or one waits that may send from anywhere."""
    if any(not run.closed for run in _here.get()):
        return True
    return any(run.deferred and not run.claims for run in list(_deferred.values()))


def _claimed(text: Callable[[], str], call_type: CallType) -> Run | None:
    runs = [r for r in _here.get() if not r.closed and r.call_type == call_type]
    if not runs:
        elsewhere = [
            r
            for r in list(_deferred.values())
            if r.deferred and not r.claims and r.call_type == call_type
        ]
        return _claimed_by_text(elsewhere, text()) if elsewhere else None
    innermost = runs[-1]
    alone = innermost.siblings == 1 and not innermost.deferred
    # Embeddings start several in one context; a retry of any may take the place of another.
    if alone and call_type == 'chat' and not innermost.answered:
        innermost.claims += 1
        return innermost
    waiting = [r for r in runs if not r.claims] or [r for r in runs if not r.answered] or runs
    last = waiting[-1]
    if last.siblings > 1 or last.deferred:
        # A retry's run has claimed already, so all that are not answered are asked.
        group = [r for r in runs if _siblings(r, last) and not r.answered]
        if len(group) > 1:
            return _claimed_by_text(group, text())
    last.claims += 1
    return last


def _siblings(one: Run, other: Run) -> bool:
    if one.deferred and other.deferred:
        return True
    return one.siblings > 1 and other.siblings > 1 and one.parent_id == other.parent_id


def _claimed_by_text(group: list[Run], text: str) -> Run | None:
    """The run in `group` that asks `text`; none where several ask it for different people."""
    alike = [run for run in group if run.text() == text]
    if alike and all(run.who == alike[0].who for run in alike):
        first = min(alike, key=lambda run: run.claims)
        first.claims += 1
        return first
    for run in alike or group:
        run.doubtful = True
    return None
