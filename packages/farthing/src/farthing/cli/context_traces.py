"""Files of recorded sessions, turns and questions: JSON lines, packed with gzip or not."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farthing.errors import InputError

_GZIP = b'\x1f\x8b'


def rows(path: str, *needed: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a file, one a line; empty lines are passed over.

    Args:
        path: The file.
        needed: Keys that each object must have.

    Raises:
        InputError: The file cannot be read, or a line is no such object.
    """
    for number, line in enumerate(_text(path).split('\n'), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f'{path!r} line {number} is no JSON: {error}') from error
        if not isinstance(row, Mapping) or not row.keys() >= {*needed}:
            seen = sorted(row) if isinstance(row, Mapping) else type(row).__name__
            raise InputError(
                f'{path!r} line {number} has {seen!r:.80}: expected an object with '
                + ' and '.join(f'`{name}`' for name in needed)
            )
        yield row


def document(path: str) -> Any:
    """The JSON value that a file holds.

    Raises:
        InputError: The file cannot be read, or holds no JSON.
    """
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise InputError(f'{path!r} is no JSON: {error}') from error


def _text(path: str) -> str:
    try:
        data = Path(path).read_bytes()
        return (gzip.decompress(data) if data.startswith(_GZIP) else data).decode('utf-8')
    except UnicodeDecodeError as error:
        raise InputError(f'{path!r} is no text in UTF-8: {error}') from error
    except (OSError, EOFError) as error:
        said = getattr(error, 'strerror', None) or error
        raise InputError(f'{path!r} cannot be read ({said}): expected a file') from error
