"""What context control keeps between calls, in a file of its own beside the ledger.

Unlike the ledger it holds content: summaries of conversations. So its owner alone can read it, it
forgets sessions that have rested for long, and it can be deleted without any loss but money: a
session without its state is sent whole. Sessions are found by keyed fingerprints of their names.
"""

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from farthing.errors import LedgerBusy, LedgerCorrupt, LedgerError
from farthing.ledger.sqlite import transaction

RETENTION = timedelta(days=30)
"""How long a session is remembered after its last call, unless it is said otherwise."""
SUFFIX = '.context.db'
_APPLICATION_ID = 0x46525443  # `FRTC`
_VERSION = 1
_WAIT_S = 2.0
_OWNER_ONLY = 0o600
_TABLES = (
    """CREATE TABLE session (
        key BLOB PRIMARY KEY, name BLOB NOT NULL, at INTEGER NOT NULL,
        version INTEGER NOT NULL, state BLOB NOT NULL
    ) STRICT""",
    'CREATE INDEX session_name ON session (name)',
    'CREATE INDEX session_at ON session (at)',
    """CREATE TABLE summary (
        key BLOB NOT NULL REFERENCES session ON DELETE CASCADE, digest TEXT NOT NULL,
        text TEXT NOT NULL, PRIMARY KEY (key, digest)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE result (
        policy TEXT NOT NULL, model TEXT NOT NULL, day INTEGER NOT NULL,
        calls INTEGER NOT NULL, saved INTEGER NOT NULL, PRIMARY KEY (policy, model, day)
    ) STRICT, WITHOUT ROWID""",
    'CREATE TABLE ratio (model TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What a session is found by.

    Attributes:
        key: Of one conversation of the session.
        session: Of the session, however many conversations it has.
    """

    key: bytes
    session: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is known of a conversation.

    Attributes:
        version: Counts the writes; 0 where nothing is stored.
        state: As it was saved.
        texts: Its summaries by their digests.
    """

    version: int = 0
    state: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a policy was measured to save at one model.

    Attributes:
        calls: So many calls.
        saved: What they saved, their own costs taken off, in 1e-12 USD.
    """

    calls: int = 0
    saved: int = 0


def hashed(key: bytes, *words: str) -> bytes:
    """A keyed fingerprint of names; nobody without the key can tell of whom it is."""
    text = '\0'.join(words).encode('utf-8', 'surrogatepass')
    return blake2b(text, digest_size=16, key=key).digest()


def session_name(key: bytes, session: str) -> bytes:
    """What all conversations of a session are found by."""
    return hashed(key, 'session', session)


class Sessions:
    """The file. Every method opens it anew: threads, processes and forks share nothing else.

    Every method raises `LedgerError`: the file is damaged, of another program, of a newer
    farthing, or held by another process for longer than two seconds.
    """

    def __init__(self, path: Path, *, retention: timedelta = RETENTION) -> None:
        self.path = path
        self.retention = retention

    def load(self, name: Name) -> Stored:
        """What is known of a conversation."""
        with self._open() as db:
            row = db.execute(
                'SELECT version, state FROM session WHERE key = ?', (name.key,)
            ).fetchone()
            if row is None:
                return Stored()
            texts = db.execute('SELECT digest, text FROM summary WHERE key = ?', (name.key,))
            return Stored(version=row[0], state=row[1], texts=dict(texts.fetchall()))

    def save(
        self,
        name: Name,
        known: Stored,
        state: bytes,
        now: datetime,
        *,
        keep: Collection[str] = (),
        new: Mapping[str, str] | None = None,
    ) -> bool:
        """Set a conversation's state if nobody has set it since it was loaded.

        Args:
            name: Whose.
            known: What was loaded.
            state: The new state.
            now: When.
            keep: Digests of the summaries that the state still tells of; others are deleted.
            new: Texts of new ones by their digests. Texts and state are written together.

        Returns:
            Whether it was set; else another one was quicker, and what it wrote stays.
        """
        with self._open() as db, transaction(db):
            at = int(now.timestamp())
            if known.version:
                done = db.execute(
                    'UPDATE session SET state = ?, at = ?, version = version + 1 '
                    'WHERE key = ? AND version = ?',
                    (state, at, name.key, known.version),
                )
            else:
                done = db.execute(
                    'INSERT INTO session VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING',
                    (name.key, name.session, at, state),
                )
            if not done.rowcount:
                return False
            rows = [(name.key, digest, text) for digest, text in (new or {}).items()]
            db.executemany('INSERT OR REPLACE INTO summary VALUES (?, ?, ?)', rows)
            gone = {*known.texts} - {*keep} - {*(new or {})}
            db.executemany(
                'DELETE FROM summary WHERE key = ? AND digest = ?',
                [(name.key, digest) for digest in gone],
            )
            if not known.version:  # now and then: whenever a conversation begins
                self._forget(db, now - self.retention)
            return True

    def add(
        self,
        policy: str,
        results: Mapping[str, Result],
        now: datetime,
        *,
        ratios: Mapping[str, str] | None = None,
    ) -> None:
        """Count what a policy saved, and keep what was learned about tokenizers, by model."""
        day = now.toordinal()
        with self._open() as db, transaction(db):
            db.executemany(
                'INSERT INTO result VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET '
                'calls = calls + excluded.calls, saved = saved + excluded.saved',
                [(policy, model, day, one.calls, one.saved) for model, one in results.items()],
            )
            rows = (ratios or {}).items()
            db.executemany('INSERT OR REPLACE INTO ratio VALUES (?, ?)', rows)

    def result(self, policy: str, model: str, now: datetime) -> Result:
        """What a policy has saved at a model as far back as sessions are remembered."""
        with self._open() as db:
            calls, saved = db.execute(
                'SELECT coalesce(sum(calls), 0), coalesce(sum(saved), 0) FROM result '
                'WHERE policy = ? AND model = ? AND day > ?',
                (policy, model, (now - self.retention).toordinal()),
            ).fetchone()
        return Result(calls=calls, saved=saved)

    def ratio(self, model: str) -> str | None:
        """What was learned about a model's tokenizer."""
        with self._open() as db:
            row = db.execute('SELECT body FROM ratio WHERE model = ?', (model,)).fetchone()
        return None if row is None else str(row[0])

    def purge(self, *, session: bytes | None = None, older_than: datetime | None = None) -> int:
        """Delete the conversations of a session, or those that rest since a time.

        Returns:
            How many conversations were deleted.
        """
        if not self.path.exists():
            return 0
        with self._open() as db, transaction(db):
            if session is not None:
                done = db.execute('DELETE FROM session WHERE name = ?', (session,)).rowcount
            else:
                done = 0 if older_than is None else self._forget(db, older_than)
        return done

    def purge_all(self) -> int:
        """Delete the file, whatever state it is in; how many files that were."""
        files = [self.path, *(Path(f'{self.path}{end}') for end in ('-journal', '-wal', '-shm'))]
        there = [file for file in files if file.exists()]
        for file in there:
            file.unlink()
        return len(there)

    def _forget(self, db: sqlite3.Connection, before: datetime) -> int:
        db.execute('DELETE FROM result WHERE day < ?', (before.toordinal(),))
        return db.execute('DELETE FROM session WHERE at < ?', (int(before.timestamp()),)).rowcount

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with _told(self.path):
            self._make()
            with closing(sqlite3.connect(self.path, _WAIT_S, isolation_level=None)) as db:
                db.execute('PRAGMA foreign_keys = 1')
                db.execute('PRAGMA secure_delete = 1')  # what is purged is gone from the file
                db.execute('PRAGMA synchronous = NORMAL')
                self._check(db)
                yield db

    def _make(self) -> None:
        """An empty file that its owner alone can read; SQLite's journal takes its mode over."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))

    def _check(self, db: sqlite3.Connection) -> None:
        if self._version(db) == _VERSION:
            return
        with transaction(db):
            if self._version(db) != _VERSION:
                for table in _TABLES:
                    db.execute(table)
                db.execute(f'PRAGMA application_id = {_APPLICATION_ID}')
                db.execute(f'PRAGMA user_version = {_VERSION}')

    def _version(self, db: sqlite3.Connection) -> int:
        # In one statement: between two of them another process may make the tables.
        application, version, tables = db.execute(
            'SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) '
            'FROM pragma_application_id, pragma_user_version'
        ).fetchone()
        if application != _APPLICATION_ID and (application or version or tables):
            raise LedgerCorrupt(f'{os.fspath(self.path)!r} is a SQLite file of another program')
        if version > _VERSION:
            raise LedgerError(
                f'{os.fspath(self.path)!r} has version {version}, this farthing knows up to '
                f'{_VERSION}: update farthing, or delete it with `farthing context purge --all`'
            )
        return int(version)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours, which say what to do."""
    name = os.fspath(path)
    try:
        yield
    except LedgerError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, 'sqlite_errorcode', 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerBusy(f'{name!r} is held by another process ({error})') from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise LedgerCorrupt(
                f'{name!r} is damaged ({error}): delete it with `farthing context purge --all`; '
                'sessions then begin anew'
            ) from error
        raise LedgerError(f'{name!r} cannot be used: {error}') from error
    except OSError as error:
        raise LedgerError(f'{name!r} cannot be used: {error}') from error
