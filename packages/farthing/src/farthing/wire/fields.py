"""Reads fields of a provider's JSON and says which one is wrong.

An absent or null count is 0 only where the provider leaves out what did not happen (`count`);
where its absence means that nobody knows, it raises (`needed`).
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from farthing.errors import UsageError

_NOTHING: Mapping[str, Any] = {}


def count(words: Mapping[str, Any], name: str) -> int:
    """The count called `name`, 0 where it is absent or null.

    Raises:
        UsageError: It is no whole number of at least 0.
    """
    value = words.get(name)
    if value is None:
        return 0
    if type(value) is int and value >= 0:
        return value
    raise _no_count(name, value)


def needed(words: Mapping[str, Any], name: str) -> int:
    """The count called `name`.

    Raises:
        UsageError: It is absent, or no whole number of at least 0.
    """
    value = words.get(name)
    if value is None:
        raise UsageError(f"usage has no `{name}`, only {sorted(words)}: is it another API's?")
    if type(value) is int and value >= 0:
        return value
    raise _no_count(name, value)


def maybe(words: Mapping[str, Any], name: str) -> int | None:
    """The count called `name`, `None` where it is absent or null.

    Raises:
        UsageError: It is no whole number of at least 0.
    """
    return None if words.get(name) is None else count(words, name)


def inner(words: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object called `name`, empty where it is absent or null.

    Raises:
        UsageError: It is no object.
    """
    value = words.get(name)
    if value is None:
        return _NOTHING
    if isinstance(value, Mapping):
        return value
    raise UsageError(f'`{name}` is a {type(value).__name__}: expected an object')


def text(words: Mapping[str, Any], name: str) -> str | None:
    """The string called `name`, `None` where it is anything else."""
    value = words.get(name)
    return value if isinstance(value, str) else None


def _no_count(name: str, value: object) -> UsageError:
    return UsageError(f'`{name}` is {value!r}: expected a whole number of at least 0')


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list, none where `value` is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def loads(data: bytes) -> Mapping[str, Any] | None:
    """The JSON object in `data`, `None` where it holds none."""
    try:
        value = orjson.loads(data)
    except ValueError:
        # orjson refuses half of a surrogate pair, which models do emit; json takes it.
        try:
            value = json.loads(data)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None
