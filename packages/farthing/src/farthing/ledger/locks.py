"""A whole-file advisory lock on a descriptor: free as soon as its last holder closes it or dies.

We take the system's lock ourselves: importing `filelock` costs 50 ms, more than all of farthing.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farthing.errors import LedgerBusy

_POLL_S = 0.005

if sys.platform == 'win32':
    import msvcrt

    _FAR = 1 << 40  # locks are mandatory on Windows: lock a byte that nobody reads

    def try_lock(fd: int) -> bool:
        """Take the lock if it is free."""
        at = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(fd, at, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Take the lock if it is free."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: set[int] = set()


def let_go() -> None:
    """Close a fork's copies of the parent's locks; called in the child."""
    for fd in _held:
        os.close(fd)
    _held.clear()


@contextmanager
def locked(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock file at `path`, made if it is not there and left in place.

    Raises:
        LedgerBusy: Another process or thread still holds it after `wait_s` seconds.
        OSError: The file cannot be made.
    """
    deadline = time.monotonic() + wait_s
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(fd)
    try:
        while not try_lock(fd):
            if time.monotonic() >= deadline:
                raise LedgerBusy(
                    f'another process still drains the ledger of {path} after {wait_s:g} s: '
                    'try again'
                )
            time.sleep(_POLL_S)
        yield
    finally:
        if fd in _held:
            _held.discard(fd)
            os.close(fd)
