"""Where a ledger is: `sqlite:///relative.db`, `sqlite:////absolute.db` or a bare path."""

import os
from pathlib import Path

from farthing.errors import InputError

DEFAULT = 'sqlite:///farthing.db'
_SCHEME = 'sqlite:///'
_HOW = 'expected `sqlite:///relative.db`, `sqlite:////absolute.db` or a path'


def ledger_path(url: str | os.PathLike[str] | None) -> Path:
    """The absolute path of a ledger's file.

    Args:
        url: The address; `None` for the environment's `FARTHING_LEDGER`, else `farthing.db` here.

    Raises:
        InputError: The address is none that we know.
    """
    if url is None:
        url = os.environ.get('FARTHING_LEDGER') or DEFAULT
    if not isinstance(url, str | os.PathLike):
        raise InputError(f'the ledger is {url!r}: {_HOW}')
    text = os.fspath(url)
    if '://' in text:
        if not text.startswith(_SCHEME):
            raise InputError(f'the ledger is {text.split("@")[-1]!r}: {_HOW}')
        text = text.removeprefix(_SCHEME)
    if not text or text == ':memory:' or '?' in text or '\0' in text:
        raise InputError(f'the ledger is {os.fspath(url)!r}: {_HOW}, without options')
    path = Path(text).expanduser()
    if path.is_dir():
        raise InputError(f'the ledger is {os.fspath(url)!r}, which is a directory: {_HOW}')
    return Path(os.path.realpath(path))
