"""Reads a user's overlay: the one file of prices that is not ours."""

from collections.abc import Mapping
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import orjson

from farthing.errors import InputError

Overlay = str | PathLike[str] | Mapping[str, Any]


def overlay_document(overlay: Overlay) -> tuple[list[Mapping[str, Any]], str, str]:
    """The documents of an overlay, a digest of them, and what errors shall call it.

    Raises:
        InputError: The file cannot be read, or is neither TOML nor JSON.
    """
    if isinstance(overlay, Mapping):
        content, where = overlay, 'overlay'
    else:
        content, where = _read(Path(overlay)), str(overlay)
    documents = content.get('providers', [content])
    if not isinstance(documents, list) or not all(isinstance(one, Mapping) for one in documents):
        raise InputError(f'{where}: `providers` is {documents!r:.60}; expected a list of tables')
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)
    return documents, sha256(text).hexdigest()[:8], where


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'price overlay {str(path)!r} cannot be read: {error}') from error
    import tomllib  # noqa: PLC0415 - few books have an overlay

    try:
        content = orjson.loads(text) if path.suffix == '.json' else tomllib.loads(text)
    except ValueError as error:
        raise InputError(
            f'price overlay {str(path)!r} is no {"JSON" if path.suffix == ".json" else "TOML"}: '
            f'{error}'
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(f'price overlay {str(path)!r}: expected a table, got {content!r:.60}')
    return content
