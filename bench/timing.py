"""Interleaved timing: contestants take turns within each round, and medians of rounds compare.

A slow moment of the machine then hits all of them alike, so ratios carry over to other machines
where absolute figures do not.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import Any

US, MS, S = 1e3, 1e6, 1e9
"""Nanoseconds in a unit of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """What is timed under a name.

    Attributes:
        name: As printed.
        call: One call; an async function in `arace`.
        around: Switches it on outside the time that is measured.
    """

    name: str
    call: Callable[[], Any]
    around: Callable[[], AbstractContextManager[object]] = nullcontext


Medians = dict[str, float]
"""Nanoseconds a call by contestant."""


def race(
    contestants: Sequence[Contestant],
    *,
    rounds: int,
    calls: int,
    clock: Callable[[], int] = perf_counter_ns,
) -> Medians:
    """Time `calls` calls of each contestant in every round; `clock` tells nanoseconds."""

    def turn(contestant: Contestant, times: int) -> float:
        call = contestant.call
        start = clock()
        for _ in range(times):
            call()
        return (clock() - start) / times

    return _rounds(contestants, turn, rounds, calls)


def arace(contestants: Sequence[Contestant], *, rounds: int, calls: int) -> Medians:
    """The same for async calls, one after the other on one event loop."""

    async def turns(call: Callable[[], Awaitable[object]], times: int) -> float:
        start = perf_counter_ns()
        for _ in range(times):
            await call()
        return (perf_counter_ns() - start) / times

    with asyncio.Runner() as runner:
        return _rounds(
            contestants, lambda one, times: runner.run(turns(one.call, times)), rounds, calls
        )


def _rounds(
    contestants: Sequence[Contestant],
    turn: Callable[[Contestant, int], float],
    rounds: int,
    calls: int,
) -> Medians:
    samples: dict[str, list[float]] = {one.name: [] for one in contestants}
    # What was imported is not walked again by each collection: peers bring many objects along.
    gc.collect()
    gc.freeze()
    for number in range(-1, rounds):  # the first round warms up
        first = number % len(contestants)  # nobody always follows the same neighbour
        for one in (*contestants[first:], *contestants[:first]):
            with one.around():
                turn(one, 2)
                took = turn(one, calls)
            if number >= 0:
                samples[one.name].append(took)
    gc.unfreeze()
    return {name: median(taken) for name, taken in samples.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One bound, and whether it holds.

    Attributes:
        what: What is compared with what.
        value: The ratio or the time that was measured.
        bound: How large or small it may be.
        unit: `x` for a ratio.
        least: Whether the bound is a least one.
    """

    what: str
    value: float
    bound: float
    unit: str = 'x'
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value keeps within the bound."""
        return self.value >= self.bound if self.least else self.value <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one benchmark measured.

    Attributes:
        title: What was measured, with the number of rounds.
        columns: Heads, the first one of the contestants' names.
        rows: Cells as they are printed.
        checks: The bounds on it.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    checks: tuple[Check, ...] = ()
