"""The methods that calibration chooses among: all linear, over blocks of features.

A method names the blocks that it uses, by penalty, and its target: the gap between the two
models, or that the weak one fails. Neither sees more than the query.
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal

Target = Literal['gap', 'weak_fails']
Block = Literal['task', 'shape', 'text', 'embedding']
BLOCKS: tuple[Block, ...] = ('task', 'shape', 'text', 'embedding')
TARGETS: tuple[Target, ...] = ('gap', 'weak_fails')
TASK_PSEUDO_LABELS = 10.0
"""So many labels at the overall mean are added to each task's own."""

_SHAPE = (200.0, 1_000.0)
_TEXT = (3.0, 12.0, 40.0)
_EMBEDDING = (3.0, 12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to score a query.

    Attributes:
        target: What is predicted; a higher score asks for the strong model.
        penalties: Ridge penalty by block; a block that is absent is not looked at.
    """

    target: Target
    penalties: tuple[tuple[Block, float], ...]

    @property
    def name(self) -> str:
        """Such as `gap from task 10 + text 12`."""
        blocks = ' + '.join(f'{block} {penalty:g}' for block, penalty in self.penalties)
        return f'{self.target} from {blocks}'

    @property
    def blocks(self) -> frozenset[Block]:
        """The blocks that it looks at."""
        return frozenset(block for block, _ in self.penalties)


TASK_TABLE = Method(target='gap', penalties=(('task', TASK_PSEUDO_LABELS),))


def candidates(*, tasks: bool, embedding: bool) -> tuple[Method, ...]:
    """The methods that the labels allow.

    Args:
        tasks: Whether the queries have task labels that differ.
        embedding: Whether an embedding is given.
    """
    grid = product(
        TARGETS,
        (None, TASK_PSEUDO_LABELS) if tasks else (None,),
        (None, *_SHAPE),
        (None, *_TEXT),
        (None, *_EMBEDDING) if embedding else (None,),
    )
    found = []
    for target, *penalties in grid:
        used = tuple(
            (block, penalty)
            for block, penalty in zip(BLOCKS, penalties, strict=True)
            if penalty is not None
        )
        if used:
            found.append(Method(target=target, penalties=used))
    return tuple(found)
