"""Undoes a body's content encoding on a copy of its bytes, chunk by chunk."""

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

Decode = Callable[[bytes], bytes]


def decoder(content_encoding: str) -> Decode | None:
    """A function that decodes the next bytes; `None` for an encoding that we cannot read here."""
    match content_encoding.strip().lower():
        case '' | 'identity':
            return _same
        case 'gzip':
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
        case 'deflate':
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
        case 'br':
            return _optional('brotli', lambda module: module.Decompressor().process)
        case 'zstd':
            return _optional(
                'zstandard', lambda module: module.ZstdDecompressor().decompressobj().decompress
            )
        case _:
            return None


def _same(chunk: bytes) -> bytes:
    return chunk


def _optional(name: str, make: Callable[[Any], Decode]) -> Decode | None:
    """The HTTP client asks for these encodings only where their package is installed."""
    try:
        return make(import_module(name))
    except ImportError:
        return None
