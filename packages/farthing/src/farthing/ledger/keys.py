"""The names that a report groups and filters by, and the SQL that each stands for.

Every field of an entry is a key. Those of the daily rollup (`ROLLUP`) and times of a day or longer
answer at once; with any other the report scans the entries. `tag.NAME` is the tag NAME.
`cache_cause` is why a call read from its prompt cache what it read: before it is reported, calls
that have no verdict get one, which scans them and those of the day before. `route` is the route
that served a call; beside it `policy` and `policy_version` are those of routing alone.
`context_policy` is who controlled what a call was sent; by it, a report also tells what that saved.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from farthing.errors import InputError
from farthing.ledger.record import DIMENSIONS, EXPLAINED, EXPLAINS, ROUTING, TEXTS
from farthing.ledger.schema import ROLLUP_KEYS
from farthing.ledger.values import Query

DAYS = ('day', 'month', 'year')
ROLLUP = (*DAYS, *ROLLUP_KEYS, 'endpoint_class')
TAG = 'tag.'
ENDPOINT_CLASS = 'endpoint_class'
CACHE_CAUSE = 'cache_cause'
ROUTE = 'route'
CONTEXT_POLICY = 'context_policy'

_DIMENSIONS = dict(DIMENSIONS)
# Dimensions that a correction changes: a row belongs to where its entry stands by now.
_CORRECTED = ('price_status', 'book', 'priced_model', 'unpriced_reason')
# What a correction does not repeat of its entry.
_NOT_COPIED = ('tags', 'prefix', 'tool_uses', 'latency_us', 'first_token_us')
_HANGING = {
    'lever': ('decision', 'lever'),
    'policy': ('decision', 'policy'),
    'policy_version': ('decision', 'version'),
    'chosen': ('decision', 'chosen'),
    'decision_reason': ('decision', 'reason'),
    'outcome_source': ('outcome', 'source'),
    'outcome_score': ('outcome', 'score'),
}
NAMES = (
    *ROLLUP,
    *(name for name in _DIMENSIONS if name not in ROLLUP),
    *TEXTS,
    'hour',
    'id',
    *_NOT_COPIED,
    *_HANGING,
    CACHE_CAUSE,
    ROUTE,
    CONTEXT_POLICY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key in SQL.

    Attributes:
        name: As the user writes it.
        sql: Its value in a row of the entries; a dimension's is its number.
        kind: The kind of dimension; `None` where the value itself is stored.
    """

    name: str
    sql: str
    kind: str | None


def key(name: str, *, lever: str | None = None) -> Key:
    """The key of that name over `entry AS e`.

    Args:
        name: As the user writes it.
        lever: The only lever whose decisions count; `None` is any.
    """
    if name.startswith(TAG):
        literal = name.removeprefix(TAG).replace("'", "''")
        tags = _original('tags')
        sql = f"(SELECT value FROM json_each({tags}) WHERE key = '{literal}')"  # noqa: S608 - quoted
        return Key(name=name, sql=sql, kind=None)
    kind = _DIMENSIONS.get(name)
    if name in _CORRECTED:
        sql = _in_force(name)
    elif name in _HANGING:
        sql = _hanging(*_HANGING[name], lever=lever)
    elif name == ROUTE:
        sql = routing("coalesce(json_extract(facts, '$.served'), chosen)")
    elif name == CACHE_CAUSE:
        sql = (
            '(SELECT d.chosen FROM decision d '  # noqa: S608 - our own text
            f"WHERE d.id = '{EXPLAINED}' || coalesce(e.corrects, e.id))"
        )
    elif name == CONTEXT_POLICY:
        sql = context_decision('policy')
    elif name == 'id':
        sql = 'coalesce(e.corrects, e.id)'
    elif name in _NOT_COPIED:
        sql = _original(name)
    else:
        sql = f'e.{name}'
    return Key(name=name, sql=sql, kind=kind)


def query(
    *,
    by: Iterable[str] | str = (),
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, object] | None = None,
) -> Query:
    """A checked query.

    Args:
        by: Names of keys, in order.
        since: Include entries from this time on; aware.
        until: Include entries before this time; aware.
        where: A value, or a list of values of which one must match, by key; `None` is unknown.

    Raises:
        InputError: A name, time or value is none that we know.
    """
    names = tuple(part.strip() for part in by.split(',')) if isinstance(by, str) else tuple(by)
    if names == ('',):
        names = ()
    for name in names:
        check(name)
    if len(set(names)) != len(names):
        raise InputError(f'`by` is {",".join(names)}: expected each key once')
    bounds = _utc('since', since), _utc('until', until)
    if bounds[0] is not None and bounds[1] is not None and bounds[0] >= bounds[1]:
        raise InputError(f'`since` ({since}) is not before `until` ({until}): nothing would match')
    filters = {}
    for name, value in (where or {}).items():
        check(name)
        if name in (*DAYS, 'hour'):
            raise InputError(f'`where` has the key {name!r}: use `since` and `until` for times')
        values = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
        if wrong := [v for v in values if v is not None and not isinstance(v, str)]:
            raise InputError(f'`where` wants {name!r} to be {wrong[0]!r}: expected text or None')
        filters[name] = values
    return Query(by=names, since=bounds[0], until=bounds[1], where=filters)


def check(name: object) -> None:
    """Raise when there is no such key.

    Raises:
        InputError: The name is none that we know.
    """
    if isinstance(name, str):
        if name in NAMES or (name.startswith(TAG) and len(name) > len(TAG) and '\0' not in name):
            return
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f'did you mean {near[0]!r}? ' if near else ''
    else:
        hint = ''
    raise InputError(f'there is no key {name!r}: {hint}known: {", ".join(NAMES)}, tag.NAME')


def _utc(name: str, time: datetime | None) -> datetime | None:
    if time is None:
        return None
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise InputError(f'`{name}` is {time!r}: expected an aware datetime')
    return time.astimezone(UTC)


def context_decision(column: str) -> str:
    """What context control decided about a row's entry, in SQL; the last decision counts."""
    return (
        f'(SELECT d.{column} FROM decision d WHERE d.entry_id = coalesce(e.corrects, e.id) '  # noqa: S608
        "AND d.lever = 'context' ORDER BY d.rowid DESC LIMIT 1)"
    )


def _in_force(column: str) -> str:
    return (
        f'coalesce((SELECT c.{column} FROM entry c WHERE c.corrects = coalesce(e.corrects, e.id) '  # noqa: S608
        f'ORDER BY c.seq DESC LIMIT 1), e.{column})'
    )


def _original(column: str) -> str:
    return (
        f'CASE WHEN e.corrects IS NULL THEN e.{column} '  # noqa: S608 - our own column names
        f'ELSE (SELECT o.{column} FROM entry o WHERE o.id = e.corrects) END'
    )


def routing(column: str) -> str:
    """What a call's decision of routing says, in SQL; a call has one at most."""
    return (
        f'(SELECT {column} FROM decision WHERE entry_id = coalesce(e.corrects, e.id) '  # noqa: S608
        f"AND lever = '{ROUTING}' LIMIT 1)"
    )


def _hanging(table: str, column: str, *, lever: str | None) -> str:
    if table == 'decision':
        link = f"entry_id = coalesce(e.corrects, e.id) AND policy <> '{EXPLAINS}'"
        link += '' if lever is None else f" AND lever = '{lever}'"
    else:
        link = 'run_id = e.run_id'
    return (
        f"(SELECT group_concat(v, '+') FROM (SELECT DISTINCT {column} AS v FROM {table} "  # noqa: S608
        f'WHERE {link} ORDER BY 1))'
    )
