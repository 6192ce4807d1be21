"""A session's state as JSON and back: numbers, digests and times."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import orjson

from farthing.context.values import Request, State, Summary
from farthing.errors import ContextError

_VERSION = 1
_TIMES = ('retry_at', 'last_call')


def dump(state: State) -> bytes:
    """The state as JSON, with the version of its form."""
    return orjson.dumps({'version': _VERSION, **asdict(state)})


def load(data: bytes) -> State:
    """The state that `dump` wrote.

    Raises:
        ContextError: It is none, or of a newer farthing.
    """
    try:
        words = orjson.loads(data)
        version = words.pop('version')
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ContextError(
            'the stored state of a session cannot be read: it is no state'
        ) from error
    if version != _VERSION:
        raise ContextError(
            f'the stored state of a session has version {version!r}, we know {_VERSION}: '
            'update farthing, or begin the session anew'
        )
    try:
        times = {name: words[name] and datetime.fromisoformat(words[name]) for name in _TIMES}
        made = {name: _made(words[name]) for name in ('summary', 'ready')}
        asked = words['asked']
        if asked is not None:
            previous, at = _made(asked['previous']), datetime.fromisoformat(asked['at'])
            asked = Request(**{**asked, 'previous': previous, 'at': at})
        return State(**{**words, **times, **made, 'asked': asked})
    except (TypeError, KeyError, ValueError) as error:
        raise ContextError(
            f'the stored state of a session has {sorted(words)}: '
            f'expected {[one.name for one in fields(State)]}'
        ) from error


def _made(words: Mapping[str, Any] | None) -> Summary | None:
    return None if words is None else Summary(**words)
