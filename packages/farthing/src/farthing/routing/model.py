"""What calibration learned, as plain numbers: it scores a query without a model call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farthing.errors import ArtefactError
from farthing.routing.features import BUCKETS, SHAPES, Bag, bag, embedded, shapes, ties, unit
from farthing.routing.numeric import Array, np
from farthing.routing.policy import Embed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """How raw features are scaled, learned from the training queries' texts alone.

    Attributes:
        shape_mean: Mean of each shape feature.
        shape_spread: Standard deviation of each; 1 where it never varies.
        rarity: Weight of each bucket, by kind of bag: rare words tell more.
    """

    shape_mean: Array
    shape_spread: Array
    rarity: Mapping[Bag, Array]

    @classmethod
    def of(cls, shape: Array, bags: Mapping[Bag, Array]) -> 'Scale':
        """The scale of these queries."""
        spread = shape.std(axis=0)
        return cls(
            shape_mean=shape.mean(axis=0),
            shape_spread=np.where(spread > 0, spread, 1.0),
            rarity={kind: _rarity(rows) for kind, rows in bags.items()},
        )

    def shape(self, raw: Array) -> Array:
        """Shape features at mean 0 and spread 1."""
        return (raw - self.shape_mean) / self.shape_spread

    def bag(self, kind: Bag, raw: Array) -> Array:
        """Buckets weighted by rarity, each query at length 1."""
        return unit(raw * self.rarity[kind])


def _rarity(rows: Array) -> Array:
    least = 1 / len(rows)
    weights: Array = np.log1p(least) - np.log((rows != 0).mean(axis=0) + least)
    return weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A linear score; higher asks for the strong model.

    Attributes:
        intercept: The score of a query about which nothing is known.
        tasks: What each known task adds; `None` where tasks are not looked at.
        shape: Weight of each shape feature; `None` where not looked at.
        bags: Weight of each bucket, by kind of bag; a kind that is not looked at is absent.
        embedding: Weight of each dimension; `None` where not looked at.
        scale: How features are scaled.
        salt: Key of the word buckets and of the order among equal scores.

    Raises:
        ArtefactError: The weights do not fit the features of this farthing.
    """

    intercept: float
    tasks: Mapping[str, float] | None
    shape: Array | None
    bags: Mapping[Bag, Array]
    embedding: Array | None
    scale: Scale
    salt: int

    def __post_init__(self) -> None:
        _check('shape', self.shape, len(SHAPES))
        _check('shape_mean', self.scale.shape_mean, len(SHAPES))
        _check('shape_spread', self.scale.shape_spread, len(SHAPES))
        for kind, weights in self.bags.items():
            _check(kind, weights, BUCKETS)
            _check(f'rarity of {kind}', self.scale.rarity.get(kind), BUCKETS)

    def scores(
        self, texts: Sequence[str], tasks: Sequence[str | None], embed: Embed | None = None
    ) -> Array:
        """The score of each query; not a number where its task was never calibrated.

        Raises:
            ArtefactError: The model looks at an embedding and none is given, or another one.
        """
        shape = shapes(texts) if self.shape is not None else np.empty(0)
        counted = {kind: bag(texts, kind, self.salt) for kind in self.bags}
        embedding = self._embedded(texts, embed) if self.embedding is not None else np.empty(0)
        return self.weigh(shape, counted, embedding, tasks) + ties(texts, self.salt)

    def weigh(
        self,
        shape: Array,
        counted: Mapping[Bag, Array],
        embedding: Array,
        tasks: Sequence[str | None],
    ) -> Array:
        """The score of each row of raw features; blocks that are not looked at are not read."""
        found = np.full(len(tasks), self.intercept)
        if self.tasks is not None:
            found += [self.tasks.get(task or '', np.nan) for task in tasks]
        if self.shape is not None:
            found += self.scale.shape(shape) @ self.shape
        for kind, weights in self.bags.items():
            found += self.scale.bag(kind, counted[kind]) @ weights
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


def _check(name: str, weights: Array | None, size: int) -> None:
    if weights is not None and weights.shape != (size,):
        raise ArtefactError(
            f'`{name}` has the form {weights.shape}, expected ({size},): '
            'was the router calibrated by another version of farthing?'
        )
