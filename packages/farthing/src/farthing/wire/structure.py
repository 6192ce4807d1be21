"""A copy of a payload in which one block is replaced; all else is shared with the original."""

from collections.abc import Callable, Mapping
from typing import Any

from farthing.caching.block import Path

Change = Callable[[dict[str, Any]], dict[str, Any]]


def altered(value: Any, path: Path, change: Change, *, text: str = 'text') -> Any:
    """The copy.

    Args:
        value: A payload, or a part of it.
        path: Where the block stands; text that is no list is element 0 of one.
        change: Makes the new block of the old.
        text: The type of a block that stands for plain text.
    """
    if not path:
        block = {'type': text, 'text': value} if isinstance(value, str) else value
        return change(block)
    head, *rest = path
    if isinstance(value, Mapping):
        return {**value, head: altered(value[head], tuple(rest), change, text=text)}
    if not isinstance(value, list):
        return [altered(value, tuple(rest), change, text=text)]
    return [
        altered(one, tuple(rest), change, text=text) if at == head else one
        for at, one in enumerate(value)
    ]
