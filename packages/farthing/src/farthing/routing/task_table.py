"""Routing by what the call is for: the quality gap that was measured for each task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from farthing.errors import InputError
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
        InputError: Nothing was measured, or a count is not positive.
    """

    measured: Mapping[str, Measured]
    weak: str
    strong: str
    margin: float = 0.02
    least_labels: int = 20
    name: str = 'task_table'
    version: str = field(init=False)
    _gaps: Mapping[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        total = sum(one.labels for one in self.measured.values())
        if total <= 0 or any(one.labels <= 0 for one in self.measured.values()):
            raise InputError(
                f'a task table of {len(self.measured)} tasks has {total} labels: expected at least '
                'one label for each task'
            )
        mean = sum(one.labels * one.gap for one in self.measured.values()) / total
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
