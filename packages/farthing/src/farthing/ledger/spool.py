"""The spool: a file per process in front of the ledger, one line and one write per entry.

What `append` has written survives the death of the process (with `fsync`, of the machine). Only
its owner writes to a spool file, and it holds the file's lock while it does, so others see
whether it lives. Only the holder of the ledger's drain lock reads spools and removes spent ones.
A last line without an end was never acknowledged.
"""

import os
import secrets
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from farthing.ledger.locks import try_lock
from farthing.ledger.record import loss_line

SUFFIX = '.spool'
_WAITING_LINES = 10_000  # about 10 MB in memory
_RETRY_S = 1.0
_CHUNK = 4 << 20  # about 5,000 entries: large enough for the batch, short enough for others
_sync = getattr(os, 'fdatasync', os.fsync)


class LedgerWarning(UserWarning):
    """The ledger cannot be written just now; the calls themselves go on."""


def warn(text: str) -> None:
    """Warn without ever raising, also where warnings are errors."""
    try:
        warnings.warn(text, LedgerWarning, stacklevel=3)
    except LedgerWarning:
        print(f'farthing: {text}', file=sys.stderr)  # noqa: T201 - the call must not fail


class Spool:
    """The writing end, of one process and all its threads."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._folder = folder
        self._fsync = fsync
        self.reset()

    def reset(self) -> None:
        """Start without a file; what a fork's parent has open or in memory stays the parent's."""
        # Reentrant: a signal handler or a finaliser may post while this thread posts.
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._waiting: deque[bytes] = deque()
        self._lost: dict[str, int] = {}
        self._retry_at = 0.0
        self._warned = False

    def forked(self) -> None:
        """Leave the parent's file to the parent; called in the child."""
        if self._fd is not None:
            os.close(self._fd)
        self.reset()

    @property
    def unsaved(self) -> int:
        """Calls that are not on disk: lost ones, and lines that wait in memory."""
        return sum(self._lost.values()) + len(self._waiting)

    @property
    def lost(self) -> dict[str, int]:
        """Calls lost by reason, as far as the ledger has not been told yet."""
        return dict(self._lost)

    def append(self, line: bytes) -> None:
        """Write one line; keep it in memory for a later try when that fails. Never raises."""
        with self._lock:
            if not self._waiting and self._write(line):
                return
            if len(self._waiting) < _WAITING_LINES:
                self._waiting.append(line)
            else:
                self._lose('more calls than memory holds while the ledger could not be written')
            self.retry()

    def lose(self, reason: str) -> None:
        """Count a call that cannot be recorded, in the ledger as soon as it can be written."""
        with self._lock:
            self._lose(reason)
            self.retry(now=True)

    def retry(self, *, now: bool = False) -> None:
        """Write what waits in memory and what was lost, if a second has passed since the last try.

        Args:
            now: Try at once.
        """
        with self._lock:
            if not (now or time.monotonic() >= self._retry_at):
                return
            while self._waiting and self._write(self._waiting[0]):
                self._waiting.popleft()
            while self._lost and not self._waiting:
                reason, calls = next(iter(self._lost.items()))
                if not self._write(loss_line(reason, calls, datetime.now(UTC))):
                    return
                del self._lost[reason]

    def rescue(self) -> None:
        """Write the lines of this process's file again where somebody has removed it."""
        with self._lock:
            if self._fd is not None and not os.fstat(self._fd).st_nlink:
                lines = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
                self.rotate()
                for line in lines.splitlines(keepends=True):
                    self.append(line)

    def rotate(self) -> None:
        """End the file; the next line begins another."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def size(self) -> int:
        """Bytes of the open file."""
        with self._lock:
            return 0 if self._fd is None else os.fstat(self._fd).st_size

    def _lose(self, reason: str) -> None:
        self._lost[reason] = self._lost.get(reason, 0) + 1

    def _write(self, line: bytes) -> bool:
        try:
            if self._fd is None:
                self._fd = self._open()
            if os.write(self._fd, line) != len(line):
                raise OSError(28, 'no space left for a whole line')  # noqa: TRY301 - one exit
            if self._fsync:
                _sync(self._fd)
        except OSError as error:
            # The file may end in a part of the line: it is given up, and a reader drops the part.
            self.rotate()
            self._retry_at = time.monotonic() + _RETRY_S
            if not self._warned:
                self._warned = True
                warn(
                    f'entries cannot be written to {self._folder} ({error.strerror}): up to '
                    f'{_WAITING_LINES} wait in memory and are tried again; make room or allow '
                    'writing there'
                )
            return False
        return True

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = f'{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}'
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
            fd = os.open(self._folder / name, flags, 0o666)
            # A drainer that sees the file before its lock takes it for a dead process's and
            # removes it under that lock.
            if try_lock(fd) and os.fstat(fd).st_nlink:
                if self._fsync:
                    _sync_folder(self._folder)
                return fd
            os.close(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Whole lines of a spool file, without their ends, and the offset behind the last one."""

    lines: list[bytes]
    end: int


def names(folder: Path) -> list[str]:
    """The spool files of a folder, oldest name first; empty when there is no folder."""
    return sorted(path.name for path in folder.glob(f'*{SUFFIX}'))


def chunks(fd: int, offset: int) -> Iterator[Chunk]:
    """The whole lines of an open spool file from `offset` on, a few thousand at a time."""
    while True:
        block = os.pread(fd, _CHUNK, offset)
        end = block.rfind(b'\n') + 1
        size = _CHUNK
        while not end and len(block) == size:  # a line longer than a chunk
            size *= 2
            block = os.pread(fd, size, offset)
            end = block.rfind(b'\n') + 1
        if not end:
            return
        offset += end
        yield Chunk(lines=block[: end - 1].split(b'\n'), end=offset)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power loss."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
