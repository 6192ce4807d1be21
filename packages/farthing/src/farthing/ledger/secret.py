"""The random key of a ledger's fingerprints, in a file beside it that its owner alone can read.

Without it, fingerprints of short or guessable content could be found by trying.
"""

import contextlib
import os
import secrets
from pathlib import Path

_BYTES = 32


def key(path: Path) -> bytes:
    """The key in the file at `path`, made if there is none; the same for all processes.

    Raises:
        OSError: The file can neither be read nor made.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
        return _read(path)


def _read(path: Path) -> bytes:
    found = bytes.fromhex(path.read_text('ascii'))
    if len(found) != _BYTES:
        raise OSError(f'{path.name} holds {len(found)} bytes: expected a key of {_BYTES}')
    return found


def _make(path: Path) -> None:
    """Write under a name of our own, then link: whoever comes second finds the first one's key."""
    own = path.with_name(f'{path.name}.{secrets.token_hex(8)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, 'w') as file:
            file.write(secrets.token_hex(_BYTES))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(own)
    finally:
        own.unlink()
