"""Verdicts of a prompt cache summed up: by cause, and by what caused them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

Who = tuple[str | None, ...]


class Explained(NamedTuple):
    """One call's verdict.

    Attributes:
        entry_id: The call.
        who: Whose it is: tenant, task and model.
        cause: See `farthing.caching.explain`.
        reason: One line.
        path: Where the request first differs, or where a mark belongs.
        change: What kind of change.
        tokens_lost: Tokens that were not read; `None` is unknown.
        cost_lost: What they cost beyond a read, in 1e-12 USD; `None` is unknown.
        estimated: Whether `tokens_lost` is an estimate.
        provider_reason: Why the provider says that it missed.
    """

    entry_id: str
    who: Who
    cause: str
    reason: str
    path: str | None = None
    change: str | None = None
    tokens_lost: int | None = None
    cost_lost: int | None = None
    estimated: bool = False
    provider_reason: str | None = None


@dataclass(slots=True)
class Tally:
    """Sums over calls.

    Attributes:
        example: The call that lost most tokens.
        calls: How many.
        tokens_lost: Of those that are known.
        cost_lost: In 1e-12 USD, of those that are known.
        estimated: Calls whose `tokens_lost` is an estimate.
        unpriced: Calls that lost tokens at an unknown price: in no sum of `cost_lost`.
        said: What the provider says of them, with how many calls it says it.
    """

    example: Explained
    calls: int = 0
    tokens_lost: int = 0
    cost_lost: int = 0
    estimated: int = 0
    unpriced: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def add(self, one: Explained) -> None:
        """Add a call."""
        if (one.tokens_lost or 0) > (self.example.tokens_lost or 0):
            self.example = one
        self.calls += 1
        self.tokens_lost += one.tokens_lost or 0
        self.cost_lost += one.cost_lost or 0
        self.estimated += one.estimated
        self.unpriced += bool(one.tokens_lost) and one.cost_lost is None
        if one.provider_reason:
            self.said[one.provider_reason] += 1


class Pattern(NamedTuple):
    """Calls of one task and model that miss for one reason at one place.

    Attributes:
        tally: Their sums.
        calls: How many calls that task and model has, with any cause.
    """

    tally: Tally
    calls: int


def summed(verdicts: Iterable[Explained]) -> tuple[dict[str, Tally], list[Pattern]]:
    """Sums by cause, and by cause, place and whose; both with the dearest first."""
    causes: dict[str, Tally] = {}
    patterns: dict[tuple[object, ...], Tally] = {}
    calls: Counter[Who] = Counter()
    for one in verdicts:
        calls[one.who] += 1
        causes.setdefault(one.cause, Tally(one)).add(one)
        if one.tokens_lost:
            key = (one.cause, one.path, one.change, one.who)
            patterns.setdefault(key, Tally(one)).add(one)
    found = [Pattern(tally, calls[tally.example.who]) for tally in _dearest(patterns.values())]
    return {one.example.cause: one for one in _dearest(causes.values())}, found


def _dearest(tallies: Iterable[Tally]) -> list[Tally]:
    return sorted(tallies, key=lambda one: (-one.cost_lost, -one.tokens_lost, -one.calls))
