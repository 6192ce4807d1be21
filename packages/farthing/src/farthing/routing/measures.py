"""How much of the quality between two models a router recovers, for which share of strong calls.

A router gives each query a score, and the queries with the highest scores go to the strong model.
The curve over all shares is summed up as in RouteLLM (https://arxiv.org/abs/2406.18665): APGR is
the mean share of the weak-to-strong gap that is recovered (random: 0.5), CPT50 and CPT80 the least
share of strong calls that recovers 50 and 80 %. Queries with equal scores count as drawn at random.
"""

from dataclasses import dataclass
from typing import NamedTuple

from farthing.routing.numeric import Array, Counts, np

_RANGE = (2.5, 97.5)


class Curve(NamedTuple):
    """Mean quality by share of strong calls, both ascending from share 0 to 1."""

    share: Array
    quality: Array

    @property
    def weak(self) -> float:
        """Quality of the weak model alone."""
        return float(self.quality[0])

    @property
    def strong(self) -> float:
        """Quality of the strong model alone."""
        return float(self.quality[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Scored queries in the order in which they go to the strong model.

    Attributes:
        order: Positions of the queries, in that order.
        weak: The weak model's scores, in that order.
        gap: Strong score minus weak score, in that order.
        ends: Where each run of equal router scores ends.
    """

    order: Counts
    weak: Array
    gap: Array
    ends: Counts

    @classmethod
    def of(cls, scores: Array, weak: Array, strong: Array) -> 'Ranking':
        """The ranking by descending router score."""
        order = np.argsort(-scores, kind='stable')
        falls = np.flatnonzero(np.diff(scores[order])) + 1
        return cls(
            order=order,
            weak=weak[order],
            gap=(strong - weak)[order],
            ends=np.append(falls, len(scores)),
        )

    def curve(self, weights: Array | None = None) -> Curve:
        """The curve; in a bootstrap draw each query counts `weights` times, in ranked order."""
        counts = np.ones(len(self.weak)) if weights is None else weights
        at = self.ends - 1
        calls = np.concatenate(([0.0], np.cumsum(counts)[at]))
        gained = np.concatenate(([0.0], np.cumsum(counts * self.gap)[at]))
        base = float(counts @ self.weak)
        return Curve(calls / calls[-1], (base + gained) / calls[-1])


def apgr(curve: Curve) -> float | None:
    """The mean share of the gap that is recovered; `None` where the strong model is no better."""
    gap = curve.strong - curve.weak
    if gap <= 0:
        return None
    widths = np.diff(curve.share)
    middles = (curve.quality[1:] + curve.quality[:-1]) / 2
    return float((widths @ middles - curve.weak) / gap)


def cpt(curve: Curve, part: float) -> float | None:
    """The least share of strong calls that recovers `part` of the gap; `None` without a gap."""
    gap = curve.strong - curve.weak
    return None if gap <= 0 else least_share(curve, curve.weak + part * gap)


def least_share(curve: Curve, quality: float) -> float | None:
    """The least share of strong calls at which the quality is reached; `None` if it never is."""
    reached = np.flatnonzero(curve.quality >= quality - 1e-12)
    if not len(reached):
        return None
    at = int(reached[0])
    if at == 0:
        return 0.0
    low, high = curve.quality[at - 1], curve.quality[at]
    part = (quality - low) / (high - low)
    return float(curve.share[at - 1] + part * (curve.share[at] - curve.share[at - 1]))


def cost_share(strong_share: float, price_ratio: float) -> float:
    """Cost as a share of always-strong's, when the strong model costs `price_ratio` times more."""
    return strong_share + (1 - strong_share) / price_ratio


def saving(curve: Curve, part: float, price_ratio: float) -> float | None:
    """The share of always-strong's cost saved while `part` of its quality is kept.

    The routing's own cost is not in it: these methods call no model.
    """
    share = least_share(curve, part * curve.strong)
    return None if share is None else 1 - cost_share(share, price_ratio)


def interval(values: list[float | None]) -> tuple[float, float] | None:
    """The middle 95 % of bootstrap values; `None` where some resample has no value."""
    known = [one for one in values if one is not None]
    if len(known) < len(values) or not known:
        return None
    low, high = np.percentile(known, _RANGE)
    return float(low), float(high)
