"""Rankers by name; those with weights are extras."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from farthing.context.bm25 import Bm25
from farthing.context.ranking import Ranker
from farthing.errors import InputError


def ranker(name: str) -> Ranker:
    """A new, empty ranker.

    Raises:
        InputError: There is none of that name, or its extra is not installed.
    """
    if name not in RANKERS:
        raise InputError(f'there is no ranker {name!r}: expected one of {", ".join(RANKERS)}')
    return RANKERS[name]()


def _embedded(extra: str) -> Callable[[], Ranker]:
    def made() -> Ranker:
        try:
            embed = import_module(f'farthing.context.embed_{extra}').embed
            embedded = import_module('farthing.context.embedded').Embedded
        except ModuleNotFoundError as error:
            raise InputError(
                f"{error.name!r} is missing: install it with `pip install 'farthing[{extra}]'`"
            ) from error
        ranker: Ranker = embedded(embed)
        return ranker

    return made


RANKERS: Mapping[str, Callable[[], Ranker]] = MappingProxyType(
    {'bm25': Bm25, 'wordllama': _embedded('wordllama'), 'minilm': _embedded('minilm')}
)
"""Makers of rankers: `bm25` needs no extra."""
