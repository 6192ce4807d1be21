"""When the next request of a prefix comes: observed gaps from start to start, and a law from them.

Time is cut at `EDGES`. Of each interval two things are counted: how often the next request came
in it, and how often it had passed without one. A prefix that still waits counts in the intervals
that it has outlasted and in no other, so that requests that never come are learned as they fail
to come (the estimator of Kaplan and Meier). Counters add up: two processes may count apart.
"""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

EDGES = (60, 300, 1_800, 3_600)
"""Ends of the intervals in seconds; each provider's lifetime is one of them, inclusive."""

_NONE = (0,) * len(EDGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Counts by interval.

    Attributes:
        came: The next request came in the interval.
        passed: It had not come when the interval ended.
    """

    came: tuple[int, ...] = _NONE
    passed: tuple[int, ...] = _NONE

    def __add__(self, other: 'Gaps') -> 'Gaps':
        """The counts of both."""
        return Gaps(
            came=tuple(map(int.__add__, self.came, other.came)),
            passed=tuple(map(int.__add__, self.passed, other.passed)),
        )

    @property
    def seen(self) -> int:
        """How many outcomes are known of the first interval."""
        return self.came[0] + self.passed[0]


def after(gap_s: float, *, counted: int = 0) -> Gaps:
    """What one gap adds, where the first `counted` intervals were counted as passed before."""
    interval = intervals(gap_s)
    return Gaps(
        came=tuple(int(at == interval and at >= counted) for at in range(len(EDGES))),
        passed=tuple(int(counted <= at < interval) for at in range(len(EDGES))),
    )


def waited(first: int, last: int) -> Gaps:
    """What a prefix adds that has outlasted the intervals from `first` up to before `last`."""
    return Gaps(passed=tuple(int(first <= at < last) for at in range(len(EDGES))))


def intervals(wait_s: float) -> int:
    """How many intervals have passed wholly after `wait_s` seconds."""
    return sum(wait_s > edge for edge in EDGES)


class Law(NamedTuple):
    """The chance that the next request comes in each interval, given that it came in none before.

    Attributes:
        hazards: By interval.
        seen: The outcomes behind it; few of them make a cold start.
    """

    hazards: tuple[float, ...]
    seen: int = 0

    def within(self, seconds: float) -> float:
        """The chance that it comes within `seconds`, which is one of `EDGES`."""
        return 1 - reduce(
            float.__mul__,
            (1 - h for h, edge in zip(self.hazards, EDGES, strict=True) if edge <= seconds),
            1.0,
        )


def learned(prior: Law, counts: Gaps, *, weight: float) -> Law:
    """The law after `counts`, where `prior` is worth `weight` observations of each interval."""
    return Law(
        tuple(
            (came + weight * hazard) / (came + passed + weight)
            for hazard, came, passed in zip(prior.hazards, counts.came, counts.passed, strict=True)
        ),
        prior.seen + counts.seen,
    )
