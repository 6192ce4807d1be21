"""Whether another route has proved good enough for a task, from graded pairs of answers.

A pair is one request that two routes answered, the default and another one, and one grader scored.
They come one by one and are looked at after each, so a bound for a fixed number of pairs would be
wrong far more often than it says. Here a bettor starts with 1 and bets on each pair, at odds that
are fair while the other route is worse by the margin or more. Then its wealth exceeds `1 / error`
with a probability of at most `error`, however long one watches (Ville's inequality): that is when
the task is promoted. It bets fixed shares of its wealth, several at once (Waudby-Smith and Ramdas,
https://arxiv.org/abs/2010.09686, sections 4 and B.2), so no score's spread need be known and the
order of pairs does not matter. The difference at which the wealth is `1 / error` is the lower
bound that is shown.

After promotion a second bettor, who starts again whenever it has lost, bets against the route: a
CUSUM of betting wealth (Shin, Ramdas and Rinaldo, https://arxiv.org/abs/2203.03532), whose false
alarms are `false_return` pairs apart on average. Its alarm returns the task to the default, and
evidence begins anew; so it does where another model stands behind one of the two routes.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from math import exp, fsum, log
from typing import TypeAlias

from farthing.errors import InputError
from farthing.routing.pair import MARGIN, Pair

_SHARES = (0.95, 0.3, 0.1, 0.03, 0.01)
"""Shares of wealth that are bet, side by side: for gross differences and for slight ones."""
_HALVINGS = 40

_About: TypeAlias = tuple[str | None, str, str]
"""Task, route and default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a route must clear to be promoted.

    Attributes:
        margin: How much worse it may be, in the unit of the scores.
        error: Probability, at most, that a route that is worse by more is ever promoted: for each
            task and route, and each attempt after a return.
        least_pairs: No task is promoted on fewer graded pairs.
        scale: The least and the largest score that a grader gives.
        false_return: A route that keeps the margin is returned once in so many pairs at most.

    Raises:
        InputError: A figure is out of its range.
    """

    margin: float = MARGIN
    error: float = 0.05
    least_pairs: int = 30
    scale: tuple[float, float] = (0.0, 1.0)
    false_return: float = 1_000.0

    def __post_init__(self) -> None:
        if not 0 < self.margin < self.span:
            raise InputError(
                f'`margin` is {self.margin:g} on a scale of {self.scale}: expected above 0 and '
                'less than the scale'
            )
        if not 0 < self.error < 1 or self.least_pairs < 1 or self.false_return <= 1:
            raise InputError(f'{self!r}: expected an error of 0 to 1 and counts of at least 1')

    @property
    def span(self) -> float:
        """The largest difference between two scores."""
        return self.scale[1] - self.scale[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the pairs say of one route for one task.

    Attributes:
        task: The task.
        route: The route that stands for the default.
        default: The default.
        model: The route's model at the latest pair.
        pairs: Graded pairs since evidence began, or began anew.
        ungraded: Pairs in all that no grader has scored.
        difference: Mean of the route's score minus the default's; `None` without pairs.
        lower: The bound that the true difference is above; `None` without pairs.
        promoted: When it was promoted; `None` where it is not.
        returned: How often it was returned.
        missing: How many further pairs without any difference would promote it; 0 once it is.
        margin: The margin of the bar.
    """

    task: str | None
    route: str
    default: str
    model: str
    pairs: int
    ungraded: int
    difference: float | None
    lower: float | None
    promoted: datetime | None
    returned: int
    missing: int
    margin: float

    @property
    def text(self) -> str:
        """The verdict in one line."""
        known = 'no graded pair'
        if self.difference is not None and self.lower is not None:
            known = (
                f'{self.difference:+.3f} beside {self.default} on {self.pairs:,} pairs, '
                f'surely above {self.lower:+.3f} (margin {-self.margin:+.3f})'
            )
        if self.promoted is not None:
            state = f'promoted on {self.promoted:%Y-%m-%d}'
        else:
            state = f'not promoted, pairs missing: {self.missing:,} or more'
        again = f'; times returned: {self.returned}' if self.returned else ''
        waiting = f'; pairs without a grade: {self.ungraded:,}' if self.ungraded else ''
        return f'{self.task or "(no task)"}, {self.route}: {state}; {known}{again}{waiting}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The verdicts on all tasks and routes that were paired.

    Attributes:
        verdicts: One for each task and route, in that order.
    """

    verdicts: tuple[Verdict, ...] = ()
    _known: Mapping[tuple[str | None, str], Verdict] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {(one.task, one.route): one for one in self.verdicts}
        object.__setattr__(self, '_known', known)

    @classmethod
    def of(
        cls, pairs: Iterable[Pair], *, default: str | None = None, bar: Bar | None = None
    ) -> 'Evidence':
        """The evidence in pairs, in any order.

        Args:
            pairs: What was graded and what was not.
            default: Only pairs with this default count; `None` takes, for each task and route, the
                default of its latest pair.
            bar: What a route must clear.

        Raises:
            InputError: A score is off the scale of the bar.
        """
        ordered = sorted(pairs, key=lambda one: (one.task or '', one.route, one.time, one.run_id))
        verdicts = []
        for (task, route), group in groupby(ordered, key=lambda one: (one.task, one.route)):
            found = list(group)
            beside = found[-1].default if default is None else default
            if same := [one for one in found if one.default == beside]:
                verdicts.append(_judged((task, route, beside), same, bar or Bar()))
        return cls(verdicts=tuple(verdicts))

    def promoted(self, task: str | None, route: str, *, model: str | None = None) -> bool:
        """Whether the route may stand for the default on this task.

        Args:
            task: The task.
            route: The route.
            model: The model that stands behind it now: what was proved of another does not count.
        """
        found = self._known.get((task, route))
        return (
            found is not None
            and found.promoted is not None
            and (model is None or model == found.model)
        )


def _judged(about: _About, pairs: Sequence[Pair], bar: Bar) -> Verdict:
    """The pairs of one task and route, folded in the order of time."""
    task, route, default = about
    counts: Counter[float] = Counter()
    models, promoted, returned = pairs[0].models, None, 0
    proof, alarm = _Proof(bar), _Alarm(bar)
    for pair in pairs:
        if pair.models != models:
            models, promoted, counts, proof = pair.models, None, Counter(), _Proof(bar)
        difference = _difference(pair, bar)
        if difference is None:
            continue
        counts[difference] += 1
        if promoted is None:
            proof.see(difference)
            if counts.total() >= bar.least_pairs and proof.holds:
                promoted, alarm = pair.time, _Alarm(bar)
        elif alarm.rings(difference):
            promoted, counts, proof, returned = None, Counter(), _Proof(bar), returned + 1
    size = counts.total()
    mean = fsum(value * count for value, count in counts.items()) / size if size else None
    return Verdict(
        task=task,
        route=route,
        default=default,
        model=models[0] if pairs[-1].weak == route else models[1],
        pairs=size,
        ungraded=sum(one.gap is None for one in pairs),
        difference=mean,
        lower=None if mean is None else _lower(counts, mean, bar),
        promoted=promoted,
        returned=returned,
        missing=0 if promoted is not None else max(proof.missing, bar.least_pairs - size),
        margin=bar.margin,
    )


def _difference(pair: Pair, bar: Bar) -> float | None:
    """The route's score minus the default's; `None` where not graded."""
    scores, gap = (pair.weak_score, pair.strong_score), pair.gap
    if gap is None:
        return None
    if not all(one is not None and bar.scale[0] <= one <= bar.scale[1] for one in scores):
        raise InputError(
            f'run {pair.run_id!r} of task {pair.task!r} is scored {scores[0]} and {scores[1]}: '
            f'expected {bar.scale[0]:g} to {bar.scale[1]:g}; tell the `scale` of the grader'
        )
    return -gap if pair.route == pair.weak else gap


class _Proof:
    """Wealth of bets that the difference is above the margin."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._fair = bar.span - bar.margin
        self._goal = -log(bar.error)
        self._logs = [0.0] * len(_SHARES)

    def see(self, difference: float) -> None:
        """Settle one pair."""
        self._logs = _added(self._logs, _gains(self._bar.span + difference, self._fair))

    @property
    def holds(self) -> bool:
        """Whether the difference is proved to be above the margin."""
        return _log_mean(self._logs) >= self._goal

    @property
    def missing(self) -> int:
        """How many pairs without any difference would prove it."""
        gains = _gains(self._bar.span, self._fair)

        def proved(pairs: int) -> bool:
            return _log_mean(_added(self._logs, [pairs * gain for gain in gains])) >= self._goal

        high = 1
        while not proved(high):
            high *= 2
        return bisect_left(range(high), True, key=proved)  # noqa: FBT003 - what is looked for


