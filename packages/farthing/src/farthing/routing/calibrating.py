"""Choosing a method and a threshold on labelled queries, without looking at what is judged.

The labels are cut into folds. For each fold the methods are compared on the other folds alone
(again by cross-validation), the best are fitted there, and the fold is scored by them: these scores
are of queries that neither the fit nor the choice has seen, and give the quality that is promised.
The router handed out is chosen and fitted in the same way on all labels; its threshold, and the
picture of scores that `drift` compares with, are of queries left out of its fit.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from farthing.errors import InputError
from farthing.routing.drift import Reference
from farthing.routing.labels import Labels
from farthing.routing.measures import Curve, Ranking, apgr, cost_share, least_share
from farthing.routing.methods import Method, candidates
from farthing.routing.model import Model
from farthing.routing.numeric import Array, Counts, np
from farthing.routing.policy import Embed
from farthing.routing.training import Seen, fitted, folds, out_of_fold, scored, unseen_scores

LEAST_LABELS = 200
"""Below this, scores are near chance: on MMLU an APGR of .52 at 50 labels, .55 at 200."""
FOLDS = 5
BEST = 3
"""The mean of so many methods varies less with the choice than the single best."""
_FINE_FOLDS = 20
_SEED = 20_261_125


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the threshold is set for; exactly one of the three.

    Attributes:
        quality: Share of the strong model's mean score to keep.
        cost: Cost as a share of always-strong's, at `price_ratio`.
        strong_share: Share of queries for the strong model.
        price_ratio: What a strong call costs in weak ones.

    Raises:
        InputError: None or several are given, or one is out of its range.
    """

    quality: float | None = None
    cost: float | None = None
    strong_share: float | None = None
    price_ratio: float = 5.0

    def __post_init__(self) -> None:
        given = [one for one in (self.quality, self.cost, self.strong_share) if one is not None]
        if len(given) != 1:
            raise InputError(
                'give exactly one aim: a quality to keep, a cost or a share of strong calls'
            )
        if not 0 <= given[0] <= 1:
            raise InputError(f'the aim is {given[0]:g}: expected a share of 0 to 1')
        if not 1 < self.price_ratio < inf:
            raise InputError(
                f'`price_ratio` is {self.price_ratio:g}: expected above 1, how many weak calls '
                'a strong one costs'
            )

    def share(self, curve: Curve) -> float:
        """The share of strong calls that meets it.

        Raises:
            InputError: It cannot be met on this curve.
        """
        if self.strong_share is not None:
            return self.strong_share
        if self.quality is not None:
            found = least_share(curve, self.quality * curve.strong)
            if found is None:  # pragma: no cover - the curve ends at the strong model's quality
                raise InputError(f'no share of strong calls keeps {self.quality:g} of the quality')
            return found
        least = cost_share(0, self.price_ratio)
        cost = self.cost or 0.0
        if cost < least:
            raise InputError(
                f'a cost of {cost:g} is below always-weak, which is {least:g} at a price ratio of '
                f'{self.price_ratio:g}: give more'
            )
        return (cost - least) / (1 - least)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibrated:
    """A fitted router and what is known of it.

    Attributes:
        model: It scores queries.
        methods: The methods that it is the mean of.
        threshold: Scores above it go to the strong model.
        apgr: On unseen queries, by nested cross-validation; `None` where strong is no better.
        reference: How scores and shapes of the calibration queries are spread, each query
            scored by a fit that did not see it.
        labels: Number of labels.
        digest: Names the labels.
    """

    model: Model
    methods: tuple[Method, ...]
    threshold: float
    apgr: float | None
    reference: Reference
    labels: int
    digest: str


def calibrate(labels: Labels, aim: Aim, *, salt: int, embed: Embed | None = None) -> Calibrated:
    """The router that these labels support.

    Args:
        labels: Scored queries, at least `LEAST_LABELS`.
        aim: What the threshold is set for.
        salt: Key of the word buckets, drawn anew for each router.
        embed: The user's embedding of texts, looked at beside words and shape.

    Raises:
        InputError: There are too few labels, or too few different prompts.
    """
    if len(labels) < LEAST_LABELS:
        raise InputError(
            f'{len(labels)} labels are too few: expected at least {LEAST_LABELS}, and better that '
            'many for each task; below it a router is not told from chance'
        )
    if (prompts := len({*labels.prompts})) < _FINE_FOLDS:
        raise InputError(
            f'the labels are of {prompts} different prompts: expected at least {_FINE_FOLDS}, '
            'for equal ones say nothing of how others are routed'
        )
    seen = Seen.of(labels, salt=salt, embed=embed)
    methods = candidates(tasks=labels.has_tasks, embedding=embed is not None)
    curve = Ranking.of(judged(seen, methods), seen.weak, seen.strong).curve()
    share = aim.share(curve)
    chosen = best(seen, methods)
    # The threshold is of the router that is handed out: nearly all queries are in each of its fits.
    unseen = unseen_scores(seen, chosen, folds(seen.group, _FINE_FOLDS, _SEED))
    return Calibrated(
        model=fitted(seen, chosen),
        methods=chosen,
        threshold=threshold(unseen, share),
        apgr=apgr(curve),
        reference=Reference.of(unseen, seen.shape, share),
        labels=len(labels),
        digest=labels.digest,
    )


def cross_validated(labels: Labels, *, salt: int, embed: Embed | None = None) -> Array:
    """The score of each label by routers that were chosen and fitted without it.

    This is how a router is judged on the very labels that it was made from.
    """
    seen = Seen.of(labels, salt=salt, embed=embed)
    return judged(seen, candidates(tasks=labels.has_tasks, embedding=embed is not None))


def judged(seen: Seen, methods: Sequence[Method]) -> Array:
    """`nested` over the folds that `calibrate` promises its quality by."""
    return nested(seen, methods, folds(seen.group, FOLDS, _SEED))


def nested(seen: Seen, methods: Sequence[Method], fold: Counts) -> Array:
    """The score of each query by methods chosen and fitted without its fold."""
    found = np.zeros(len(seen))
    for number in np.unique(fold):
        rows, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        rest = seen.take(others)
        model = fitted(rest, best(rest, methods))
        found[rows] = scored(model, seen.take(rows))
    return found


def best(seen: Seen, methods: Sequence[Method]) -> tuple[Method, ...]:
    """The methods with the highest APGR by cross-validation on these rows alone, best first.

    Where the strong model is no better there is nothing to tell them apart: the first ones.
    """
    scores = out_of_fold(seen, methods, folds(seen.group, FOLDS, _SEED + 1))
    reached = [apgr(Ranking.of(one, seen.weak, seen.strong).curve()) or 0.0 for one in scores.T]
    order = sorted(range(len(methods)), key=lambda at: -reached[at])
    return tuple(methods[at] for at in order[:BEST])


def threshold(scores: Array, strong_share: float) -> float:
    """The score above which `strong_share` of the queries lie; all or none at its ends."""
    if strong_share <= 0:
        return sys.float_info.max
    if strong_share >= 1:
        return -sys.float_info.max
    return float(np.quantile(scores, 1 - strong_share))
