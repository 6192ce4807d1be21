"""OpenAI's encoding `o200k_base`, from files that are there; it is never downloaded.

`tiktoken` fetches an encoding that it does not find in its cache. So it is asked only where the
file lies ready and is whole: in its own cache, or where llama-index-core ships it. Else the package
`bpe-openai` (the extra `tokens`) brings an encoding of its own.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

Count = Callable[[str], int]

_NAME = 'o200k_base'
# The name of its file in a cache, and the digest of its content, as in tiktoken's
# `tiktoken_ext.openai_public` and `tiktoken.load`.
_FILE = 'fb374d419588a4632f3f557e76b4b70aebbca790'
_SHA256 = '446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d'
_VARIABLES = ('TIKTOKEN_CACHE_DIR', 'DATA_GYM_CACHE_DIR')
_PIECE = 100_000  # characters: `bpe-openai` refuses texts of a million
_lock = Lock()


@lru_cache(maxsize=1)
def o200k() -> Count | None:
    """Counts a text's tokens; `None` where no encoding is installed. Loaded once in a process."""
    return _tiktoken() or _bpe()


def _tiktoken() -> Count | None:
    folder = next((one for one in _folders() if _is_whole(one / _FILE)), None)
    if folder is None:
        return None
    try:
        import tiktoken  # noqa: PLC0415 - llama-index-core brings it, or the user
    except ModuleNotFoundError:
        return None
    # It takes the folder from the environment only.
    with _lock:
        before = os.environ.get(_VARIABLES[0])
        os.environ[_VARIABLES[0]] = str(folder)
        try:
            encoding = tiktoken.get_encoding(_NAME)
        finally:
            del os.environ[_VARIABLES[0]]
            if before is not None:
                os.environ[_VARIABLES[0]] = before
    return lambda text: len(encoding.encode_ordinary(text))


def _bpe() -> Count | None:
    try:
        import bpe_openai  # noqa: PLC0415 - the extra `tokens`
    except ModuleNotFoundError:
        return None
    encode = bpe_openai.get_encoding(_NAME).encode_ordinary

    def count(text: str) -> int:
        return sum(len(encode(text[at : at + _PIECE])) for at in range(0, len(text), _PIECE))

    return count


def _folders() -> Iterator[Path]:
    yield from (Path(os.environ[name]) for name in _VARIABLES if os.environ.get(name))
    yield Path(tempfile.gettempdir(), 'data-gym-cache')
    framework = find_spec('llama_index')
    for place in (framework.submodule_search_locations or ()) if framework else ():
        yield Path(place, 'core', '_static', 'tiktoken_cache')


def _is_whole(path: Path) -> bool:
    """Whether the file is there and is the encoding's; another one would be fetched anew."""
    try:
        return sha256(path.read_bytes()).hexdigest() == _SHA256
    except OSError:
        return False
