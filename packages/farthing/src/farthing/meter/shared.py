"""The ledgers of this process: one meter for each, shared by all that post to it.

The ledger with SQLite, and the price book, are loaded when the first of them is opened: a program
that imports an adapter and records nothing does not wait for them.
"""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from farthing.errors import InputError
from farthing.meter import Account, Meter, Spend

if TYPE_CHECKING:
    from farthing.ledger import Ledger
    from farthing.prices import PriceBook

Source: TypeAlias = 'Ledger | str | Path | None'
"""An open ledger, its address, or `None` for `FARTHING_LEDGER` and else `farthing.db`."""

PRICES = 'FARTHING_PRICES'

_lock = threading.Lock()
_opened: dict[str, Meter] = {}
_given: dict[int, Meter] = {}


def account(source: Source = None) -> Account:
    """A fresh sum over the shared meter of a ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `source` is none of what is expected.
    """
    return Account(meter(source), Spend())


def meter(source: Source = None) -> Meter:
    """The meter of a ledger; the same one for the same ledger.

    Prices are those of the release, with the overlay file that `FARTHING_PRICES` names.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `source` is none of what is expected.
    """
    from farthing.ledger import Ledger  # noqa: PLC0415 - see above

    with _lock:
        if isinstance(source, Ledger):
            return _given.setdefault(id(source), Meter(source, book()))
        if source is not None and not isinstance(source, (str, Path)):
            raise InputError(
                f'`ledger` is {source!r}: expected an open Ledger, an address such as '
                '`sqlite:///farthing.db`, or None'
            )
        address = os.fspath(source) if isinstance(source, Path) else source
        key = address or os.environ.get('FARTHING_LEDGER', '')
        if key not in _opened:
            _opened[key] = Meter(Ledger.open(address), book())
        return _opened[key]


def book() -> 'PriceBook':
    """The price book in force: the release's, with the user's overlay."""
    from farthing.prices import PriceBook  # noqa: PLC0415 - see above

    overlay = os.environ.get(PRICES)
    return PriceBook.load().with_overlay(Path(overlay)) if overlay else PriceBook.load()
