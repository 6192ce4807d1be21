"""The proof that a ledger agrees with itself."""

import sqlite3
from collections.abc import Iterator

import orjson

from farthing.ledger.schema import DAY, MONTH, ROLLUP_KEYS, SUMS
from farthing.ledger.values import Verdict

_SHOWN = 20
_MONEY = ('cost', 'list_cost')


def verify(db: sqlite3.Connection) -> Verdict:
    """Check the file, the rollup, the line items and the corrections."""
    entries, corrections = db.execute(
        'SELECT sum(corrects IS NULL), count(corrects) FROM entry'
    ).fetchone()
    differences = _limited([*_file(db), *_rollup(db), *_lines(db), *_corrections(db)])
    return Verdict(
        entries=entries or 0,
        corrections=corrections,
        differences=tuple(differences),
        notes=tuple(_losses(db)),
    )


def _limited(differences: list[str]) -> list[str]:
    if len(differences) <= _SHOWN:
        return differences
    return [*differences[:_SHOWN], f'and {len(differences) - _SHOWN} more']


def _file(db: sqlite3.Connection) -> Iterator[str]:
    for (line,) in db.execute('PRAGMA integrity_check'):
        if line != 'ok':
            yield f'the file is damaged: {line}'
    for table, row, parent, _ in db.execute('PRAGMA foreign_key_check'):
        yield f'row {row} of `{table}` names a row of `{parent}` that is not there'


def _rollup(db: sqlite3.Connection) -> Iterator[str]:
    """Where the rollup differs from the entries, group by group."""
    keys = ', '.join(ROLLUP_KEYS)
    added = ', '.join(f'sum({name})' for name in SUMS)
    of_entries = (
        f'SELECT {DAY} AS day, {keys}, {", ".join(SUMS.values())} FROM entry GROUP BY day, {keys}'  # noqa: S608
    )
    of_days = f'SELECT {MONTH} AS month, {keys}, {added} FROM daily GROUP BY month, {keys}'  # noqa: S608
    yield from _compared(db, 'daily', of_entries, 'the entries')
    yield from _compared(db, 'monthly', of_days, 'the days')


def _compared(db: sqlite3.Connection, table: str, sql: str, source: str) -> Iterator[str]:
    keys = ', '.join(ROLLUP_KEYS)
    summed = _groups(db, sql)
    kept = _groups(db, f'SELECT day, {keys}, {", ".join(SUMS)} FROM {table}')  # noqa: S608
    for group in sorted(summed.keys() | kept.keys()):
        have, want = kept.get(group, {}), summed.get(group, {})
        for name in sorted({n for n in (*have, *want) if have.get(n, 0) != want.get(n, 0)}):
            yield (
                f'the {table} rollup has {name} {have.get(name, 0)} on day {group[0]} for '
                f'{_named(db, group)}, {source} have {want.get(name, 0)}'
            )


def _groups(db: sqlite3.Connection, sql: str) -> dict[tuple[int, ...], dict[str, int]]:
    groups = {}
    width = 1 + len(ROLLUP_KEYS)
    for row in db.execute(sql):
        sums = dict(zip(SUMS, row[width:], strict=True))
        for money in _MONEY:  # the two parts may be split otherwise, their joint value may not
            sums[money] = sums.pop(f'{money}_high') * 1_000_000 + sums.pop(f'{money}_low')
        groups[row[:width]] = sums
    return groups


def _named(db: sqlite3.Connection, group: tuple[int, ...]) -> str:
    names = []
    for name, number in zip(ROLLUP_KEYS, group[1:], strict=True):
        row = db.execute('SELECT value FROM dim WHERE id = ?', (number,)).fetchone()
        names.append(f'{name}={row[0] if row else number}')
    return ' '.join(names)


def _lines(db: sqlite3.Connection) -> Iterator[str]:
    """Where line items do not add up to the price."""
    sql = (
        'SELECT id, CASE WHEN corrects IS NULL THEN cost ELSE new_cost END, lines FROM entry '
        'WHERE lines IS NOT NULL'
    )
    for id_, cost, lines in db.execute(sql):
        amount = sum(line[2] for line in orjson.loads(lines))
        if cost is not None and amount != cost:
            yield f'the lines of {id_!r} add up to {amount}, its cost is {cost} (1e-12 USD)'


def _corrections(db: sqlite3.Connection) -> Iterator[str]:
    """Where a correction has no entry, or its differences do not lead to the new price."""
    for id_, corrects in db.execute(
        'SELECT c.id, c.corrects FROM entry c LEFT JOIN entry e ON e.id = c.corrects '
        'WHERE c.corrects IS NOT NULL AND (e.id IS NULL OR e.corrects IS NOT NULL)'
    ):
        yield f'{id_!r} corrects {corrects!r}, which is no entry'
    sql = (
        'SELECT c.id, c.new_cost, c.new_list_cost, sum(x.cost), sum(x.list_cost), sum(x.unpriced) '
        'FROM entry c JOIN entry x ON (x.id = c.corrects OR x.corrects = c.corrects) '
        'AND x.seq <= c.seq WHERE c.corrects IS NOT NULL GROUP BY c.seq'
    )
    for id_, cost, list_cost, sum_cost, sum_list, unpriced in db.execute(sql):
        reached = (sum_cost, sum_list, unpriced)
        if reached != (cost or 0, list_cost or 0, cost is None):
            yield f'the corrections up to {id_!r} lead to {reached}, not to {(cost, list_cost)}'


def _losses(db: sqlite3.Connection) -> Iterator[str]:
    for calls, reason in db.execute('SELECT sum(calls), reason FROM loss GROUP BY reason'):
        yield f'{calls} calls lost: {reason}' if calls else reason
