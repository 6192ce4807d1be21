"""Storing a batch of spooled records in SQLite: dimensions, entries, their rollup, the rest."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from operator import getitem
from typing import Any

import orjson

from farthing.errors import LedgerVersion
from farthing.ledger import learned
from farthing.ledger.answered import KIND, entry_record
from farthing.ledger.record import COUNTS, DIMENSIONS, TEXTS
from farthing.ledger.schema import DAY, MONTH, ROLLUP_KEYS, SUMS, rollup_table
from farthing.ledger.spool import Chunk
from farthing.prices import PriceBook

# What a record raises that no farthing has written: damage that is valid JSON all the same.
MALFORMED = (
    TypeError,
    ValueError,
    LookupError,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
)

_DIMENSION_NAMES = tuple(name for name, _ in DIMENSIONS)
_FLAGS = ('calls', 'errors', 'unpriced', 'assumed', 'estimated')
_ENTRY_COLUMNS = (
    'id',
    'time',
    *TEXTS,
    *_DIMENSION_NAMES,
    *COUNTS,
    'cost',
    'list_cost',
    'latency_us',
    'first_token_us',
    'lines',
    'assumed_terms',
    'tool_uses',
    'tags',
    'prefix',
    *_FLAGS,
)
INSERT_ENTRY = (
    f'INSERT INTO entry ({", ".join(_ENTRY_COLUMNS)}) '  # noqa: S608 - our own column names
    f'VALUES ({", ".join("?" * len(_ENTRY_COLUMNS))}) ON CONFLICT (id) DO NOTHING'
)

_KEYS = ', '.join(ROLLUP_KEYS)
# The rows really inserted are those behind the last one: `seq` only grows, and we alone write.
SUM_FRESH = (
    f'INSERT INTO temp.fresh SELECT {DAY} AS day, {_KEYS}, {", ".join(SUMS.values())} '  # noqa: S608
    f'FROM entry WHERE seq > ? GROUP BY day, {_KEYS}'
)
_ADD = f'ON CONFLICT (day, {_KEYS}) DO UPDATE SET ' + ', '.join(
    f'{name} = {name} + excluded.{name}' for name in SUMS
)
_SUMMED = ', '.join((*ROLLUP_KEYS, *SUMS))
SPREAD_FRESH = (
    f'INSERT INTO daily SELECT day, {_SUMMED} FROM temp.fresh WHERE true {_ADD}',  # noqa: S608
    f'INSERT INTO monthly SELECT {MONTH}, {_SUMMED} FROM temp.fresh WHERE true {_ADD}',  # noqa: S608
    'DELETE FROM temp.fresh',
)

# A correction copies what its entry is, so that its differences fall into the same groups.
_COPIED = (
    'time',
    *TEXTS,
    *(
        n
        for n in _DIMENSION_NAMES
        if n
        not in {
            'price_status',
            'book',
            'priced_model',
            'unpriced_reason',
        }
    ),
)
_CORRECTED = (
    'id',
    'corrects',
    'corrected_at',
    'correction_reason',
    'price_status',
    'book',
    'priced_model',
    'unpriced_reason',
    'cost',
    'list_cost',
    'new_cost',
    'new_list_cost',
    'lines',
    'assumed_terms',
    *_FLAGS,
)
_INSERT_CORRECTION = (
    f'INSERT INTO entry ({", ".join(_COPIED + _CORRECTED)}) '  # noqa: S608 - our own column names
    f'SELECT {", ".join(_COPIED)}, {", ".join("?" * len(_CORRECTED))} FROM entry WHERE id = ? '
    'ON CONFLICT (id) DO NOTHING'
)

_KIND = re.compile('[a-z][0-9]+')
_FIRST_DIMENSION = 6
_FIRST_COUNT = _FIRST_DIMENSION + len(DIMENSIONS)
_COST = _FIRST_COUNT + len(COUNTS)
_STATUS, _USAGE_SOURCE, _PRICE_STATUS = (
    _FIRST_DIMENSION + _DIMENSION_NAMES.index(name)
    for name in ('status', 'usage_source', 'price_status')
)


class _Dimension(dict[Any, int]):
    """The numbers of one kind of repeated text, looked up or made on first use."""

    def __init__(self, db: sqlite3.Connection, kind: str) -> None:
        super().__init__({None: 0})
        self._db = db
        self._kind = kind

    def __missing__(self, value: Any) -> int:
        text = orjson.dumps(value).decode() if isinstance(value, tuple) else value
        wanted = (self._kind, text)
        found = self._db.execute('SELECT id FROM dim WHERE kind = ? AND value = ?', wanted)
        row = found.fetchone()
        if row is None:
            made = self._db.execute('INSERT INTO dim (kind, value) VALUES (?, ?)', wanted)
            number = made.lastrowid or 0
        else:
            number = row[0]
        self[value] = number
        return number


class Batch:
    """Stores records; the caller holds the transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute('PRAGMA temp_store = MEMORY')
        db.execute(rollup_table('temp.fresh'))
        self._forget_dimensions()

    def _forget_dimensions(self) -> None:
        kinds = {kind: _Dimension(self._db, kind) for _, kind in DIMENSIONS}
        self._dimensions = tuple(kinds[kind] for _, kind in DIMENSIONS)
        self._kinds = kinds
        self._lines = _Dimension(self._db, 'line')

    def store(self, chunk: Chunk, *, spool: str) -> None:
        """Store a chunk's records. An id that is known adds nothing.

        Raises:
            LedgerVersion: A record was written by a newer farthing.
        """
        try:
            self._store(chunk, spool)
        except BaseException:
            # The transaction goes back, and with it the numbers that it made.
            self._forget_dimensions()
            raise

    def store_one_by_one(self, chunk: Chunk, *, spool: str) -> None:
        """Store what can be stored of a chunk that cannot be as a whole; count the rest as lost."""
        for number, line in enumerate(chunk.lines):
            self._db.execute('SAVEPOINT line')
            try:
                self.store(Chunk(lines=[line], end=chunk.end), spool=spool)
            except MALFORMED as error:
                self._db.execute('ROLLBACK TO line')
                what = f'damaged line in a spool ({type(error).__name__})'
                self._note(f'{spool}@{chunk.end}#{number}', 1, what)
            self._db.execute('RELEASE line')

    def _store(self, chunk: Chunk, spool: str) -> None:
        (last,) = self._db.execute('SELECT coalesce(max(seq), 0) FROM entry').fetchone()
        others: dict[str, list[list[Any]]] = {}
        self._db.executemany(INSERT_ENTRY, self._entries(chunk.lines, others))
        inserted = self._db.execute('SELECT count(*) FROM entry WHERE seq > ?', (last,)).fetchone()
        if inserted[0] + sum(map(len, others.values())) < len(chunk.lines):
            self._note_contradictions(chunk.lines)
        for record in others.pop('c1', ()):
            self._correct(record)
        self._db.execute(SUM_FRESH, (last,))
        for statement in SPREAD_FRESH:
            self._db.execute(statement)
        self._insert('decision', others.pop('d1', []), _decision)
        self._insert('outcome', others.pop('o1', []), _plain)
        self._insert('loss', others.pop('l1', []), _plain)
        if taught := others.pop(learned.KIND, []):
            learned.store(self._db, taught)
        if others:
            if any(not _KIND.fullmatch(kind) for kind in others):
                raise ValueError(f'records of kind {[*others]!r}: expected a letter and a version')
            raise LedgerVersion(
                f'the spool file {spool!r} holds records of kind {[*others]}, written by a newer '
                'farthing: update this one'
            )

    def _entries(
        self, lines: list[bytes], others: dict[str, list[list[Any]]]
    ) -> Iterator[tuple[Any, ...]]:
        """The entries among `lines` as rows; records of other kinds go to `others`.

        One record at a time: keeping thousands alive has the garbage collector walk them all,
        which takes five times as long as reading them.
        """
        for line in lines:
            record = _loaded(line)
            if record[0] == 'e1':
                yield self._entry(record)
            else:
                others.setdefault(record[0], []).append(record)

    def _note_contradictions(self, lines: list[bytes]) -> None:
        """Note the entries that came twice with different numbers; the first one stands."""
        for line in lines:
            record = _loaded(line)
            if record[0] != 'e1':
                continue
            stored = self._db.execute(
                'SELECT cost, list_cost, input_tokens, output_tokens FROM entry WHERE id = ?',
                (record[1],),
            ).fetchone()
            came = (*record[_COST : _COST + 2], *record[_FIRST_COUNT : _FIRST_COUNT + 2])
            if came != stored:
                note = f'{record[1]} came twice with different numbers: the first ones stand'
                self._note(f'twice {record[1]}', 0, note)

    def _entry(self, record: list[Any]) -> tuple[Any, ...]:
        cost = record[_COST]
        lines, assumed, tool_uses, tags, prefix = record[_COST + 4 :]
        return (
            *record[1:_FIRST_DIMENSION],
            *map(getitem, self._dimensions, record[_FIRST_DIMENSION:_FIRST_COUNT]),
            *record[_FIRST_COUNT : _COST + 4],
            self._line_text(lines),
            assumed and orjson.dumps(assumed).decode(),
            tool_uses and orjson.dumps(tool_uses).decode(),
            tags and orjson.dumps(tags).decode(),
            prefix and orjson.dumps(prefix).decode(),
            1,
            record[_STATUS] == 'error',
            cost is None,
            record[_PRICE_STATUS] == 'assumed',
            record[_USAGE_SOURCE] == 'estimated',
        )

    def _line_text(self, lines: list[list[Any]] | None) -> str | None:
        if lines is None:
            return None
        number = self._lines
        return orjson.dumps(
            [(number[meter, rate, *rules], n, amount) for meter, rate, rules, n, amount in lines]
        ).decode()

    def _correct(self, record: list[Any]) -> None:
        _, id_, time, corrects, reason, status, book, model, why, cost, list_cost = record[:11]
        lines, assumed = record[11:]
        old = self._db.execute(
            'SELECT sum(calls), sum(cost), sum(list_cost), sum(unpriced), sum(assumed) '
            'FROM entry WHERE id = ?1 OR corrects = ?1',
            (corrects,),
        ).fetchone()
        if not old[0]:
            self._note(id_, 0, f'correction of an entry that is not there: {corrects}')
            return
        row = (
            id_,
            corrects,
            time,
            reason,
            self._kinds['price_status'][status],
            self._kinds['book'][book],
            self._kinds['model'][model],
            self._kinds['unpriced_reason'][why],
            (cost or 0) - (old[1] or 0),
            (list_cost or 0) - (old[2] or 0),
            cost,
            list_cost,
            self._line_text(lines),
            assumed and orjson.dumps(assumed).decode(),
            0,
            0,
            (cost is None) - old[3],
            (status == 'assumed') - old[4],
            0,
        )
        self._db.execute(_INSERT_CORRECTION, (*row, corrects))

    def _insert(
        self, table: str, records: list[list[Any]], row: Callable[[list[Any]], tuple[Any, ...]]
    ) -> None:
        if records:
            marks = ', '.join('?' * (len(records[0]) - 1))
            self._db.executemany(
                f'INSERT INTO {table} VALUES ({marks}) ON CONFLICT (id) DO NOTHING',  # noqa: S608
                map(row, records),
            )

    def _note(self, id_: str, calls: int, reason: str) -> None:
        self._db.execute(
            'INSERT INTO loss VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
            (id_, 0, calls, reason),
        )


def _loaded(line: bytes) -> list[Any]:
    """A line's record; an answer is priced, and comes as the entry that it makes."""
    record: list[Any] = orjson.loads(line)
    if record[0] != KIND:
        return record
    try:
        return entry_record(record, PriceBook.load())
    except AttributeError as error:  # no object, where one must be
        raise ValueError(f'an answer that cannot be read: {error}') from error


def _decision(record: list[Any]) -> tuple[Any, ...]:
    *fields, facts = record[1:]
    return (*fields, facts and orjson.dumps(facts).decode())


def _plain(record: list[Any]) -> tuple[Any, ...]:
    return tuple(record[1:])
