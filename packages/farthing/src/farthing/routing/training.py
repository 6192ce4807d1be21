"""Fitting methods to labelled queries, and scoring queries that the fit has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farthing.routing.features import STEMS, Bag, bag, embedded, shapes, ties
from farthing.routing.labels import Labels
from farthing.routing.linear import Moments
from farthing.routing.methods import BLOCKS, TARGETS, Block, Method
from farthing.routing.model import Model, Scale
from farthing.routing.numeric import Array, Counts, np
from farthing.routing.policy import Embed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Raw features and scores of labelled queries, row by row, computed once.

    Attributes:
        shape: Shape features.
        bags: Word buckets, by kind of bag.
        embedding: The user's embedding; no columns without one.
        task: Position of each query's task in `tasks`.
        tasks: The task labels, sorted.
        weak: The weak model's scores.
        strong: The strong model's scores.
        group: Number of each query's text: equal texts stay together in a fold.
        tie: A tiny, fixed order among equal scores.
        salt: Key of the word buckets.
    """

    shape: Array
    bags: Mapping[Bag, Array]
    embedding: Array
    task: Counts
    tasks: tuple[str, ...]
    weak: Array
    strong: Array
    group: Counts
    tie: Array
    salt: int

    @classmethod
    def of(cls, labels: Labels, *, salt: int, embed: Embed | None = None) -> 'Seen':
        """The features of `labels`."""
        tasks = tuple(sorted({task or '' for task in labels.tasks}))
        places = {task: at for at, task in enumerate(tasks)}
        numbers = {text: at for at, text in enumerate(dict.fromkeys(labels.prompts))}
        texts = labels.prompts
        return cls(
            shape=shapes(texts),
            bags={kind: bag(texts, kind, salt) for kind in STEMS},
            embedding=np.zeros((len(texts), 0)) if embed is None else embedded(texts, embed),
            task=np.array([places[task or ''] for task in labels.tasks], dtype=np.int64),
            tasks=tasks,
            weak=np.array(labels.weak),
            strong=np.array(labels.strong),
            group=np.array([numbers[text] for text in texts], dtype=np.int64),
            tie=ties(texts, salt),
            salt=salt,
        )

    def __len__(self) -> int:
        return len(self.weak)

    def take(self, rows: Counts) -> 'Seen':
        """The given rows."""
        return Seen(
            shape=self.shape[rows],
            bags={kind: counted[rows] for kind, counted in self.bags.items()},
            embedding=self.embedding[rows],
            task=self.task[rows],
            tasks=self.tasks,
            weak=self.weak[rows],
            strong=self.strong[rows],
            group=self.group[rows],
            tie=self.tie[rows],
            salt=self.salt,
        )

    @property
    def targets(self) -> Array:
        """What is predicted, a column for each of `TARGETS`."""
        return np.column_stack((self.strong - self.weak, 1 - self.weak))

    def slices(self) -> dict[Block, slice]:
        """Where each block's columns stand; the constant is the first."""
        counted = (rows.shape[1] for rows in (self.shape, *self.bags.values(), self.embedding))
        widths = (len(self.tasks), *counted)
        ends = 1 + np.cumsum(widths)
        return {
            block: slice(int(end) - width, int(end))
            for block, width, end in zip(BLOCKS, widths, ends, strict=True)
        }

    def columns(self, scale: Scale) -> Array:
        """The constant and all blocks, scaled."""
        return np.hstack(
            (
                np.ones((len(self), 1)),
                np.eye(len(self.tasks))[self.task],
                scale.shape(self.shape),
                *(scale.bag(kind, counted) for kind, counted in self.bags.items()),
                self.embedding,
            )
        )


def folds(group: Counts, number: int, seed: int) -> Counts:
    """The fold of each row, drawn at random; rows of one group share their fold."""
    names, places = np.unique(group, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(np.arange(len(names)) % number)
    found: Counts = drawn[places]
    return found


def out_of_fold(seen: Seen, methods: Sequence[Method], fold: Counts) -> Array:
    """The score that each method gives each query when fitted without that query's fold.

    The scales come from all the rows given: they look at texts alone, never at what was scored.
    """
    scale = Scale.of(seen.shape, seen.bags)
    columns, targets = seen.columns(scale), seen.targets
    numbers = np.unique(fold)
    parts = {
        number: Moments.of(columns[fold == number], targets[fold == number]) for number in numbers
    }
    found = np.zeros((len(seen), len(methods)))
    for number in numbers:
        fitted = Moments.total([part for other, part in parts.items() if other != number])
        rows = fold == number
        coefficients = _solved(fitted, methods, seen.slices())
        found[rows] = columns[rows] @ coefficients
    return found


def fitted(seen: Seen, methods: Sequence[Method]) -> Model:
    """The mean of the methods, each fitted to all rows, its scores at mean 0 and spread 1."""
    scale = Scale.of(seen.shape, seen.bags)
    columns, slices = seen.columns(scale), seen.slices()
    coefficients = _solved(Moments.of(columns, seen.targets), methods, slices)
    shares, middle = _shares(columns @ coefficients)
    weights = coefficients @ shares
    looked = {block for method in methods for block in method.blocks}

    def block(name: Block) -> Array | None:
        return weights[slices[name]] if name in looked else None

    tasks = block('task')
    return Model(
        intercept=float(weights[0]) - middle,
        tasks=None if tasks is None else dict(zip(seen.tasks, tasks.tolist(), strict=True)),
        shape=block('shape'),
        bags={kind: weights[slices[kind]] for kind in seen.bags if kind in looked},
        embedding=block('embedding'),
        scale=scale,
        salt=seen.salt,
    )


def unseen_scores(seen: Seen, methods: Sequence[Method], fold: Counts) -> Array:
    """What `fitted` gives queries that it has not seen: each is scored without its own fold."""
    columns = seen.columns(Scale.of(seen.shape, seen.bags))
    coefficients = _solved(Moments.of(columns, seen.targets), methods, seen.slices())
    shares, middle = _shares(columns @ coefficients)
    return out_of_fold(seen, methods, fold) @ shares - middle + seen.tie


def _shares(scores: Array) -> tuple[Array, float]:
    """What each method's score counts in their mean, by its spread, and the middle of that mean.

    Scores of different fits are compared with each other, so all of them have one scale.
    """
    spread = scores.std(axis=0)
    shares: Array = 1 / np.where(spread > 0, spread, 1.0) / scores.shape[1]
    return shares, float((scores @ shares).mean())


def scored(model: Model, seen: Seen) -> Array:
    """The model's score of each row."""
    tasks = [seen.tasks[at] for at in seen.task]
    return model.weigh(seen.shape, seen.bags, seen.embedding, tasks) + seen.tie


def _solved(moments: Moments, methods: Sequence[Method], slices: dict[Block, slice]) -> Array:
    """Coefficients by column and method; methods that differ by target alone share a solution."""
    solutions = {
        penalties: moments.solve((slices[block], penalty) for block, penalty in penalties)
        for penalties in {method.penalties for method in methods}
    }
    return np.column_stack(
        [solutions[method.penalties][:, TARGETS.index(method.target)] for method in methods]
    )
