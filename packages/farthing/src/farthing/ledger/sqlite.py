"""The ledger in one SQLite file: opening, migrating and writing it.

SQLite 3.40 to 3.51.2 can damage a WAL file when a writer and a checkpointer meet
(https://sqlite.org/wal.html#walresetbug). Ours never meet: whoever writes holds the drain lock,
the connection lives no longer than the lock, and readers neither write nor checkpoint.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from farthing.caching.causes import Explained
from farthing.caching.state import Learned
from farthing.entry import Decision
from farthing.errors import LedgerBusy, LedgerCorrupt, LedgerError, LedgerVersion
from farthing.ledger import booked, explaining, learned, reporting, routed, verifying
from farthing.ledger.batch import MALFORMED, Batch
from farthing.ledger.batch_change import Change
from farthing.ledger.batch_view import View
from farthing.ledger.schema import APPLICATION_ID, MIGRATIONS
from farthing.ledger.spool import Chunk
from farthing.ledger.values import Booked, Query, Report, Verdict
from farthing.routing.pair import Pair

if TYPE_CHECKING:
    from farthing.prices import PriceBook

_CACHE = 'PRAGMA cache_size = -16384'  # 16 MB
_OLDEST = (3, 37, 0)  # STRICT tables


class SQLite:
    """A ledger's SQLite file."""

    def __init__(
        self,
        path: Path,
        *,
        read_wait_s: float = 30.0,
        migrations: tuple[tuple[str, ...], ...] = MIGRATIONS,
    ) -> None:
        self.path = path
        self._read_wait_s = read_wait_s
        self._migrations = migrations

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def ready(self) -> bool:
        """Whether it can be read as it is; else writing to it makes or migrates it first."""
        if not self.exists():
            return False
        with told(self.path), closing(self._reader()) as db:
            return self._check(db) == len(self._migrations)

    @contextmanager
    def writing(self, *, wait_s: float) -> Iterator['Writer']:
        """Open for writing; makes or migrates the schema. The caller holds the drain lock."""
        with told(self.path), closing(self._connect('mode=rwc', wait_s)) as db:
            self._check(db)
            db.execute(_CACHE)
            db.execute('PRAGMA journal_mode = WAL')
            # Large batches: the sync of each commit costs nothing, and a spool may be removed.
            db.execute('PRAGMA synchronous = FULL')
            # One checkpoint at the end; in between only where a WAL of 40 MB would grow on.
            db.execute('PRAGMA wal_autocheckpoint = 10000')
            self._migrate(db)
            yield Writer(db)
            db.execute('PRAGMA wal_checkpoint(PASSIVE)')

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open one consistent view of the ledger; it cannot write."""
        if not self.exists():
            raise LedgerError(f'there is no ledger at {os.fspath(self.path)!r}: check the address')
        with told(self.path), closing(self._reader()) as db:
            if self._check(db) < len(self._migrations):
                raise LedgerError(
                    f'the ledger at {os.fspath(self.path)!r} is older than this farthing: open it '
                    'once where it may be written'
                )
            db.execute(_CACHE)
            db.execute('BEGIN')
            yield db

    def offsets(self) -> dict[str, int]:
        """How far each spool file has been taken, read without the drain lock."""
        with self.reading() as db:
            return _offsets(db)

    def _connect(self, options: str, wait_s: float) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise LedgerError(
                f'Python comes with SQLite {sqlite3.sqlite_version}: a ledger needs 3.37 or newer'
            )
        return sqlite3.connect(
            f'{self.path.as_uri()}?{options}',
            uri=True,
            timeout=wait_s,
            isolation_level=None,
            check_same_thread=False,
        )

    def _reader(self) -> sqlite3.Connection:
        db = self._connect(
            'mode=rw' if os.access(self.path, os.W_OK) else 'mode=ro', self._read_wait_s
        )
        try:
            db.execute('PRAGMA query_only = 1')
            db.execute('SELECT count(*) FROM sqlite_master')
        except sqlite3.Error as error:
            db.close()
            refused = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if error.sqlite_errorcode & 0xFF not in refused or Path(f'{self.path}-wal').exists():
                raise
            # A folder where the WAL's index cannot be made; without a WAL the file is all there is.
            db = self._connect('mode=ro&immutable=1', self._read_wait_s)
        return db

    def _check(self, db: sqlite3.Connection) -> int:
        """The schema's version.

        Raises:
            LedgerCorrupt: The file is a database, and not a ledger.
            LedgerVersion: It is newer than we are.
        """
        (application,) = db.execute('PRAGMA application_id').fetchone()
        (version,) = db.execute('PRAGMA user_version').fetchone()
        (tables,) = db.execute('SELECT count(*) FROM sqlite_master').fetchone()
        if application != APPLICATION_ID and (tables or application or version):
            raise LedgerCorrupt(
                f'{os.fspath(self.path)!r} is a SQLite file of another program (application id '
                f'{application:#x}, expected {APPLICATION_ID:#x}): give the address of a ledger'
            )
        if version > len(self._migrations):
            raise LedgerVersion(
                f'the ledger at {os.fspath(self.path)!r} has schema version {version}, this '
                f'farthing knows up to {len(self._migrations)}: update farthing'
            )
        return int(version)

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Take every missing step in one transaction: a ledger is never half migrated."""
        if self._check(db) == len(self._migrations):
            return
        with transaction(db):
            version = self._check(db)
            for step in self._migrations[version:]:
                for statement in step:
                    db.execute(statement)
            db.execute(f'PRAGMA application_id = {APPLICATION_ID}')
            db.execute(f'PRAGMA user_version = {len(self._migrations)}')

    def report(self, query: Query, *, unsaved: int) -> Report:
        """Sums by group; `unsaved` calls of this process are lost so far."""
        with self.reading() as db:
            return reporting.report(db, query, unsaved=unsaved)

    def entries(self, query: Query, *, limit: int | None) -> Iterator[Booked]:
        """Entries that match, newest first."""
        with self.reading() as db:
            yield from booked.entries(db, query, limit=limit)

    @contextmanager
    def batches(self) -> Iterator[View]:
        """One consistent view of the batch jobs."""
        with self.reading() as db:
            yield View(db)

    def learned(self) -> Learned:
        """What the caching planner has learned."""
        with self.reading() as db:
            return learned.load(db)

    def unexplained(self, book: 'PriceBook') -> Iterator[Decision]:
        """A verdict on the prompt cache of each call that has none, oldest first."""
        with self.reading() as db:
            yield from explaining.unexplained(db, book)

    def explained(self, query: Query) -> Iterator[Explained]:
        """The verdicts on the entries that match."""
        with self.reading() as db:
            yield from explaining.explained(db, query)

    def pairs(self) -> Iterator[Pair]:
        """Each shadow call of routing that was answered, with the call that it shadows."""
        with self.reading() as db:
            yield from routed.pairs(db)

    def verify(self) -> Verdict:
        """Check everything that can be checked."""
        with self.reading() as db:
            return verifying.verify(db)


