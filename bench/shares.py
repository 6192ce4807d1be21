"""Whose code this process works for, by samples of the main thread's stack.

Every few milliseconds of processor time a signal looks at the main thread: the innermost frame of
farthing, a framework or an SDK is whose its time since the last look was. What they share (the
standard library, httpx, orjson, SQLite) counts for whoever called it. What nobody called, the
event loop's own work, and the garbage collector serve both. All other threads are ours as a
whole, but for the loop's pool, which only the framework uses.
"""

import gc
import inspect
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import clock_gettime_ns, process_time_ns, pthread_getcpuclockid
from types import FrameType
from typing import Any

_OURS = frozenset({'farthing', 'langchain_farthing'})
_SDKS = frozenset({'anthropic', 'openai'})
_THEIRS = _SDKS | {'langchain_anthropic', 'langchain_core', 'langchain_openai', 'langsmith'}
_EVERY_S = 0.001
_POOL = 'asyncio_'
"""Names of threads of the loop's pool: LangChain runs parsers there."""


@dataclass(slots=True)
class Shares:
    """Nanoseconds of processor time of a block.

    Attributes:
        whole: Of the process, all threads.
        main_ours: Of the main thread, in our code.
        main_theirs: The same in frameworks and SDKs.
        main_both: The same in the event loop itself and in the garbage collector.
        pool: Of the loop's pool.
    """

    whole: int = 0
    main_ours: int = 0
    main_theirs: int = 0
    main_both: int = 0
    pool: int = 0

    @property
    def ours(self) -> int:
        """All but theirs; what serves both is parted as the main thread's other time is."""
        theirs = self.main_theirs
        parted = self.main_both * theirs // (self.main_ours + theirs)
        return self.whole - self.pool - theirs - parted


@contextmanager
def sampled() -> Iterator[Shares]:
    """The shares of a block in the main thread; complete when it has ended."""
    shares = Shares()
    main = threading.get_ident()
    clock = pthread_getcpuclockid(main)
    last, collecting = clock_gettime_ns(clock), False

    def count(frame: FrameType | None) -> None:
        nonlocal last
        now = clock_gettime_ns(clock)
        name = 'main_both' if collecting else _whose(frame)
        setattr(shares, name, getattr(shares, name) + now - last)
        last = now

    def look(_signal: int, frame: FrameType | None) -> None:
        count(frame)

    def collect(phase: str, _told: dict[str, Any]) -> None:
        nonlocal collecting
        if threading.get_ident() == main:
            count(inspect.currentframe())
            collecting = phase == 'start'

    before = signal.signal(signal.SIGPROF, look)
    start, pool = process_time_ns(), _pool_ns()
    gc.callbacks.append(collect)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        yield shares
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        gc.callbacks.remove(collect)
        signal.signal(signal.SIGPROF, before)
        shares.whole = process_time_ns() - start
        shares.pool = _pool_ns() - pool


def _whose(frame: FrameType | None) -> str:
    while frame is not None:
        package = frame.f_globals.get('__name__', '').partition('.')[0]
        if package in _OURS:
            return 'main_ours'
        if package in _THEIRS:
            return 'main_theirs'
        frame = frame.f_back
    return 'main_both'


def _pool_ns() -> int:
    return sum(
        clock_gettime_ns(pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.name.startswith(_POOL)
    )
