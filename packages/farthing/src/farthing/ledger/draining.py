"""Moving spools into the ledger: exactly once, by one drainer at a time."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from farthing.errors import FarthingError, LedgerError, LedgerVersion
from farthing.ledger import spool
from farthing.ledger.engine import Engine, Writer
from farthing.ledger.locks import locked, try_lock

_LOCK = '.lock'


def pending(folder: Path, offsets: Mapping[str, int]) -> bool:
    """Whether a spool holds more than the ledger has taken."""
    for name in spool.names(folder):
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            continue
        if size > offsets.get(name, 0):
            return True
    return False


def drain(engine: Engine, folder: Path, *, wait_s: float, limit_s: float = math.inf) -> bool:
    """Store every whole line of every spool, and remove the spools of the dead.

    Args:
        engine: The ledger's database.
        folder: Where its spools are.
        wait_s: How long to wait for another drainer, and for another program's lock.
        limit_s: Stop after the batch that takes longer, so that others get their turn.

    Returns:
        Whether every spool was read to its end.

    Raises:
        LedgerError: The ledger or its folder cannot be used now; what waits there stays.
    """
    with writing(engine, folder, wait_s=wait_s) as writer:
        return _drain_all(writer, folder, time.monotonic() + limit_s)


@contextmanager
def writing(engine: Engine, folder: Path, *, wait_s: float) -> Iterator[Writer]:
    """The writing end of a ledger's database, which one process at a time has.

    Args:
        engine: The ledger's database.
        folder: Where its spools are, and the lock.
        wait_s: How long to wait for another drainer, and for another program's lock.

    Raises:
        LedgerError: The ledger or its folder cannot be used now.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            locked(folder / _LOCK, wait_s=wait_s),
            engine.writing(wait_s=wait_s) as writer,
        ):
            yield writer
    except FarthingError:
        raise
    except OSError as error:
        raise LedgerError(
            f'the spools in {folder} cannot be drained ({error.strerror}): '
            'allow reading and writing there'
        ) from error


def _drain_all(writer: Writer, folder: Path, deadline: float) -> bool:
    offsets = writer.offsets()
    names = spool.names(folder)
    gone = [name for name in offsets if name not in names]
    passed_over: OSError | None = None
    for name in names:
        try:
            fd = os.open(folder / name, os.O_RDONLY)
        except OSError as error:
            passed_over = error  # another user's: the others are drained all the same
            continue
        try:
            if _drain_one(writer, fd, name, offsets.get(name, 0), deadline):
                (folder / name).unlink()
                gone.append(name)
        except LedgerVersion as error:
            passed_over = error  # a newer farthing's
        finally:
            os.close(fd)
    if gone:
        writer.forget(gone)
    if passed_over is not None:
        raise passed_over
    return time.monotonic() < deadline


def _drain_one(writer: Writer, fd: int, name: str, offset: int, deadline: float) -> bool:
    """Store the file's lines from `offset` on; whether the file is spent."""
    for chunk in spool.chunks(fd, offset):
        writer.take(chunk, spool=name)
        offset = chunk.end
        if time.monotonic() >= deadline:
            return False
    if not try_lock(fd):
        return False
    # Its owner is dead or has let go of it; it may have written since we looked.
    for chunk in spool.chunks(fd, offset):
        writer.take(chunk, spool=name)
    return True
