"""Whether today's queries are still those that a router was calibrated on.

Compared are the share of strong calls and the spread of scores, and of each shape feature, for a
linear score can stay put while what makes it changes. A spread has left calibration when its
largest distance (Kolmogorov-Smirnov) is beyond what chance allows; all spreads together raise a
false alarm in at most `_FALSE_ALARMS` of samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

from farthing.errors import InputError
from farthing.routing.features import SHAPES, shapes
from farthing.routing.model import Model
from farthing.routing.numeric import Array, np
from farthing.routing.policy import Embed

LEAST_QUERIES = 100
SHARE_POINTS = 0.10
"""The share of strong calls may differ by ten points from calibration."""
UNKNOWN_SHARE = 0.05
"""So many queries may be of a task that was never calibrated."""
_FALSE_ALARMS = 0.01
_SCORE_PLAY = 0.1
"""A tenth of the spread of scores is a matter of the fit, which is made anew for each fold."""
_STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How the calibration queries were spread.

    Attributes:
        count: Number of queries.
        strong_share: Share of them above the threshold.
        spreads: Quantiles of `score` and of each shape feature, evenly from the least to the
            largest.
    """

    count: int
    strong_share: float
    spreads: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, scores: Array, shape: Array, strong_share: float) -> 'Reference':
        """The spreads of these scores and shapes."""
        steps = np.linspace(0, 1, _STEPS + 1)
        named = {'score': scores, **dict(zip(SHAPES, shape.T, strict=True))}
        return cls(
            count=len(scores),
            strong_share=strong_share,
            spreads={
                name: tuple(np.quantile(values, steps).tolist()) for name, values in named.items()
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a sample of queries looks like beside calibration.

    Attributes:
        queries: Number of queries in the sample.
        strong_share: Share of the scored ones above the threshold; `None` where none is scored.
        calibrated_share: The same at calibration.
        unknown_tasks: Share of queries of a task that was never calibrated.
        distances: By spread, its distance as a multiple of what chance allows: 1 or less is calm.
        alarms: What has left calibration, one line each; empty where all is calm.
    """

    queries: int
    strong_share: float | None
    calibrated_share: float
    unknown_tasks: float
    distances: Mapping[str, float]
    alarms: tuple[str, ...]


def drift(
    model: Model,
    threshold: float,
    reference: Reference,
    texts: Sequence[str],
    tasks: Sequence[str | None],
    *,
    embed: Embed | None = None,
) -> Drift:
    """A sample of queries beside the calibration's.

    Raises:
        InputError: The sample is too small to tell.
        ArtefactError: The model needs an embedding that is not given.
    """
    if len(texts) < LEAST_QUERIES:
        raise InputError(
            f'{len(texts)} queries are too few to see drift: expected at least {LEAST_QUERIES}'
        )
    scores = model.scores(texts, tasks, embed)
    known = scores[~np.isnan(scores)]
    named = {'score': known, **dict(zip(SHAPES, shapes(texts).T, strict=True))}
    distances = {
        name: _distance(
            values,
            np.asarray(reference.spreads[name]),
            reference.count,
            play=_SCORE_PLAY if name == 'score' else 0.0,
        )
        for name, values in named.items()
        if len(values)
    }
    share = float((known > threshold).mean()) if len(known) else None
    unknown = 1 - len(known) / len(texts)
    alarms = [f'{name} is spread otherwise' for name, far in distances.items() if far > 1]
    if share is not None and abs(share - reference.strong_share) > SHARE_POINTS:
        alarms.append(
            f'{share:.1%} of the queries go to the strong model, '
            f'{reference.strong_share:.1%} were calibrated'
        )
    if unknown > UNKNOWN_SHARE:
        alarms.append(f'{unknown:.1%} of the queries are of tasks that were never calibrated')
    return Drift(
        queries=len(texts),
        strong_share=share,
        calibrated_share=reference.strong_share,
        unknown_tasks=unknown,
        distances=distances,
        alarms=tuple(alarms),
    )


def _distance(values: Array, quantiles: Array, count: int, *, play: float) -> float:
    """The largest distance of the two spreads, as a multiple of the critical one.

    Args:
        values: Today's values.
        quantiles: Evenly spaced quantiles of calibration.
        count: How many values the quantiles are of.
        play: A shift of all values by so many standard deviations is no distance.
    """
    ours, shift = np.sort(values), play * float(quantiles.std())
    points = np.concatenate((ours, quantiles))
    far = 0.0
    # On both sides of each point: features such as a count of lines have steps.
    sides: tuple[Literal['left', 'right'], ...] = ('left', 'right')
    for side in sides:
        here = _below(ours, points, side)
        above = here - _below(quantiles, points + shift, side)
        beneath = _below(quantiles, points - shift, side) - here
        far = max(far, float(above.max()), float(beneath.max()))
    chance = _FALSE_ALARMS / (1 + len(SHAPES))
    critical = sqrt(-log(chance / 2) / 2) * sqrt(1 / len(values) + 1 / count)
    return far / critical


def _below(ordered: Array, points: Array, side: Literal['left', 'right']) -> Array:
    """The share of values below each point, those equal to it included on the right."""
    share: Array = np.searchsorted(ordered, points, side) / len(ordered)
    return share
