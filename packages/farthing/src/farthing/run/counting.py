"""What went wrong behind a call that went on: counted by reason, told once."""

import logging
import threading
from collections import Counter

_log = logging.getLogger('farthing')


class Failures(Counter[str]):
    """Counts by reason. Safe to use from several threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def count(self, reason: str, error: Exception) -> None:
        """Count one, and warn about the first of its kind."""
        with self._lock:
            self[reason] += 1
            first = self[reason] == 1
        if first:
            _log.warning(
                'farthing: context control failed (%s: %s: %s); calls go on',
                reason,
                type(error).__name__,
                error,
            )
