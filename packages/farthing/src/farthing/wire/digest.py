"""Digests of blocks, within one process: equal blocks have equal ones.

They are made for every block of every request, so they are xxHash, which is some twenty times
faster than a cryptographic hash. What is remembered is a keyed, cryptographic hash over them.
"""

from typing import Any

import orjson
from xxhash import xxh3_128_digest as digest_of

__all__ = ['bytes_of', 'digest_of', 'text_digest']


def bytes_of(kind: str, value: Any) -> bytes:
    """What a block is, then its JSON with sorted keys.

    Raises:
        TypeError: It is no JSON.
    """
    return kind.encode() + b'\0' + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def text_digest(kind: str, words: str, before: bytes = b'') -> bytes:
    """The digest of plain text, however it is wrapped.

    Args:
        kind: What it is, such as its role.
        words: The text.
        before: What its meaning depends on besides.
    """
    return digest_of(before + kind.encode() + b'\1' + words.encode('utf-8', 'surrogatepass'))
