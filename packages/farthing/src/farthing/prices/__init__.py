"""What calls cost: a book of dated prices, and quotes made from it.

The book is loaded when it is first asked for: a quote's values alone need none of it.
"""

from typing import TYPE_CHECKING

from farthing.prices.quote import Call, Line, Quote, Status, Terms

if TYPE_CHECKING:
    from farthing.prices.book import Override, PriceBook, Shown
    from farthing.prices.overlay import Overlay

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from farthing.prices import book  # noqa: PLC0415 - see above

    found = globals()[name] = getattr(book, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
