"""Which tables answer a query: whole months and days from the rollups, the rest by a scan."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from farthing.ledger.keys import ROLLUP
from farthing.ledger.record import microseconds
from farthing.ledger.schema import DAY_US
from farthing.ledger.values import Query

_EPOCH = date(1970, 1, 1)
_LONGEST_MONTH = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One SELECT.

    Attributes:
        table: What it reads.
        since: First day of a rollup, first microsecond of `entry`; `None` is open.
        until: First day or microsecond that no longer counts; `None` is open.
    """

    table: Literal['entry', 'daily', 'monthly']
    since: int | None
    until: int | None

    @property
    def summed(self) -> bool:
        """Whether it reads a rollup."""
        return self.table != 'entry'


def plan(query: Query) -> list[Part]:
    """The parts whose sums, added up, answer `query`."""
    entries = scan(query)
    since, until = entries.since, entries.until
    if not {*query.by, *query.where} <= set(ROLLUP):
        return [entries]
    first = None if since is None else -(-since // DAY_US)
    last = None if until is None else until // DAY_US
    days = Part(table='daily', since=first, until=last)
    if _is_empty(days):
        return [entries]
    edges = [
        Part(table='entry', since=since, until=None if first is None else first * DAY_US),
        Part(table='entry', since=None if last is None else last * DAY_US, until=until),
    ]
    inner = [days] if 'day' in query.by else _months(days)
    return [*inner, *(edge for edge in edges if _is_edge(edge))]


def scan(query: Query) -> Part:
    """All of a query by a scan of the entries."""
    return Part(
        table='entry',
        since=None if query.since is None else microseconds(query.since),
        until=None if query.until is None else microseconds(query.until),
    )


def _months(days: Part) -> list[Part]:
    """Whole months, and the days before and after them."""
    first = None if days.since is None else _next_month(days.since)
    last = None if days.until is None else _month(days.until)
    months = Part(table='monthly', since=first, until=last)
    if _is_empty(months):
        return [days]
    edges = [
        Part(table='daily', since=days.since, until=first),
        Part(table='daily', since=last, until=days.until),
    ]
    return [months, *(edge for edge in edges if _is_edge(edge))]


def _is_empty(part: Part) -> bool:
    return part.since is not None and part.until is not None and part.since >= part.until


def _is_edge(part: Part) -> bool:
    return part.since is not None and part.until is not None and part.since < part.until


def _month(day: int) -> int:
    """The first day of a day's month."""
    return day - (_EPOCH + timedelta(days=day)).day + 1


def _next_month(day: int) -> int:
    """The first day of a month that is not before `day`."""
    start = _month(day)
    try:
        return start if start == day else _month(start + _LONGEST_MONTH)
    except OverflowError:  # the last month that a date can have
        return start + _LONGEST_MONTH
