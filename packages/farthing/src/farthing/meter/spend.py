"""A running sum of entries, for the code that wants to know what a block has cost so far."""

import threading
from decimal import Decimal

from farthing.entry import Entry
from farthing.money import usd
from farthing.usage import Usage

_NOTHING = Usage(input_tokens=0, output_tokens=0, reasoning_tokens=0)


class Spend:
    """What the calls of one handler or one `recording` block cost so far.

    Safe to read and to add to from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cost = 0
        self._calls = 0
        self._unpriced = 0
        self._assumed = 0
        self._estimated = 0
        self._lost = 0
        self._usage: Usage | None = None

    def add(self, entry: Entry) -> None:
        """Count one entry."""
        with self._lock:
            self._calls += 1
            if entry.quote.cost is None:
                self._unpriced += 1
            else:
                self._cost += entry.quote.cost
            self._assumed += entry.quote.status == 'assumed'
            self._estimated += entry.usage_source == 'estimated'
            if entry.usage is not None:
                self._usage = entry.usage if self._usage is None else self._usage + entry.usage

    def lose(self) -> None:
        """Count one call that could not be recorded."""
        with self._lock:
            self._lost += 1

    @property
    def cost_usd(self) -> Decimal:
        """Exact sum in USD of the calls that have a price; see `unpriced` and `lost`."""
        return usd(self._cost)

    @property
    def calls(self) -> int:
        """How many calls were counted, failed ones included."""
        return self._calls

    @property
    def usage(self) -> Usage:
        """The sum of all counts, estimated ones included; see `estimated`."""
        return _NOTHING if self._usage is None else self._usage

    @property
    def unpriced(self) -> int:
        """How many calls have no price and are missing in `cost_usd`."""
        return self._unpriced

    @property
    def assumed(self) -> int:
        """How many prices rest on an assumed condition."""
        return self._assumed

    @property
    def estimated(self) -> int:
        """How many calls have estimated counts."""
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
