"""Reports from SQLite: a SELECT for each part of the plan, joined in exact arithmetic."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import add
from typing import Any

from farthing.ledger import keys, routed
from farthing.ledger.keys import DAYS, ENDPOINT_CLASS, Key
from farthing.ledger.planning import Part, plan
from farthing.ledger.record import ROUTING, moment
from farthing.ledger.schema import DAY_US, SUMS
from farthing.ledger.values import Query, Report, Row, Sums

REAL, LOCAL = 'real', 'local'
_HOUR_US = 3_600_000_000
_TIMES = (*DAYS, 'hour')
_NARROW = 8  # an index on time pays below this part of the ledger's span

Totals = list[int]
Group = tuple[str | None, ...]
Figures = Sequence[tuple[str, str]]
"""Sums beside `SUMS` in SQL, each with its one argument."""


def is_local(endpoint: str | None) -> bool:
    """Whether an endpoint is on this machine: a simulated or local server, not real spend."""
    if endpoint is None:
        return False
    host = endpoint.rpartition('@')[2].lower()
    host = host[1:].partition(']')[0] if host.startswith('[') else host
    if host.count(':') == 1:
        host = host.partition(':')[0]
    return (
        host in ('localhost', '::1', '0.0.0.0')  # noqa: S104 - compared, not bound
        or host.endswith('.localhost')
        or (host.startswith('127.') and host.replace('.', '').isdigit())
    )


def report(db: sqlite3.Connection, query: Query, *, unsaved: int) -> Report:
    """Sums by group; `unsaved` calls of this process are lost so far."""
    groups: dict[tuple[str, Group], Totals] = {}
    more = routed.figures(db) if keys.ROUTE in query.by else ()
    for part in plan(query):
        for where, group, totals in _select(db, query, part, more):
            known = groups.get((where, group))
            groups[where, group] = totals if known is None else list(map(add, known, totals))
    (lost,) = db.execute('SELECT coalesce(sum(calls), 0) FROM loss').fetchone()
    return _joined(query, groups, lost + unsaved)


def _joined(query: Query, groups: dict[tuple[str, Group], Totals], lost: int) -> Report:
    by_class: dict[str, list[Totals]] = defaultdict(list)
    for (where, _), totals in groups.items():
        by_class[where].append(totals)
    both = len(by_class) > 1
    names = query.by + ((ENDPOINT_CLASS,) if both and ENDPOINT_CLASS not in query.by else ())
    rows = [
        Row(keys=dict(zip(names, (*group, where), strict=False)), **_sums(totals, query.by))
        for (where, group), totals in groups.items()
    ]
    rows.sort(key=lambda row: (-row.cost, -row.calls, [v or '' for v in row.keys.values()]))
    only = LOCAL if LOCAL in by_class and not both else REAL
    return Report(
        by=names,
        rows=tuple(rows),
        total=Sums(**_sums(_added(by_class[only]), query.by)),
        endpoint_class=only,
        local_total=Sums(**_sums(_added(by_class[LOCAL]), query.by)) if both else None,
        lost=lost,
    )


def _added(many: list[Totals]) -> Totals:
    return [sum(column) for column in zip(*many, strict=True)] if many else [0] * len(SUMS)


def _saved() -> list[str]:
    """What context control saved on the calls of which that is known, in SQL, in two parts.

    A correction takes its difference off.
    """
    without = keys.context_decision('counterfactual_cost')
    saved = f'CASE WHEN e.corrects IS NULL THEN {without} ELSE 0 END - e.cost'
    known = f'{without} IS NOT NULL AND e.cost IS NOT NULL'
    return [
        f'sum(CASE WHEN {known} THEN ({saved}) {part} 1000000 ELSE 0 END)' for part in ('/', '%')
    ] + [f'sum({known})']


def _sums(totals: Totals, by: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(SUMS, totals, strict=False))
    more = totals[len(SUMS) :]
    if more and keys.CONTEXT_POLICY in by:
        high, low, known, *more = more
        values['saved'] = high * 1_000_000 + low if known else None
    if more:
        values['routed'] = routed.counted(*more)
    said = values.pop('reasoning_said')
    if not said and values['calls']:
        values['reasoning_tokens'] = None
    for money in ('cost', 'list_cost'):
        values[money] = values.pop(f'{money}_high') * 1_000_000 + values.pop(f'{money}_low')
    return values


def _select(
    db: sqlite3.Connection, query: Query, part: Part, more: Figures
) -> Iterator[tuple[str, Group, Totals]]:
    """Rows of endpoint class, values of the keys, and sums; a group may come several times."""
    sql, arguments = statement(db, query, part, more=more)
    if sql is None:
        return
    wanted = [_key(query, name) for name in query.by if name != ENDPOINT_CLASS]
    readers = [_reader(db, key) for key in wanted]
    at = query.by.index(ENDPOINT_CLASS) if ENDPOINT_CLASS in query.by else None
    for is_here, *row in db.execute(sql, arguments):
        where = LOCAL if is_here else REAL
        group = [read(value) for read, value in zip(readers, row, strict=False)]
        if at is not None:
            group.insert(at, where)
        yield where, tuple(group), row[len(wanted) :]


def statement(
    db: sqlite3.Connection, query: Query, part: Part, *, more: Figures = ()
) -> tuple[str | None, list[object]]:
    """The SELECT of one part and its arguments; no SELECT when a filter's value was never seen.

    Args:
        db: The ledger.
        query: What is asked.
        part: Which table answers.
        more: Further sums.
    """
    columns = [_column(_key(query, n), part) for n in query.by if n != ENDPOINT_CLASS]
    wanted, arguments = conditions(db, query, part)
    if wanted is None:
        return None, []
    sums = [f'sum({name})' for name in SUMS] if part.summed else list(SUMS.values())
    if keys.CONTEXT_POLICY in query.by:
        sums += _saved()
    chosen = ', '.join([_is_here(db), *columns, *sums, *(sum_ for sum_, _ in more)])
    filters = f'WHERE {" AND ".join(wanted)}' if wanted else ''
    groups = ', '.join(str(number) for number in range(1, len(columns) + 2))
    sql = f'SELECT {chosen} FROM {part.table} e {filters} GROUP BY {groups}'  # noqa: S608
    return sql, [*(argument for _, argument in more), *arguments]


def conditions(
    db: sqlite3.Connection, query: Query, part: Part
) -> tuple[list[str] | None, list[object]]:
    """The filters of a query in SQL and their arguments; `None` when nothing can match."""
    wanted, arguments = _bounds(db, part)
    for name, values in query.where.items():
        condition, more = _condition(db, name, values, part, _key(query, name))
        if condition is None:
            return None, []
        wanted.append(condition)
        arguments += more
    return wanted, arguments


def _key(query: Query, name: str) -> Key:
    """A key of the query; beside a route, decisions are those of routing."""
    beside = keys.ROUTE in (*query.by, *query.where)
    return keys.key(name, lever=ROUTING if beside else None)


def _column(key: Key, part: Part) -> str:
    if key.name in DAYS:
        return 'e.day' if part.summed else _floor('e.time', DAY_US)
    if key.name == 'hour':
        return _floor('e.time', _HOUR_US)
    # The plus keeps an index from being used for grouping: it makes a scan 1.8 times slower.
    return key.sql if part.summed or not key.sql.startswith('e.') else f'+{key.sql}'


def _floor(column: str, unit: int) -> str:
    """Whole units since 1970, downwards also before it; SQLite's division goes towards zero."""
    return f'({column} / {unit} - ({column} % {unit} < 0))'


