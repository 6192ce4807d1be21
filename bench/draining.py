"""Moving a spool into the ledger, rollup included, beside sqlite3's bare `executemany`."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple

from bench.entries import spooled, told
from bench.timing import Check, S, Table

from farthing import Ledger

OURS, PEER = 'farthing: JSON lines to entries and rollup', 'sqlite3: rows to one table'
TOLD = 'farthing: the same, and reads and prices what LangChain told'
_BATCH = 5_000  # about what a drain commits at once


class Raw(NamedTuple):
    """What the peer stores: the ledger's own rows, columns and indexes."""

    schema: list[str]
    insert: str
    rows: list[tuple[object, ...]]


def measure(*, quick: bool) -> list[Table]:
    """Rows a second into a new file, by turns."""
    rounds, count = (3, 30_000) if quick else (9, 100_000)
    took: dict[str, list[float]] = {OURS: [], TOLD: [], PEER: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spool, answers = spooled(folder / 'spool', count), told(folder / 'answers', count)
        _drain(spool, folder / 'first.db')
        raw = _raw(folder / 'first.db')
        for number in range(rounds):
            took[OURS].append(_drain(spool, folder / f'ours-{number}.db'))
            took[TOLD].append(_drain(answers, folder / f'told-{number}.db'))
            took[PEER].append(_insert(raw, folder / f'raw-{number}.db'))
            for file in folder.glob(f'*-{number}.db*'):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
    speed = {name: count / median(taken) * S for name, taken in took.items()}
    return [
        Table(
            title=f'Draining {count:,} entries: median of {rounds} rounds, synchronous=FULL',
            columns=('', 'rows/s'),
            rows=[(name, f'{rows_s:,.0f}') for name, rows_s in speed.items()],
            checks=(
                Check(
                    what='share of rows/s', value=speed[OURS] / speed[PEER], bound=0.4, least=True
                ),
            ),
        )
    ]


def _drain(spool: Path, path: Path) -> float:
    shutil.copytree(spool, f'{path}.spool')
    ledger = Ledger.open(path)
    start = perf_counter_ns()
    ledger.flush()
    took = perf_counter_ns() - start
    ledger.close()
    return took


def _raw(path: Path) -> Raw:
    with closing(sqlite3.connect(path)) as db:
        schema = [
            sql
            for (sql,) in db.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = 'entry' "
                "AND type IN ('table', 'index') AND sql IS NOT NULL"
            )
        ]
        cursor = db.execute('SELECT * FROM entry')
        marks = ', '.join('?' * len(cursor.description))
        return Raw(schema, f'INSERT INTO entry VALUES ({marks})', cursor.fetchall())


def _insert(raw: Raw, path: Path) -> float:
    start = perf_counter_ns()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ('journal_mode = WAL', 'synchronous = FULL', 'cache_size = -16384'):
            db.execute(f'PRAGMA {pragma}')
        db.execute('PRAGMA wal_autocheckpoint = 10000')
        for sql in raw.schema:
            db.execute(sql)
        for first in range(0, len(raw.rows), _BATCH):
            db.execute('BEGIN IMMEDIATE')
            db.executemany(raw.insert, raw.rows[first : first + _BATCH])
            db.execute('COMMIT')
        db.execute('PRAGMA wal_checkpoint(PASSIVE)')
    return perf_counter_ns() - start
