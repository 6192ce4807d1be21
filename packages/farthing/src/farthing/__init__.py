"""farthing: an exact cost ledger for agent tokens.

Adapters post to it (`langchain_farthing`, `llama_index_farthing`); `farthing report` reads it.

Each name is loaded when it is first asked for: every module of farthing imports this one, and a
program that records shall not wait for what reads.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.attribution import Attribution, attributed
    from farthing.entry import Decision, Entry, Outcome
    from farthing.errors import FarthingError
    from farthing.ledger import Ledger
    from farthing.prices.book import PriceBook
    from farthing.prices.quote import Call, Line, Quote, Terms
    from farthing.usage import Usage

__all__ = [
    'Attribution',
    'Call',
    'Decision',
    'Entry',
    'FarthingError',
    'Ledger',
    'Line',
    'Outcome',
    'PriceBook',
    'Quote',
    'Terms',
    'Usage',
    'attributed',
]

_HOMES = {
    'attribution': ('Attribution', 'attributed'),
    'entry': ('Decision', 'Entry', 'Outcome'),
    'errors': ('FarthingError',),
    'ledger': ('Ledger',),
    'prices.book': ('PriceBook',),
    'prices.quote': ('Call', 'Line', 'Quote', 'Terms'),
    'usage': ('Usage',),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f'farthing.{home}'), name)
            return found
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
