"""Moving what is posted into the database: a spool in front, and a thread behind it."""

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from farthing.ending import closes_at_exit
from farthing.errors import LedgerBusy, LedgerError
from farthing.ledger import draining, locks
from farthing.ledger.engine import Engine, Writer
from farthing.ledger.spool import Spool, warn

INTERVAL_S = 2.0
WAIT_S = 30.0
_BACKGROUND_S = 1.0
_PAUSE_S = 0.01  # between two drains, for others to get their turn
_EXIT_WAIT_S = 2.0
_ROTATE_BYTES = 1 << 20


class Mover:
    """Takes lines and moves them into the database some seconds later, in a thread of its own.

    Args:
        engine: The database.
        folder: Where the spools are.
        fsync: Whether each line waits for the disk.
        interval_s: Seconds from a line to its move.
        wait_s: Seconds to wait for others who use the database.

    Attributes:
        spool: The file of this process in front of the database.
        url: The ledger's address, for people.
    """

    def __init__(
        self, engine: Engine, folder: Path, *, fsync: bool, interval_s: float, wait_s: float
    ) -> None:
        self.folder = folder
        self.spool = Spool(folder, fsync=fsync)
        self.url = ''
        self._engine = engine
        self._interval_s = interval_s
        self._wait_s = wait_s
        self._begin()

    def _begin(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._draining = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._drain_warned = False
        self._rests = False

    def append(self, line: bytes) -> None:
        """Take one line. Never raises, never waits for the database."""
        self.spool.append(line)
        if not self._wake.is_set():
            self.wake()

    def wake(self) -> None:
        """Have what waits moved soon."""
        self._wake.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    _posting.add(self)
                    thread = threading.Thread(
                        target=self._write,
                        args=(self._stop, self._wake),
                        daemon=True,
                        name='farthing-writer',
                    )
                    self._thread = thread
                    with suppress(RuntimeError):  # the interpreter ends: drained at exit
                        thread.start()

    def _write(self, stop: threading.Event, wake: threading.Event) -> None:
        """Drain some seconds after a post, until stopped."""
        done = True
        while True:
            wake.wait()
            if stop.wait(self._interval_s if done else _PAUSE_S):
                return
            wake.clear()
            done = True
            try:
                done = self.drain(wait_s=_BACKGROUND_S, limit_s=_BACKGROUND_S)
            except LedgerBusy:
                wake.set()
            except Exception as error:  # noqa: BLE001 - told, and tried again: posts go on
                wake.set()
                if not self._drain_warned:
                    self._drain_warned = True
                    warn(f'{error}; entries stay in {self.folder} until then')
            if self.spool.unsaved or not done:
                wake.set()

    def drain(self, *, wait_s: float, limit_s: float = math.inf) -> bool:
        """Move every spool into the database; whether all was moved.

        Raises:
            LedgerError: See `Ledger.flush`.
        """
        self.spool.rescue()
        self.spool.retry(now=True)
        with self._alone(wait_s):
            done = draining.drain(self._engine, self.folder, wait_s=wait_s, limit_s=limit_s)
        if self.spool.size() > _ROTATE_BYTES:
            self.spool.rotate()
        return done

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        """Of this process's threads, one at a time writes to the database."""
        drains = self._draining
        if not drains.acquire(timeout=wait_s):
            raise LedgerBusy(f'another thread still drains into {self.url} after {wait_s:g} s')
        try:
            yield
        finally:
            drains.release()

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Write to the database, alone.

        Raises:
            LedgerError: See `Ledger.flush`.
        """
        with (
            self._alone(self._wait_s),
            draining.writing(self._engine, self.folder, wait_s=self._wait_s) as writer,
        ):
            yield writer

    def close(self) -> None:
        """Move what waits into the database, for two seconds at most, and let go of the files.

        Never raises: what could not be moved stays in the spool for whoever opens the ledger
        next, and what could not even be spooled is printed. A later post opens it again.
        """
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_EXIT_WAIT_S)
        posted = self._thread is not None or self.spool.unsaved
        self.spool.retry(now=True)
        self.spool.rotate()
        try:
            if posted:
                self.drain(wait_s=_EXIT_WAIT_S, limit_s=_EXIT_WAIT_S)
        except LedgerError as error:
            _tell(f'{error}; posted entries wait in {self.folder}')
        if self.spool.unsaved:
            why = ', '.join(self.spool.lost) or 'it could not be written'
            _tell(f'{self.spool.unsaved} calls could not be recorded in {self.folder}: {why}')
        _posting.discard(self)
        self._begin()

    def before_fork(self) -> None:
        """Come to rest; called by the interpreter, as the next two are."""
        # SQLite must not be open across a fork, nor half a line be written.
        self._rests = self._draining.acquire(timeout=WAIT_S)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._rests:
            self._draining.release()

    def after_fork_in_child(self) -> None:
        """Begin anew, with a spool file of its own."""
        self.spool.forked()
        self._begin()


_posting: set[Mover] = set()
"""Those with a writer thread; they live until they are closed or the process ends."""


def _tell(text: str) -> None:
    print(f'farthing: {text}', file=sys.stderr)  # noqa: T201 - the last chance to tell


def _close_all() -> None:
    for one in list(_posting):
        one.close()


def _before_fork() -> None:
    for one in list(_posting):
        one.before_fork()


def _after_fork_in_parent() -> None:
    for one in list(_posting):
        one.after_fork_in_parent()


def _after_fork_in_child() -> None:
    locks.let_go()
    for one in list(_posting):
        one.after_fork_in_child()
    _posting.clear()


closes_at_exit(_close_all)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