def _bounds(db: sqlite3.Connection, part: Part) -> tuple[list[str], list[object]]:
    column = 'e.day' if part.summed else 'e.time' if _is_narrow(db, part) else '+e.time'
    bounds = [(f'{column} >= ?', part.since), (f'{column} < ?', part.until)]
    given = [(sql, bound) for sql, bound in bounds if bound is not None]
    return [sql for sql, _ in given], [bound for _, bound in given]


def _is_narrow(db: sqlite3.Connection, part: Part) -> bool:
    if part.since is None and part.until is None:
        return False
    (first,) = db.execute('SELECT min(time) FROM entry').fetchone()
    (last,) = db.execute('SELECT max(time) FROM entry').fetchone()
    if first is None:
        return False
    since = first if part.since is None else max(first, part.since)
    until = last if part.until is None else min(last, part.until)
    return bool((until - since) * _NARROW < last - first)


def _condition(
    db: sqlite3.Connection,
    name: str,
    values: tuple[str | None, ...],
    part: Part,
    key: Key,
) -> tuple[str | None, list[object]]:
    """A filter in SQL; `None` when nothing can match."""
    if name == ENDPOINT_CLASS:
        here = _is_here(db)
        wanted = [here if v == LOCAL else f'NOT {here}' for v in values if v in (LOCAL, REAL)]
        return (f'({" OR ".join(wanted)})' if wanted else None), []
    if key.kind is not None:
        numbers = _numbers(db, key.kind, values)
        column = _column(key, part)
        return (f'{column} IN ({", ".join(map(str, numbers))})' if numbers else None), []
    known = [v for v in values if v is not None]
    if name == 'id':  # by the index, an entry and its corrections
        marks = ', '.join('?' * len(known))
        return f'(e.id IN ({marks}) OR e.corrects IN ({marks}))', [*known, *known]
    # Texts that many entries share are found by an index only where a session is asked for.
    column = key.sql if name == 'session' else _column(key, part)
    conditions = [f'{column} IS NULL'] if None in values else []
    if known:
        text = column if name == 'session' else f'CAST({column} AS TEXT)'
        conditions.append(f'{text} IN ({", ".join("?" * len(known))})')
    return (f'({" OR ".join(conditions)})' if conditions else None), list(known)


def _numbers(db: sqlite3.Connection, kind: str, values: Iterable[str | None]) -> list[int]:
    found = [0] if None in values else []
    for value in values:
        sql = 'SELECT id FROM dim WHERE kind = ? AND value = ?'
        found += [number for (number,) in db.execute(sql, (kind, value))]
    return found


def _is_here(db: sqlite3.Connection) -> str:
    """Whether a row's endpoint is on this machine, in SQL."""
    endpoints = db.execute("SELECT id, value FROM dim WHERE kind = 'endpoint'")
    numbers = [str(number) for number, endpoint in endpoints if is_local(endpoint)]
    return f'e.endpoint IN ({", ".join(numbers)})'


def _reader(db: sqlite3.Connection, key: Key) -> Callable[[Any], str | None]:
    """What turns a key's value in a row into its text."""
    if key.name in _TIMES:
        unit = _HOUR_US if key.name == 'hour' else DAY_US
        form = {'day': '%Y-%m-%d', 'month': '%Y-%m', 'year': '%Y', 'hour': '%Y-%m-%dT%H:00Z'}
        shown = form[key.name]
        return lambda n: moment(n * unit).strftime(shown)
    if key.kind is not None:
        names = dict(db.execute('SELECT id, value FROM dim WHERE kind = ?', (key.kind,)))
        return names.get
    return lambda value: None if value is None else str(value)
