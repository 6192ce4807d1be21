"""The methods that calibration chooses among: all linear, over blocks of features.

A method names the blocks that it uses, by penalty, and its target: the gap between the two
models, or that the weak one fails. Neither sees more than the query.
"""

from dataclasses import dataclass
from itertools import chain, product
from typing import Literal, TypeAlias

Target = Literal['gap', 'weak_fails']
Block = Literal['task', 'shape', 'words', 'stems', 'embedding']
BLOCKS: tuple[Block, ...] = ('task', 'shape', 'words', 'stems', 'embedding')
_Penalties: TypeAlias = tuple[tuple[Block, float], ...]
TARGETS: tuple[Target, ...] = ('gap', 'weak_fails')
TASK_PSEUDO_LABELS = 10.0
"""So many labels at the overall mean are added to each task's own."""

_SHAPES: tuple[_Penalties, ...] = ((), (('shape', 200.0),))
_TEXTS: tuple[_Penalties, ...] = (
    (),
    *((('words', penalty),) for penalty in (3.0, 12.0, 60.0)),
    *((('stems', penalty),) for penalty in (12.0, 50.0, 150.0)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to score a query.

    Attributes:
        target: What is predicted; a higher score asks for the strong model.
        penalties: Ridge penalty by block; a block that is absent is not looked at.
    """

    target: Target
    penalties: _Penalties

    @property
    def name(self) -> str:
        """Such as `gap from task 10 + words 12`."""
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
    labelled: tuple[_Penalties, ...] = ((), (('task', TASK_PSEUDO_LABELS),))
    vectors: tuple[_Penalties, ...] = ((), (('embedding', 3.0),))
    grid = product(
        labelled if tasks else labelled[:1], _SHAPES, _TEXTS, vectors if embedding else vectors[:1]
    )
    used = [tuple(chain.from_iterable(parts)) for parts in grid]
    return tuple(
        Method(target=target, penalties=blocks) for target in TARGETS for blocks in used if blocks
    )
