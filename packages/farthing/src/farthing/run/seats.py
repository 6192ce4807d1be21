"""Whether the code that runs here belongs to a batch job.

A module of its own: it is asked before every request, and must cost nothing to import.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.run.replies import Seat

parking: 'ContextVar[Seat | None]' = ContextVar('farthing_seat', default=None)
"""The seat of the code that runs here; `None` where requests are sent at once."""


@contextmanager
def seated(seat: 'Seat') -> Iterator[None]:
    """Requests of the block wait in the seat's lot."""
    token = parking.set(seat)
    try:
        yield
    finally:
        parking.reset(token)
