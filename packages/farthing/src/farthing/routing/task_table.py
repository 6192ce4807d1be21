"""Routing by what the call is for: the quality gap that was measured for each task."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import fmean
from typing import Protocol

from farthing.errors import InputError
from farthing.routing.pair import MARGIN, Pair
from farthing.routing.policy import Choice
from farthing.routing.query import Query

PSEUDO_LABELS = 10
"""So many labels at the mean of all tasks are added to each task's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What two models scored on a task's queries.

    Attributes:
        labels: Number of queries that both answered.
        gap: Mean of strong score minus weak score.
    """

    labels: int
    gap: float


class Books(Protocol):
    """What a task table needs of a ledger."""

    def pairs(self) -> Iterator[Pair]:
        """Requests that two routes answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTable:
    """A policy by task: the strong route where its measured gap exceeds the margin.

    A task of few labels is drawn towards the mean of all; a task that was never measured, or has
    fewer labels than `least_labels`, gets no opinion.

    Attributes:
        measured: What was measured, by task.
        weak: The route for tasks with a small gap.
        strong: The route for the others.
        margin: The gap that is still accepted, in the unit of the scores.
        least_labels: Labels that a task needs.
        name: As it stands in the decision record.

    Raises:
        InputError: A count is not positive.
    """

    measured: Mapping[str, Measured]
    weak: str
    strong: str
    margin: float = MARGIN
    least_labels: int = 20
    name: str = 'task_table'
    version: str = field(init=False)
    _gaps: Mapping[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        total = sum(one.labels for one in self.measured.values())
        if any(one.labels <= 0 for one in self.measured.values()):
            raise InputError(
                f'a task table of {len(self.measured)} tasks has {total} labels: expected at least '
                'one label for each task'
            )
        mean = sum(one.labels * one.gap for one in self.measured.values()) / (total or 1)
        gaps = {
            task: (one.labels * one.gap + PSEUDO_LABELS * mean) / (one.labels + PSEUDO_LABELS)
            for task, one in self.measured.items()
            if one.labels >= self.least_labels
        }
        stated = repr((sorted(gaps.items()), self.weak, self.strong, self.margin))
        object.__setattr__(self, '_gaps', gaps)
        object.__setattr__(self, 'version', sha256(stated.encode()).hexdigest()[:12])

    def choose(self, query: Query) -> Choice | None:
        """The strong route where the task's gap exceeds the margin, the weak one where not."""
        gap = None if query.task is None else self._gaps.get(query.task)
        if gap is None:
            return None
        return Choice(
            route=self.strong if gap > self.margin else self.weak,
            reason='measured gap of the task',
            scores={'gap': gap},
            threshold=self.margin,
        )

    @classmethod
    def from_ledger(
        cls,
        ledger: Books,
        *,
        weak: str,
        strong: str,
        margin: float = MARGIN,
        least_labels: int = 20,
    ) -> 'TaskTable':
        """The gaps between two routes by graded pairs; `farthing.ledger.routed` says whence.

        Only pairs of the models that were paired last count. An empty ledger makes a table without
        an opinion.

        Args:
            ledger: A `farthing.Ledger`.
            weak: The weaker route.
            strong: The stronger one.
            margin: The gap that is still accepted, in the unit of the scores.
            least_labels: Pairs that a task needs.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        pairs = [one for one in ledger.pairs() if (one.weak, one.strong) == (weak, strong)]
        models = max(pairs, key=lambda one: one.time).models if pairs else None
        gaps: dict[str, list[float]] = defaultdict(list)
        for one in pairs:
            if one.task is not None and one.gap is not None and one.models == models:
                gaps[one.task].append(one.gap)
        return cls(
            measured={
                task: Measured(labels=len(found), gap=fmean(found)) for task, found in gaps.items()
            },
            weak=weak,
            strong=strong,
            margin=margin,
            least_labels=least_labels,
        )
