"""Labelled queries: what the weak and the strong model scored on each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite

from farthing.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Queries and the two models' scores on them, row by row.

    Attributes:
        prompts: The queries' texts. They are read, never kept in anything that is learned.
        tasks: The task label of each query; `None` where it has none.
        weak: Score of the cheap model's answer; larger is better.
        strong: Score of the dear model's answer, on the same scale.

    Raises:
        InputError: The columns differ in length, or a score is no number.
    """

    prompts: tuple[str, ...] = field(repr=False)
    tasks: tuple[str | None, ...] = field(repr=False)
    weak: tuple[float, ...] = field(repr=False)
    strong: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        lengths = [len(one) for one in (self.prompts, self.tasks, self.weak, self.strong)]
        if len(set(lengths)) != 1:
            raise InputError(
                f'labels have {lengths} prompts, tasks, weak and strong scores: expected as many '
                'of each'
            )
        if not all(map(isfinite, (*self.weak, *self.strong))):
            raise InputError('a score is not finite: leave out rows that were not scored')

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def has_tasks(self) -> bool:
        """Whether task labels tell the queries apart."""
        return len(set(self.tasks)) > 1

    @property
    def digest(self) -> str:
        """Names these rows, order included: an artefact says which labels it was made from."""
        found = sha256()
        for row in zip(self.prompts, self.tasks, self.weak, self.strong, strict=True):
            found.update(repr(row).encode('utf-8', 'surrogatepass'))
        return found.hexdigest()[:16]

    def take(self, rows: Sequence[int]) -> 'Labels':
        """The given rows, in the given order."""
        return Labels(
            prompts=tuple(self.prompts[row] for row in rows),
            tasks=tuple(self.tasks[row] for row in rows),
            weak=tuple(self.weak[row] for row in rows),
            strong=tuple(self.strong[row] for row in rows),
        )
