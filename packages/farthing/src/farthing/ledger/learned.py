"""What the caching planner has learned, in tables of the ledger's database.

A process plans from its own memory. What a request teaches goes through the spool like everything
else, so it costs the caller one write and adds up over processes exactly once; now and then a
process takes over what all of them have learned. Prefixes and keys are fingerprints.
"""

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Protocol

import orjson

from farthing.caching.gaps import EDGES, Gaps
from farthing.caching.state import InMemory, Learned, ModelFacts, Prefix

KIND = 'k1'
REMEMBERED_S = EDGES[-1] + 600
"""Prefixes older than the longest interval are of no more use: no entry of theirs can live."""
_REFRESH_S = 30.0

_INTERVALS = tuple(f'{what}_{n}' for what in ('came', 'passed') for n in range(len(EDGES)))
TABLES = (
    """CREATE TABLE cache_prefix (
        digest TEXT PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    'CREATE INDEX cache_prefix_at ON cache_prefix (at)',
    f"""CREATE TABLE cache_gaps (
        key TEXT PRIMARY KEY, {', '.join(f'{name} INTEGER NOT NULL' for name in _INTERVALS)}
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE cache_model (
        model TEXT PRIMARY KEY, chars INTEGER NOT NULL, tokens INTEGER NOT NULL,
        uncached INTEGER NOT NULL, cached INTEGER
    ) STRICT, WITHOUT ROWID""",
)
_SET_PREFIX = (
    'INSERT INTO cache_prefix VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO UPDATE '
    'SET at = ?2, body = ?3 WHERE ?2 >= at'
)
_FORGET = 'DELETE FROM cache_prefix WHERE at < (SELECT max(at) FROM cache_prefix) - ?'
_ADD_GAPS = (
    f'INSERT INTO cache_gaps VALUES ({", ".join("?" * (1 + len(_INTERVALS)))}) '  # noqa: S608
    'ON CONFLICT (key) DO UPDATE SET '
    + ', '.join(f'{name} = {name} + excluded.{name}' for name in _INTERVALS)
)
_ADD_MODEL = (
    'INSERT INTO cache_model VALUES (?, ?, ?, ?, ?) ON CONFLICT (model) DO UPDATE SET '
    'chars = chars + excluded.chars, tokens = tokens + excluded.tokens, '
    'uncached = max(uncached, excluded.uncached), '
    'cached = min(coalesce(cached, excluded.cached), coalesce(excluded.cached, cached))'
)


def learned_line(learned: Learned) -> bytes | None:
    """What was learned as a line of the spool; `None` where nothing of it is kept.

    Prefixes that are known only so that a parting of ways is found are not: there are hundreds of
    them in a long request, and the process that saw one sees the next.
    """
    prefixes = [
        (digest.hex(), one.at, _body(one))
        for digest, one in learned.prefixes.items()
        if one.kind != 'inner'
    ]
    gaps = [(key, *one.came, *one.passed) for key, one in learned.gaps.items()]
    facts = [
        (model, one.chars, one.tokens, one.uncached, one.cached)
        for model, one in learned.facts.items()
    ]
    if not (prefixes or gaps or facts):
        return None
    record = (KIND, uuid.uuid4().hex, prefixes, gaps, facts)
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def store(db: sqlite3.Connection, records: Iterable[list[Any]]) -> None:
    """Add spooled records to the tables, inside the drain's transaction."""
    for _, _, prefixes, gaps, facts in records:
        texts = ((digest, at, orjson.dumps(body).decode()) for digest, at, body in prefixes)
        db.executemany(_SET_PREFIX, texts)
        db.executemany(_ADD_GAPS, gaps)
        db.executemany(_ADD_MODEL, facts)
    db.execute(_FORGET, (REMEMBERED_S,))


def load(db: sqlite3.Connection) -> Learned:
    """All that the tables hold."""
    size = len(EDGES)
    return Learned(
        prefixes={
            bytes.fromhex(digest): _prefix(at, orjson.loads(body))
            for digest, at, body in db.execute('SELECT digest, at, body FROM cache_prefix')
        },
        gaps={
            key: Gaps(came=tuple(counts[:size]), passed=tuple(counts[size:]))
            for key, *counts in db.execute('SELECT * FROM cache_gaps')
        },
        facts={
            model: ModelFacts(chars=chars, tokens=tokens, uncached=uncached, cached=cached)
            for model, chars, tokens, uncached, cached in db.execute('SELECT * FROM cache_model')
        },
    )


class Books(Protocol):
    """What a shared memory needs of a ledger."""

    def learn(self, learned: Learned) -> None:
        """Take what a request has taught."""

    def learned(self) -> Learned:
        """What all processes have learned so far, this one's included.

        Raises:
            LedgerError: It cannot be read now.
        """


class SharedMemory:
    """A planner's memory that several processes share through a ledger.

    `refresh` may be called from any thread; the other methods by one thread at a time.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._memory = InMemory()
        self._news: list[Learned] = []
        self._lock = threading.Lock()
        self._refreshed_s = 0.0

    def recall(self, digests: Iterable[bytes]) -> Mapping[bytes, Prefix]:
        """Those of the prefixes that are known."""
        return self._memory.recall(digests)

    def waiting(self, at: float, limit: int) -> Mapping[bytes, Prefix]:
        """Up to `limit` prefixes that are due."""
        return self._memory.waiting(at, limit)

    def gaps(self, key: str) -> Gaps:
        """A counter, all zero where it is new."""
        return self._memory.gaps(key)

    def facts(self, model: str) -> ModelFacts:
        """What is known of a model."""
        return self._memory.facts(model)

    def learn(self, learned: Learned) -> None:
        """Set its prefixes, add its counts and facts, here and in the ledger."""
        with self._lock:
            self._memory.learn(learned)
            self._news.append(learned)
        self._books.learn(learned)

    @property
    def stale(self) -> bool:
        """Whether it is time to `refresh`."""
        return time.monotonic() - self._refreshed_s > _REFRESH_S

    def refresh(self) -> None:
        """Take over what other processes have learned.

        Raises:
            LedgerError: The ledger cannot be read now; what is known here stays.
        """
        with self._lock:
            self._refreshed_s = time.monotonic()
            told = len(self._news)
        everything = self._books.learned()  # holds what we had told before, and not all since
        with self._lock:
            self._news = self._news[told:]
            self._memory.restate(everything)
            for learned in self._news:
                self._memory.learn(Learned(gaps=learned.gaps, facts=learned.facts))


def _body(one: Prefix) -> tuple[object, ...]:
    return (
        one.visits,
        one.kind,
        one.laws,
        one.counted,
        one.due,
        one.life_s,
        one.written,
        one.expires,
        one.per_minute,
    )


def _prefix(at: float, body: list[Any]) -> Prefix:
    """The inverse; what is infinite has no form in JSON and is stored as null."""
    visits, kind, laws, counted, due, life_s, written, expires, per_minute = body
    return Prefix(
        at=at,
        visits=visits,
        kind=kind,
        laws=tuple(laws),
        counted=counted,
        due=inf if due is None else due,
        life_s=life_s,
        written=-inf if written is None else written,
        expires=-inf if expires is None else expires,
        per_minute=per_minute,
    )
