"""Entries out of SQLite, with what they cost by now."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson

from farthing.attribution import Attribution
from farthing.entry import Entry
from farthing.ledger import reporting
from farthing.ledger.planning import scan
from farthing.ledger.record import COUNTS, DIMENSIONS, moment
from farthing.ledger.values import Booked, Query
from farthing.prices.quote import Line, Quote
from farthing.usage import Usage

_DIMENSIONS = tuple(name for name, _ in DIMENSIONS)


def entries(db: sqlite3.Connection, query: Query, *, limit: int | None) -> Iterator[Booked]:
    """Entries that match, newest first."""
    read = Reader(db)
    sql, arguments = _statement(db, query)
    if sql is None:
        return
    if limit is not None:
        sql += ' LIMIT ?'
        arguments.append(limit)
    cursor = db.execute(sql, arguments)
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield read.booked(dict(zip(names, values, strict=True)))


def _statement(db: sqlite3.Connection, query: Query) -> tuple[str | None, list[Any]]:
    conditions, arguments = reporting.conditions(db, query, scan(query))
    if conditions is None:
        return None, []
    where = ' AND '.join(['e.corrects IS NULL', *conditions])
    return f'SELECT e.* FROM entry e WHERE {where} ORDER BY e.time DESC, e.seq DESC', arguments  # noqa: S608


class Reader:
    """Turns rows into values; repeated texts are looked up once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._texts: dict[int, Any] = {0: None}
        self._corrected = bool(
            db.execute('SELECT EXISTS (SELECT 1 FROM entry WHERE corrects IS NOT NULL)').fetchone()[
                0
            ]
        )

    def booked(self, row: dict[str, Any]) -> Booked:
        """The entry in a row of the table, with what it costs by now."""
        entry = self.entry(row)
        if self._corrected:
            (count,) = self._db.execute(
                'SELECT count(*) FROM entry WHERE corrects = ?', (row['id'],)
            ).fetchone()
            if count:
                return self._corrected_one(entry, count)
        return Booked(entry=entry, quote=entry.quote, list_cost=entry.list_cost, corrections=0)

    def _corrected_one(self, entry: Entry, count: int) -> Booked:
        cursor = self._db.execute(
            'SELECT * FROM entry WHERE corrects = ? ORDER BY seq DESC LIMIT 1', (entry.id,)
        )
        names = [column[0] for column in cursor.description]
        row = dict(zip(names, cursor.fetchone(), strict=True))
        return Booked(
            entry=entry,
            quote=self._quote(row, row['new_cost']),
            list_cost=row['new_list_cost'],
            corrections=count,
        )

    def entry(self, row: dict[str, Any]) -> Entry:
        """The entry in a row of the table, as it was posted."""
        text = {name: self._text(row[name]) for name in _DIMENSIONS}
        return Entry(
            id=row['id'],
            time=moment(row['time']),
            provider=text['provider'],
            model_requested=text['model_requested'],
            model_served=text['model_served'],
            api=text['api'],
            call_type=text['call_type'],
            mode=text['mode'],
            cacheable=text['cacheable'],
            tier=text['tier'],
            geo=text['geo'],
            region=text['region'],
            endpoint=text['endpoint'],
            attribution=Attribution(
                tenant=text['tenant'],
                task=text['task'],
                session=row['session'],
                purpose=text['purpose'],
                tags=_json(row['tags'], {}),
            ),
            run_id=row['run_id'],
            parent_run_id=row['parent_run_id'],
            usage=_usage(row),
            usage_source=text['usage_source'],
            quote=self._quote(row, row['cost']),
            list_cost=row['list_cost'],
            status=text['status'],
            error=text['error'],
            latency_us=row['latency_us'],
            first_token_us=row['first_token_us'],
            prefix=tuple(_json(row['prefix'], ())),
        )

    def _quote(self, row: dict[str, Any], cost: int | None) -> Quote:
        return Quote(
            status=self._text(row['price_status']),
            cost=cost,
            lines=tuple(self._line(*line) for line in _json(row['lines'], ())),
            assumed=tuple(_json(row['assumed_terms'], ())),
            reason=self._text(row['unpriced_reason']),
            model=self._text(row['priced_model']),
            book=self._text(row['book']),
        )

    def _line(self, number: int, quantity: int, amount: int) -> Line:
        meter, rate, *rules = orjson.loads(self._text(number))
        return Line(meter=meter, quantity=quantity, rate=rate, amount=amount, rules=tuple(rules))

    def _text(self, number: int) -> Any:
        if number not in self._texts:
            (value,) = self._db.execute('SELECT value FROM dim WHERE id = ?', (number,)).fetchone()
            self._texts[number] = value
        return self._texts[number]


def _usage(row: dict[str, Any]) -> Usage | None:
    if row['input_tokens'] is None:
        return None
    counts = {name: row[name] for name in COUNTS}
    return Usage(**counts, tool_uses=_json(row['tool_uses'], {}))


def _json(text: str | None, otherwise: Any) -> Any:
    return otherwise if text is None else orjson.loads(text)
