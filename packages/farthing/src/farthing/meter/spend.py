"""A running sum of entries, for the code that wants to know what a block has cost so far."""

import threading
from collections import deque
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Protocol

from farthing.entry import UsageSource
from farthing.money import usd
from farthing.prices.quote import Quote
from farthing.usage import Usage

_MANY = 256  # so many wait to be added up together: one by one takes ten times as long
_COUNTS = tuple(one.name for one in fields(Usage) if one.name != 'tool_uses')
_counts = attrgetter(*_COUNTS)
_NOTHING = Usage(input_tokens=0, output_tokens=0, reasoning_tokens=0)


class Counted(Protocol):
    """What a sum needs of an entry."""

    @property
    def usage(self) -> Usage | None:
        """Its counts."""

    @property
    def usage_source(self) -> UsageSource | None:
        """Whether they were reported or estimated."""

    @property
    def quote(self) -> Quote:
        """Its price."""


class Spend:
    """What the calls of one handler or one `recording` block cost so far.

    Safe to read and to add to from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Counted] = deque()
        self._cost = 0
        self._calls = 0
        self._unpriced = 0
        self._assumed = 0
        self._estimated = 0
        self._lost = 0
        self._counts: tuple[int | None, ...] | None = None
        self._tool_uses: dict[str, int] = {}

    def add(self, entry: Counted) -> None:
        """Count one entry: it waits until somebody asks for a sum, or until many wait."""
        self._waiting.append(entry)
        if len(self._waiting) >= _MANY:
            self._add_up()

    def _add_up(self) -> None:
        with self._lock:
            entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._calls += len(entries)
            for entry in entries:
                quote = entry.quote
                if quote.cost is None:
                    self._unpriced += 1
                else:
                    self._cost += quote.cost
                self._assumed += quote.status == 'assumed'
                self._estimated += entry.usage_source == 'estimated'
            used = [entry.usage for entry in entries if entry.usage is not None]
            if used:
                self._sum(used)

    def _sum(self, used: list[Usage]) -> None:
        """Add counts, column by column: one call of `sum` for each adds up all that waited."""
        rows = [_counts(usage) for usage in used]
        if self._counts is not None:
            rows.append(self._counts)
        self._counts = tuple(map(_total, zip(*rows, strict=True)))
        for usage in used:
            for name, uses in usage.tool_uses.items():
                self._tool_uses[name] = self._tool_uses.get(name, 0) + uses

    def lose(self) -> None:
        """Count one call that could not be recorded."""
        with self._lock:
            self._lost += 1

    @property
    def cost_usd(self) -> Decimal:
        """Exact sum in USD of the calls that have a price; see `unpriced` and `lost`."""
        self._add_up()
        return usd(self._cost)

    @property
    def calls(self) -> int:
        """How many calls were counted, failed ones included."""
        self._add_up()
        return self._calls

    @property
    def usage(self) -> Usage:
        """The sum of all counts, estimated ones included; see `estimated`."""
        self._add_up()
        with self._lock:
            if self._counts is None:
                return _NOTHING
            counts: dict[str, Any] = dict(zip(_COUNTS, self._counts, strict=True))
            return Usage(**counts, tool_uses=dict(self._tool_uses))

    @property
    def unpriced(self) -> int:
        """How many calls have no price and are missing in `cost_usd`."""
        self._add_up()
        return self._unpriced

    @property
    def assumed(self) -> int:
        """How many prices rest on an assumed condition."""
        self._add_up()
        return self._assumed

    @property
    def estimated(self) -> int:
        """How many calls have estimated counts."""
        self._add_up()
        return self._estimated

    @property
    def lost(self) -> int:
        """How many calls could not be recorded: the sums are at least what they say."""
        return self._lost

    def __repr__(self) -> str:
        return (
            f'Spend(cost_usd={self.cost_usd}, calls={self.calls}, unpriced={self.unpriced}, '
            f'assumed={self.assumed}, estimated={self.estimated}, lost={self.lost})'
        )


def _total(counts: tuple[int | None, ...]) -> int | None:
    """A count that any of the calls did not say stays unsaid."""
    said = [count for count in counts if count is not None]
    return sum(said) if len(said) == len(counts) else None
