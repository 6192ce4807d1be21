"""A router beside what it must beat: chance, one model alone, the task label, and hindsight."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from farthing.errors import InputError
from farthing.routing.labels import Labels
from farthing.routing.measures import Curve, Ranking, apgr, cost_share, cpt, interval, saving
from farthing.routing.methods import TASK_TABLE
from farthing.routing.numeric import Array, Flags, np
from farthing.routing.training import Seen, folds, out_of_fold

Contender: TypeAlias = Literal['policy', 'random', 'weak', 'strong', 'task_table', 'oracle']
Interval: TypeAlias = tuple[float, float]

NEAR = 0.025
"""Two models within two points of each other need no router; 2.4 points are read as two."""
LEAST_LABELS = 50
"""Figures of fewer queries are noise."""
CHANCE = 0.5
"""The APGR of a router that draws lots."""
_DRAWS = 500
_FOLDS = 5
_SEED = 20_261_125


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one way to route does on the labels. Shares are of 1; `None` has no value.

    Attributes:
        router: Which one.
        apgr: Mean share of the weak-to-strong gap that is recovered, over all shares of calls.
        cpt50: Least share of strong calls that recovers half of the gap.
        cpt80: The same for 80 %.
        saving_90: Cost saved against always-strong at 90 % of its quality, routing cost left out.
        saving_95: The same at 95 %.
        saving_99: The same at 99 %.
        strong_share: Share of calls that it sends to the strong model as it is set; `None` for a
            ranking without a threshold.
        quality: Mean score as it is set; `None` without a threshold.
        cost: Cost as a share of always-strong's as it is set; `None` without a threshold.
        ranges: The middle 95 % of bootstrap draws, by figure; where a draw had no value, `None`.
    """

    router: Contender
    apgr: float | None = None
    cpt50: float | None = None
    cpt80: float | None = None
    saving_90: float | None = None
    saving_95: float | None = None
    saving_99: float | None = None
    strong_share: float | None = None
    quality: float | None = None
    cost: float | None = None
    ranges: 'dict[str, Interval | None]' = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the labels say of a router.

    Attributes:
        labels: Number of queries that the policy scored.
        unscored: Queries of tasks that it was never calibrated for; they are left out everywhere.
        weak: Mean score of the weak model.
        strong: Mean score of the strong model.
        gap: The middle 95 % of bootstrap draws of strong minus weak.
        calibrated_share: The share of strong calls that was calibrated.
        rows: The routers, side by side on the same queries.
        verdict: What to do, in one line.
    """

    labels: int
    unscored: int
    weak: float
    strong: float
    gap: Interval | None
    calibrated_share: float
    rows: tuple[Row, ...]
    verdict: str


_FIGURES: 'MappingProxyType[str, Callable[[Curve, float], float | None]]' = MappingProxyType(
    {
        'apgr': lambda curve, _: apgr(curve),
        'cpt50': lambda curve, _: cpt(curve, 0.5),
        'cpt80': lambda curve, _: cpt(curve, 0.8),
        'saving_90': lambda curve, ratio: saving(curve, 0.90, ratio),
        'saving_95': lambda curve, ratio: saving(curve, 0.95, ratio),
        'saving_99': lambda curve, ratio: saving(curve, 0.99, ratio),
    }
)


def evaluate(
    labels: Labels,
    scores: Array,
    threshold: float,
    *,
    calibrated_share: float,
    price_ratio: float,
    weak: str,
    strong: str,
) -> Evaluation:
    """A policy's scores beside the other ways to route the same queries.

    The task table is cross-validated on these labels: each query's task gap is measured without
    its fold.

    Args:
        labels: Scored queries.
        scores: The policy's score of each, by a fit that has not seen it; not a number where it
            has no opinion.
        threshold: Scores above it go to the strong model.
        calibrated_share: The share of strong calls that was calibrated.
        price_ratio: What a strong call costs in weak ones.
        weak: Name of the weak model.
        strong: Name of the strong model.

    Raises:
        InputError: Too few queries are scored to tell anything.
    """
    known = np.flatnonzero(~np.isnan(scores))
    if len(known) < LEAST_LABELS:
        raise InputError(
            f'the router scores {len(known)} of {len(labels)} queries: expected at least '
            f'{LEAST_LABELS}, of tasks that it was calibrated for'
        )
    kept = labels.take(known.tolist())
    scored, above = scores[known], scores[known] > threshold
    weights = _draws(len(kept))
    low, high = np.array(kept.weak), np.array(kept.strong)
    rankings: dict[Contender, Array] = {'policy': scored}
    if kept.has_tasks:
        rankings['task_table'] = _task_gaps(kept)
    rankings['oracle'] = high - low
    rows = {
        name: _ranked(name, Ranking.of(one, low, high), price_ratio, weights)
        for name, one in rankings.items()
    }
    rows['policy'] = _set(rows['policy'], above, low, high, price_ratio)
    chance = _ranked('random', Ranking.of(np.zeros(len(kept)), low, high), price_ratio, weights)
    alone = [_alone('weak', low, high, price_ratio), _alone('strong', low, high, price_ratio)]
    order = [chance, *alone, *(rows[name] for name in rankings if name != 'policy')]
    return Evaluation(
        labels=len(kept),
        unscored=len(labels) - len(kept),
        weak=float(low.mean()),
        strong=float(high.mean()),
        gap=interval((weights @ (high - low) / len(kept)).tolist()),
        calibrated_share=calibrated_share,
        rows=(rows['policy'], *order),
        verdict=_verdict(rows['policy'], float(low.mean()), float(high.mean()), weak, strong),
    )


def no_router(low: float, high: float, weak: str, strong: str) -> str | None:
    """Why two models with these mean scores need no router; `None` where one may help."""
    if high - low >= NEAR:
        return None
    return f'no router: use {weak} (it scores {low:.3f}, {strong} {high:.3f})'


def _ranked(name: Contender, ranking: Ranking, price_ratio: float, weights: Array) -> Row:
    """The figures of a ranking, and their ranges over bootstrap draws."""
    curve = ranking.curve()
    draws = [ranking.curve(one[ranking.order]) for one in weights]
    figures = {name: figure(curve, price_ratio) for name, figure in _FIGURES.items()}
    ranges = {
        name: interval([figure(one, price_ratio) for one in draws])
        for name, figure in _FIGURES.items()
    }
    return Row(router=name, **figures, ranges=ranges)


def _set(row: Row, above: Flags, weak: Array, strong: Array, price_ratio: float) -> Row:
    """The row with what the policy does at its own threshold."""
    share = float(above.mean())
    return replace(
        row,
        strong_share=share,
        quality=float(np.where(above, strong, weak).mean()),
        cost=cost_share(share, price_ratio),
    )


def _alone(name: Contender, weak: Array, strong: Array, price_ratio: float) -> Row:
    """One model for everything: a point, which saves what it saves where it is good enough."""
    scores, share = (weak, 0.0) if name == 'weak' else (strong, 1.0)
    quality, cost = float(scores.mean()), cost_share(share, price_ratio)

    def saved(part: float) -> float | None:
        return 1 - cost if quality >= part * float(strong.mean()) else None

    return Row(
        router=name,
        strong_share=share,
        quality=quality,
        cost=cost,
        saving_90=saved(0.90),
        saving_95=saved(0.95),
        saving_99=saved(0.99),
    )


def _task_gaps(labels: Labels) -> Array:
    seen = Seen.of(labels, salt=0)
    return out_of_fold(seen, [TASK_TABLE], folds(seen.group, _FOLDS, _SEED))[:, 0] + seen.tie


def _draws(size: int) -> Array:
    """How often each query stands in each bootstrap draw."""
    chance = np.full(size, 1 / size)
    return np.random.default_rng(_SEED).multinomial(size, chance, _DRAWS).astype(np.float64)


def _verdict(policy: Row, low: float, high: float, weak: str, strong: str) -> str:
    if (found := no_router(low, high, weak, strong)) is not None:
        return found
    apgr_range = policy.ranges.get('apgr')
    if apgr_range is None or apgr_range[0] <= CHANCE:
        return f'no router: use {strong} (the policy is not told from chance on these queries)'
    if policy.saving_95 is None or policy.saving_95 <= 0:
        return f'no router: use {strong} (no saving at 95 % of its quality)'
    return (
        f'use the policy: at its threshold it keeps {(policy.quality or 0) / high:.1%} of the '
        f'quality of {strong} at {policy.cost or 0:.1%} of its cost, routing cost left out'
    )
