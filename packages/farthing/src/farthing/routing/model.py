"""What calibration learned, as plain numbers: it scores a query without a model call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farthing.errors import ArtefactError
from farthing.routing.features import (
    BUCKETS,
    SHAPES,
    Embed,
    bags,
    embedded,
    shapes,
    ties,
    unit,
)
from farthing.routing.numeric import Array, np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """How raw features are scaled, learned from the training queries' texts alone.

    Attributes:
        shape_mean: Mean of each shape feature.
        shape_spread: Standard deviation of each; 1 where it never varies.
        rarity: Weight of each bucket: rare words tell more.
    """

    shape_mean: Array
    shape_spread: Array
    rarity: Array

    @classmethod
    def of(cls, shape: Array, bag: Array) -> 'Scale':
        """The scale of these queries."""
        spread = shape.std(axis=0)
        share = (bag != 0).mean(axis=0)
        return cls(
            shape_mean=shape.mean(axis=0),
            shape_spread=np.where(spread > 0, spread, 1.0),
            rarity=-np.log(share + 1 / len(bag)) + np.log1p(1 / len(bag)),
        )

    def shape(self, raw: Array) -> Array:
        """Shape features at mean 0 and spread 1."""
        return (raw - self.shape_mean) / self.shape_spread

    def text(self, raw: Array) -> Array:
        """Buckets weighted by rarity, each query at length 1."""
        return unit(raw * self.rarity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A linear score; higher asks for the strong model.

    Attributes:
        intercept: The score of a query about which nothing is known.
        tasks: What each known task adds; `None` where tasks are not looked at.
        shape: Weight of each shape feature; `None` where not looked at.
        text: Weight of each bucket; `None` where not looked at.
        embedding: Weight of each dimension; `None` where not looked at.
        scale: How features are scaled.
        salt: Key of the word buckets and of the order among equal scores.

    Raises:
        ArtefactError: The weights do not fit the features of this farthing.
    """

    intercept: float
    tasks: Mapping[str, float] | None
    shape: Array | None
    text: Array | None
    embedding: Array | None
    scale: Scale
    salt: int

    def __post_init__(self) -> None:
        sizes = {
            'shape': (self.shape, len(SHAPES)),
            'text': (self.text, BUCKETS),
            'shape_mean': (self.scale.shape_mean, len(SHAPES)),
            'shape_spread': (self.scale.shape_spread, len(SHAPES)),
            'rarity': (self.scale.rarity, BUCKETS),
        }
        for name, (weights, size) in sizes.items():
            if weights is not None and weights.shape != (size,):
                raise ArtefactError(
                    f'`{name}` has the form {weights.shape}, expected ({size},): '
                    'was the router calibrated by another version of farthing?'
                )

    def scores(
        self, texts: Sequence[str], tasks: Sequence[str | None], embed: Embed | None = None
    ) -> Array:
        """The score of each query; not a number where its task was never calibrated.

        Raises:
            ArtefactError: The model looks at an embedding and none is given, or another one.
        """
        shape = shapes(texts) if self.shape is not None else np.empty(0)
        bag = bags(texts, self.salt) if self.text is not None else np.empty(0)
        embedding = self._embedded(texts, embed) if self.embedding is not None else np.empty(0)
        return self.weigh(shape, bag, embedding, tasks) + ties(texts, self.salt)

    def weigh(
        self, shape: Array, bag: Array, embedding: Array, tasks: Sequence[str | None]
    ) -> Array:
        """The score of each row of raw features; blocks that are not looked at are not read."""
        found = np.full(len(tasks), self.intercept)
        if self.tasks is not None:
            found += [self.tasks.get(task or '', np.nan) for task in tasks]
        if self.shape is not None:
            found += self.scale.shape(shape) @ self.shape
        if self.text is not None:
            found += self.scale.text(bag) @ self.text
        if self.embedding is not None:
            found += embedding @ self.embedding
        return found

    def _embedded(self, texts: Sequence[str], embed: Embed | None) -> Array:
        expected = 0 if self.embedding is None else len(self.embedding)
        if embed is None:
            raise ArtefactError('this router looks at an embedding: give the one it was made with')
        rows = embedded(texts, embed)
        if rows.shape[1] != expected:
            raise ArtefactError(
                f'the embedding has {rows.shape[1]} dimensions, the router was calibrated with '
                f'{expected}: give the one it was made with'
            )
        return rows