class _Alarm:
    """Wealth of bets that the difference is below the margin, from whenever they began to win."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._logs = [0.0] * len(_SHARES)

    def rings(self, difference: float) -> bool:
        """Settle one pair; whether the route is worse by more than the margin."""
        bar = self._bar
        begun = [max(one, 0.0) for one in self._logs]
        self._logs = _added(begun, _gains(bar.span - difference, bar.span + bar.margin))
        return _log_mean(self._logs) >= log(bar.false_return)


def _lower(counts: Mapping[float, int], mean: float, bar: Bar) -> float:
    """The largest difference, to a hair, that the pairs refute as too low."""
    low, high, goal = -bar.span, mean, -log(bar.error)
    for _ in range(_HALVINGS if low < mean else 0):
        middle = (low + high) / 2
        logs = [0.0] * len(_SHARES)
        for difference, count in counts.items():
            gains = _gains(bar.span + difference, bar.span + middle)
            logs = _added(logs, [count * gain for gain in gains])
        low, high = (middle, high) if _log_mean(logs) >= goal else (low, middle)
    return low


def _gains(value: float, fair: float) -> list[float]:
    """The logarithm of what each bet makes of its wealth, where `fair` would leave it as it is."""
    return [log(1 - share + share * value / fair) for share in _SHARES]


def _added(some: Sequence[float], more: Sequence[float]) -> list[float]:
    return [one + other for one, other in zip(some, more, strict=True)]


def _log_mean(logs: Sequence[float]) -> float:
    """The logarithm of the mean of exponentials, which alone might be too large for a float."""
    most = max(logs)
    return most + log(fsum(exp(one - most) for one in logs) / len(logs))
