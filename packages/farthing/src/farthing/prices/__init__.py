"""What calls cost: a book of dated prices, and quotes made from it."""

from farthing.prices.book import Override, PriceBook, Shown
from farthing.prices.overlay import Overlay
from farthing.prices.quote import Call, Line, Quote, Status, Terms

__all__ = [
    'Call',
    'Line',
    'Overlay',
    'Override',
    'PriceBook',
    'Quote',
    'Shown',
    'Status',
    'Terms',
]
