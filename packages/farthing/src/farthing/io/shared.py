"""The ledgers of this process: one meter for each, shared by all that post to it."""

import os
import threading
from pathlib import Path

from farthing.errors import InputError
from farthing.ledger import Ledger
from farthing.meter import Account, Meter, Spend
from farthing.prices import PriceBook

Source = Ledger | str | Path | None
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


def book() -> PriceBook:
    """The price book in force: the release's, with the user's overlay."""
    overlay = os.environ.get(PRICES)
    return PriceBook.load().with_overlay(Path(overlay)) if overlay else PriceBook.load()
