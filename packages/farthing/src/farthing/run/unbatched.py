"""Requests of a job that no batch takes: they leave at once, at their full price, and are told of.

Who expects half the bill must hear of them, and early: there may be a great many.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping

_log = logging.getLogger('farthing')


class Unbatched:
    """Counts them for one job, in any thread; warns of the first one, and of all when it ends."""

    def __init__(self, job: str) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many were sent at once, by provider."""
        with self._lock:
            return dict(self._counts)

    def add(self, provider: str) -> None:
        """Count a request that is about to be sent."""
        with self._lock:
            first = not self._counts
            self._counts[provider] += 1
        if first:
            _log.warning(
                'farthing: job %s asks %s in a way that no batch takes: such requests are sent at '
                'once at their full price, beyond `max_cost_usd`, and again whenever their code '
                'runs again; use a model of Anthropic or OpenAI directly to pay half',
                self._job,
                provider,
            )

    def tell(self) -> None:
        """Warn of how many there were, if any."""
        for provider, count in sorted(self.counts.items()):
            _log.warning(
                'farthing: job %s: %d requests to %s were not batched, and billed at full price',
                self._job,
                count,
                provider,
            )
