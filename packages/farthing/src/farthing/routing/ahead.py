"""What the turns to come will cost where two models keep a cache each, by backward induction.

Each turn to come is light with the same chance, and then either model may serve it; the others need
the stronger one. Each adds as many tokens, and they come at even intervals, so that a cache which
is not used lives for a known number of turns. From the last turn backwards the cheaper way to serve
a light turn is known for each state: who served the turn before, and how long ago the other one was
used. What a cache misses, or all of the prefix where it has expired, is written when it is used.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from farthing.routing.routes import Rates


class Cached(NamedTuple):
    """A model's prompt cache.

    Attributes:
        rates: What a token costs.
        life: For how many turns a prefix lives on that none of them uses.
    """

    rates: Rates
    life: int

    def refill(self, prefix: int, added: int, unused: int) -> float:
        """What it costs more to use it than if it had the whole prefix.

        Args:
            prefix: Tokens of the prefix.
            added: Tokens that each turn has added.
            unused: Turns since it was used that have not used it.
        """
        missing = prefix if unused >= self.life else min(unused * added, prefix)
        return (self.rates.write - self.rates.read) * missing

    def later(self, unused: int) -> int:
        """The turns that have not used it, a turn later; an expired cache stays that."""
        return min(unused + 1, self.life)


class Turn(NamedTuple):
    """What is expected of each turn to come.

    Attributes:
        light: The chance that the weaker model may serve it.
        added: Tokens that it adds to the conversation, its answers among them.
        output: Output tokens.
        calls: Calls, each of which reads the whole prefix.
    """

    light: float
    added: int
    output: int
    calls: float

    def cost(self, rates: Rates, prefix: int) -> float:
        """What it costs where all of the prefix is warm."""
        read = self.calls * prefix + (self.calls - 1) * self.added
        return rates.read * read + rates.write * self.added + rates.output * self.output


class Ahead(NamedTuple):
    """Expected costs of the turns to come, in 1e-12 USD.

    Attributes:
        after_strong: Where the stronger model serves the turn before them, by the turns since the
            weaker one's cache was used; the last one is of an expired cache, or of none.
        after_weak: The same where the weaker model serves it, by those of the stronger one's.
        strong: Where the stronger model serves them all.
    """

    after_strong: Sequence[float]
    after_weak: Sequence[float]
    strong: float

    @property
    def saves(self) -> float:
        """The share of the cost that is saved by switching, from the stronger model on."""
        return 1 - self.after_strong[-1] / self.strong if self.strong else 0.0


@lru_cache(maxsize=4_096)
def ahead(strong: Cached, weak: Cached, prefix: int, turn: Turn, turns: int) -> Ahead:
    """What so many turns are expected to cost, where the cheaper way is taken each time.

    Args:
        strong: The cache of the model that can serve all turns.
        weak: The cache of the one that can serve light turns.
        prefix: Tokens of the conversation before the turn that precedes them.
        turn: What each of them is like.
        turns: How many.
    """
    on_strong, on_weak, alone = [0.0] * (weak.life + 1), [0.0] * (strong.life + 1), 0.0
    for number in range(turns, 0, -1):
        size = prefix + number * turn.added
        at_strong, at_weak = turn.cost(strong.rates, size), turn.cost(weak.rates, size)
        # One that has served the turn before misses nothing, unless no cache lives that long.
        again_strong = at_strong + strong.refill(size, turn.added, 0)
        again_weak = at_weak + weak.refill(size, turn.added, 0)
        to_weak, to_strong = on_weak[strong.later(0)], on_strong[weak.later(0)]
        on_strong, on_weak = (
            [
                _mean(
                    turn.light,
                    again_strong + on_strong[weak.later(unused)],
                    at_weak + weak.refill(size, turn.added, unused) + to_weak,
                )
                for unused in range(weak.life + 1)
            ],
            [
                _mean(
                    turn.light,
                    at_strong + strong.refill(size, turn.added, unused) + to_strong,
                    again_weak + on_weak[strong.later(unused)],
                )
                for unused in range(strong.life + 1)
            ],
        )
        alone += again_strong
    return Ahead(on_strong, on_weak, alone)


def _mean(light: float, strong: float, weak: float) -> float:
    return (1 - light) * strong + light * min(strong, weak)
