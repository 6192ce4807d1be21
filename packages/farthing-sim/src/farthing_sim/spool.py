"""Bytes that are written once and read often: in memory while they are few, on disk beyond that."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

_IN_MEMORY = 1_000_000
_PART = 1_000_000


class Spool:
    """Bytes in a temporary file, which is gone when nobody holds them any more.

    Args:
        file: A file that holds some already; the spool closes it. A new one unless given.
    """

    def __init__(self, file: IO[bytes] | None = None) -> None:
        new = tempfile.SpooledTemporaryFile
        self._file: IO[bytes] = new(max_size=_IN_MEMORY) if file is None else file
        self.size = self._file.seek(0, os.SEEK_END)
        weakref.finalize(self, self._file.close)

    def append(self, part: bytes) -> None:
        """Add bytes at the end."""
        self._file.seek(self.size)
        self._file.write(part)
        self.size += len(part)

    def read(self, at: int, most: int) -> bytes:
        """Up to so many bytes from a place on."""
        self._file.seek(at)
        return self._file.read(most)

    def parts(self) -> Iterator[bytes]:
        """All of it, piece by piece; others may read meanwhile."""
        for at in range(0, self.size, _PART):
            yield self.read(at, _PART)

    def lines(self) -> Iterator[bytes]:
        """The lines, without their ends and without empty ones; others may read meanwhile."""
        at = 0
        while at < self.size:
            self._file.seek(at)
            line = self._file.readline()
            at += len(line)
            if line.strip():
                yield line.strip()
