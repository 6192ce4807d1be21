"""The journal of batch requests and answers: a SQLite file beside the ledger, its owner's alone.

It is the one place where texts of prompts and answers are kept, so that a job goes on after a
crash and a finished one can be run again for nothing. Rows carry a checksum: a damaged one fails
its own request and no other. Not in WAL mode: writers of several processes meet here.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

from farthing.errors import JournalError

RETENTION_S = 30 * 86_400.0
"""How long texts of a job that is over are kept."""
NO_NAMES: Mapping[str, str] = MappingProxyType({})
_APPLICATION_ID = 0x4652544A  # `FRTJ`
_VERSION = 1
_AT_ONCE = 500
_WAIT_S = 30.0
_TABLES = (
    """CREATE TABLE IF NOT EXISTS request (
        job TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL,
        name TEXT, PRIMARY KEY (job, key)
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS answer (
        job TEXT NOT NULL, key TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
        sum INTEGER NOT NULL, PRIMARY KEY (job, key)
    ) STRICT""",
    f'PRAGMA application_id = {_APPLICATION_ID}',
    f'PRAGMA user_version = {_VERSION}',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered with.

    Attributes:
        status: HTTP status.
        body: The provider's JSON.
    """

    status: int
    body: bytes


class Journal:
    """The journal of one ledger; used by one thread at a time.

    Args:
        path: Its file; made with the first request.

    Raises:
        JournalError: The file is damaged, or none of ours; so from every method.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def keep_requests(
        self, job: str, requests: Iterable[tuple[str, bytes]], names: Mapping[str, str] = NO_NAMES
    ) -> None:
        """Keep bodies by key, and what the user calls them; a damaged one is made good."""
        self._keep(
            'INSERT INTO request VALUES (?, ?, ?, ?, ?) ON CONFLICT (job, key) DO UPDATE '
            'SET body = excluded.body, sum = excluded.sum WHERE body IS NOT excluded.body',
            ((job, key, body, crc32(body), names.get(key)) for key, body in requests),
        )

    def name(self, job: str, key: str) -> str | None:
        """What the user calls a request."""
        with self._told() as db:
            row = db.execute(
                'SELECT name FROM request WHERE job = ? AND key = ?', (job, key)
            ).fetchone()
        return None if row is None else row[0]

    def keep_answers(self, job: str, answers: Iterable[tuple[str, Answer]]) -> None:
        """Keep answers by key; the first one of a key stays."""
        self._keep(
            'INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?, ?)',
            ((job, key, one.status, one.body, crc32(one.body)) for key, one in answers),
        )

    def requests(self, job: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """The bodies of keys, in their order; `None` where one is missing or damaged."""
        with self._told() as db:
            for at in range(0, len(keys), _AT_ONCE):
                some = keys[at : at + _AT_ONCE]
                marks = ', '.join('?' * len(some))
                found = {
                    key: body if crc32(body) == total else None
                    for key, body, total in db.execute(
                        f'SELECT key, body, sum FROM request WHERE job = ? AND key IN ({marks})',  # noqa: S608
                        (job, *some),
                    )
                }
                for key in some:
                    yield key, found.get(key)

    def answers(self, job: str, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers of keys, without those that `answer` does not have or finds damaged."""
        found: dict[str, Answer] = {}
        with self._told() as db:
            for at in range(0, len(keys), _AT_ONCE):
                some = keys[at : at + _AT_ONCE]
                marks = ', '.join('?' * len(some))
                found |= {
                    key: Answer(status=status, body=body)
                    for key, status, body, total in db.execute(
                        'SELECT key, status, body, sum FROM answer '  # noqa: S608
                        f'WHERE job = ? AND key IN ({marks})',
                        (job, *some),
                    )
                    if crc32(body) == total
                }
        return found

    def answer(self, job: str, key: str) -> Answer | None:
        """The answer of a key; `None` where there is none.

        Raises:
            JournalError: It is damaged.
        """
        with self._told() as db:
            row = db.execute(
                'SELECT status, body, sum FROM answer WHERE job = ? AND key = ?', (job, key)
            ).fetchone()
        if row is None:
            return None
        status, body, total = row
        if crc32(body) != total:
            raise JournalError(
                f'an answer in {self.path} is damaged (job {job}): its request fails and the '
                'others go on; restore the file, or start a new job to pay for it again'
            )
        return Answer(status=status, body=body)

    def purge(self, jobs: Iterable[str]) -> int:
        """Delete all texts of these jobs, also from the file's free pages; how many rows."""
        deleted = 0
        with self._told() as db:
            for job in jobs:
                for table in ('request', 'answer'):
                    deleted += db.execute(f'DELETE FROM {table} WHERE job = ?', (job,)).rowcount  # noqa: S608
            if deleted:
                db.execute('VACUUM')
        return deleted

    def _keep(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._told() as db:
            db.execute('BEGIN IMMEDIATE')
            try:
                db.executemany(statement, rows)
            except BaseException:
                db.execute('ROLLBACK')
                raise
            db.execute('COMMIT')

    @contextmanager
    def _told(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                self._db = self._opened()
            yield self._db
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f'the journal {os.fspath(self.path)!r} cannot be used ({error}): restore the '
                'file, or move it away and start a new job'
            ) from error

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute('BEGIN IMMEDIATE')  # another process may be making the tables
            (application,) = db.execute('PRAGMA application_id').fetchone()
            (version,) = db.execute('PRAGMA user_version').fetchone()
            (tables,) = db.execute('SELECT count(*) FROM sqlite_master').fetchone()
            if tables and application != _APPLICATION_ID:
                raise sqlite3.DatabaseError('it is a file of another program')  # noqa: TRY301
            if version > _VERSION:
                raise sqlite3.DatabaseError(  # noqa: TRY301
                    f'it has version {version}, and this farthing knows {_VERSION}: update it'
                )
            for statement in _TABLES:
                db.execute(statement)
            db.execute('COMMIT')
            db.execute('PRAGMA journal_mode = TRUNCATE')
            db.execute('PRAGMA synchronous = FULL')
            db.execute('PRAGMA secure_delete = ON')
        except BaseException:
            db.close()
            raise
        return db


def journal_of(ledger_folder: Path) -> Journal:
    """The journal beside the ledger with that spool folder."""
    return Journal(ledger_folder.with_suffix('.journal'))
