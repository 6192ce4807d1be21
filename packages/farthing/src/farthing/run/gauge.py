"""A lot from which nothing is sent: it adds up what the requests that wait in it would cost."""

import time
from datetime import UTC, datetime

from farthing.batching.estimating import Estimate, estimate_one
from farthing.errors import FarthingError
from farthing.run.parking import Lot
from farthing.run.replies import Dropped, Seat, refusal

_LONG_S = 3_600.0


class Gauge(Lot):
    """Estimates the first round of a job. It stores nothing."""

    total: Estimate = Estimate()

    @property
    def sent(self) -> bool:
        """Nothing is to be sent."""
        return True

    def pass_by(self, seat: Seat, provider: str) -> None:
        """What no batch takes is counted, and not sent either: its code ends here.

        Raises:
            Dropped: Always.
        """
        del seat, provider
        with self._lock:
            self.total += Estimate(requests=1, unbatched=1)
        raise Dropped

    def _step(self) -> None:
        now = datetime.now(UTC)
        while self._arrived:
            one = self._arrived[0]
            try:
                known = one.key in self._waiters
                if not known:
                    found = estimate_one(
                        self.meter.book, self._drafting.draft(
                            one.asked, one.digest, owner=one.seat.input, nth=one.nth,
                            round_=one.round, merged=self.job.terms.dedupe,
                        )[0].forecast, now,
                    )  # fmt: skip
                    with self._lock:
                        self.total += found
            except FarthingError as error:
                self._resolve(one, refusal(one.asked.provider, error))
            else:
                with self._lock:
                    self._waiters.setdefault(one.key, []).append(one)
            with self._lock:
                self._arrived.popleft()
        self._next_s = time.monotonic() + _LONG_S
        self.notify()

    def _end(self) -> None:
        """There is nothing to let go of."""