class Writer:
    """The one connection that writes, while the drain lock is held."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._batch = Batch(db)

    def offsets(self) -> dict[str, int]:
        """How far each spool file has been taken."""
        return _offsets(self._db)

    def take(self, chunk: Chunk, *, spool: str) -> None:
        """Store a chunk, its rollup and its end in one transaction; known ids add nothing."""
        try:
            with transaction(self._db):
                self._batch.store(chunk, spool=spool)
                self._set_offset(spool, chunk.end)
        except MALFORMED:
            with transaction(self._db):
                self._batch.store_one_by_one(chunk, spool=spool)
                self._set_offset(spool, chunk.end)

    @contextmanager
    def batches(self) -> Iterator[Change]:
        """Change batch jobs in one transaction, with the entries that belong to it."""
        lines: list[bytes] = []
        with transaction(self._db):
            yield Change(self._db, lines.extend)
            if lines:  # all at once: what a chunk costs beside its lines is worth many of them
                self._batch.store(Chunk(lines=lines, end=0), spool='batches')

    def _set_offset(self, spool: str, end: int) -> None:
        self._db.execute(
            'INSERT INTO spool VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET offset = ?2',
            (spool, end),
        )

    def forget(self, spools: list[str]) -> None:
        """Drop the offsets of spool files that are gone."""
        with transaction(self._db):
            self._db.executemany('DELETE FROM spool WHERE name = ?', [(name,) for name in spools])


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    db.execute('BEGIN IMMEDIATE')
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute('ROLLBACK')
        raise
    db.execute('COMMIT')


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, which say what to do."""
    name = os.fspath(path)
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, 'sqlite_errorcode', 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerBusy(
                f'the ledger at {name!r} is locked by another program ({error}): '
                'end its transaction and try again'
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise LedgerCorrupt(
                f'{name!r} is damaged or not a ledger ({error}): move it away or restore a copy; '
                'entries wait in its spool until then'
            ) from error
        if code == sqlite3.SQLITE_READONLY:
            raise LedgerError(
                f'the ledger at {name!r} may not be written ({error}): allow writing to the file '
                'and its folder; entries wait in its spool until then'
            ) from error
        if code == sqlite3.SQLITE_FULL:
            raise LedgerError(
                f'no room for the ledger at {name!r} ({error}): make room; '
                'entries wait in its spool until then'
            ) from error
        raise LedgerError(f'the ledger at {name!r} cannot be used: {error}') from error


def _offsets(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute('SELECT name, offset FROM spool'))
