"""farthing: an exact cost ledger for agent tokens.

Adapters post to it (`langchain_farthing`, `llama_index_farthing`); `farthing report` reads it.
"""

from farthing.attribution import Attribution, attributed
from farthing.entry import Decision, Entry, Outcome
from farthing.errors import FarthingError
from farthing.ledger import Ledger
from farthing.prices import PriceBook
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
