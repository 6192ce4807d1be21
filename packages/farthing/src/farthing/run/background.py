"""Work after the user has been answered: in a thread or a task, in a context of its own.

In an empty context no callback, stream or trace of the user's is inherited.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from farthing.ending import posts_at_exit

_LAST_S = 10.0
_running: set[threading.Thread] = set()


class Background:
    """What is under way. Safe to use from several threads and loops.

    The work catches its own errors. Threads hold up the end of the process for ten seconds at most:
    a summary that is under way is paid for.
    """

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Callable[[], None]) -> None:
        """Do the work in a thread.

        Raises:
            RuntimeError: The system has no thread for it.
        """

        def done() -> None:
            try:
                Context().run(work)
            finally:
                self._threads.discard(thread)
                _running.discard(thread)

        thread = threading.Thread(target=done, daemon=True, name='farthing-context')
        self._threads.add(thread)
        _running.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.discard(thread)
            _running.discard(thread)
            raise

    def astart(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work in a task of the running loop."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def flush(self, timeout_s: float) -> bool:
        """Wait for all threads; whether they are done."""
        _join(self._threads, timeout_s)
        return not self._threads

    async def aflush(self, timeout_s: float) -> bool:
        """Wait for the tasks of this loop and for all threads; whether they are done."""
        loop = asyncio.get_running_loop()
        mine = [task for task in self._tasks if task.get_loop() is loop]
        if mine:
            await asyncio.wait(mine, timeout=timeout_s)
        threads = await asyncio.to_thread(self.flush, timeout_s)
        return threads and all(task.done() for task in mine)


def _join(threads: set[threading.Thread], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    for thread in list(threads):
        thread.join(max(until - time.monotonic(), 0))


posts_at_exit(lambda: _join(_running, _LAST_S))
