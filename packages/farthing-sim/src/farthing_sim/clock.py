"""The server's clock: real time, unless a test sets it or moves it on.

Cache entries expire, and answers are stamped, by this clock alone; how long an answer takes to
be sent is always real.
"""

import threading
from collections.abc import Callable


class Clock:
    """Unix time in seconds; every method is safe between threads.

    Args:
        base: The clock that this one follows, until it is set.
    """

    def __init__(self, base: Callable[[], float]) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._ahead_s = 0.0
        self._stopped_s: float | None = None

    def __call__(self) -> float:
        """The time now."""
        with self._lock:
            return (self._base() if self._stopped_s is None else self._stopped_s) + self._ahead_s

    def set(self, time_s: float) -> None:
        """Stop at a time; it moves on by `advance` only."""
        with self._lock:
            self._stopped_s, self._ahead_s = float(time_s), 0.0

    def advance(self, seconds: float) -> None:
        """Move on, whether the clock stands or runs.

        Raises:
            ValueError: The way would lead back.
        """
        if seconds < 0:
            raise ValueError(f'the clock cannot advance by {seconds} s; set it to go back')
        with self._lock:
            self._ahead_s += seconds

    def reset(self) -> None:
        """Follow the base clock again."""
        with self._lock:
            self._stopped_s, self._ahead_s = None, 0.0
