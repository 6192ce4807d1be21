"""Copies of a payload in which blocks are changed; all else is shared with the original."""

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


def without(value: Any, mark: str) -> Any:
    """The value without this mark on its blocks or on the blocks of their content."""
    if type(value) is list:
        return [without(one, mark) for one in value]
    if type(value) is not dict:
        return value
    content = value.get('content')
    if type(content) is list:
        value = {**value, 'content': [without(one, mark) for one in content]}
    return {key: one for key, one in value.items() if key != mark} if mark in value else value
