"""The annotator that is used unless another one is given."""

from farthing.errors import InputError
from farthing.run.annotates import Annotates


def annotator(ledger: object = None) -> Annotates:
    """The annotator that learns in a ledger.

    Raises:
        InputError: This release has none.
    """
    raise InputError(f'no annotator for the ledger {ledger!r} yet: pass `annotator=` to `cached`')
