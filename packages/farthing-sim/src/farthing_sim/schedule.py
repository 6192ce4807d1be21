"""When what happens to a batch: a function of the server's clock and of what was asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from farthing_sim.faults import Fault

End = Literal['completed', 'cancelled', 'expired']


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRules:
    """How long batches take, and what they may hold.

    Attributes:
        processing_s: Seconds in which the requests of a batch are answered, one after the other.
        validating_s: Seconds before that in which OpenAI checks the file.
        finalizing_s: Seconds after that in which OpenAI writes the results.
        cancelling_s: Seconds from a cancellation to its end.
        expires_s: Seconds after which what is not answered never will be.
        at_once: Requests that are answered together, so that none of them reads from a prompt
            cache what another one of them writes. Results of requests that were answered
            together come in reverse order.
        anthropic_requests: The most requests of a Message Batch.
        anthropic_bytes: The longest body that creates one.
        openai_requests: The most requests of one of OpenAI's files.
        openai_bytes: The longest of these files.
        openai_queue: The most input tokens that may wait in open batches, by OpenAI's model;
            models that are not named have no limit.
    """

    processing_s: float = 0.0
    validating_s: float = 0.0
    finalizing_s: float = 0.0
    cancelling_s: float = 0.0
    expires_s: float = 86_400.0
    at_once: int = 10
    anthropic_requests: int = 100_000
    anthropic_bytes: int = 256_000_000
    openai_requests: int = 50_000
    openai_bytes: int = 200_000_000
    openai_queue: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        times = (self.processing_s, self.validating_s, self.finalizing_s, self.cancelling_s)
        if min(times) < 0 or self.expires_s <= 0 or self.at_once < 1:
            raise ValueError(
                f'{self}: expected times of at least 0 s, `expires_s` above 0 and an `at_once` of '
                'at least 1'
            )


DEFAULT_BATCH_RULES = BatchRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The way of one batch; times are Unix times.

    `total` is the number of its requests, `cancelled_s` when its cancellation was asked for.
    """

    rules: BatchRules
    fault: Fault
    created_s: float
    total: int
    cancelled_s: float | None = None

    @property
    def begun_s(self) -> float:
        """When its first request may be answered."""
        return self.created_s + self.rules.validating_s

    @property
    def answered_s(self) -> float:
        """When its last request is answered, if nothing comes between."""
        return self.begun_s + self.rules.processing_s

    @property
    def expires_s(self) -> float:
        """When it expires."""
        return self.created_s + self.rules.expires_s

    @property
    def end(self) -> End:
        """How it ends, as far as it is known now."""
        if self.cancelled_s is not None:
            return 'cancelled'
        in_time = self.answered_s <= self.expires_s and self._most == self.total
        return 'completed' if in_time else 'expired'

    @property
    def end_s(self) -> float:
        """When it ends, as far as it is known now."""
        if self.cancelled_s is not None:
            return self.cancelled_s + self.rules.cancelling_s
        if self.end == 'expired':
            return self.expires_s
        return self.answered_s + self.rules.finalizing_s

    def due(self, now: float) -> int:
        """How many requests are to be answered by a time."""
        stop = now if self.cancelled_s is None else min(now, self.cancelled_s)
        answered = min(self._most, self._reached(min(stop, self.expires_s)))
        if self.cancelled_s is None:
            return answered
        return min(self.total, answered + self.fault.cancel_completes)

    def answered_at_s(self, position: int) -> float:
        """When a request is answered: the requests share the time evenly."""
        share = (position + 1) / self.total
        return self.begun_s + self.rules.processing_s * share

    @property
    def _most(self) -> int:
        stalls = self.fault.stalls_after
        return self.total if stalls is None else min(stalls, self.total)

    def _reached(self, now: float) -> int:
        """How many would be answered if nothing came between."""
        if now < self.begun_s:
            return 0
        if now >= self.answered_s:
            return self.total
        return math.floor(self.total * (now - self.begun_s) / self.rules.processing_s)
