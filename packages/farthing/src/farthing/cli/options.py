"""Options that several verbs take, and how their values are read."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from farthing.errors import InputError
from farthing.ledger import KEYS, ROLLUP_KEYS, Ledger, check_key
from farthing.prices import PriceBook

_AGO = re.compile(r'(\d{1,6})([mhdw])')
_UNITS = {'m': 'minutes', 'h': 'hours', 'd': 'days', 'w': 'weeks'}
_WHEN = (
    'a date such as 2026-11-23, a time such as 2026-11-23T14:00Z, `today`, `yesterday`, '
    'or an age such as 24h or 7d'
)


def moment(text: str, now: datetime) -> datetime:
    """The time that `text` names, in UTC; a time without zone is UTC, a date is its first moment.

    Raises:
        InputError: It names none.
    """
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    word = text.strip()
    if word in {'now', 'today', 'yesterday'}:
        return {'now': now, 'today': midnight, 'yesterday': midnight - timedelta(days=1)}[word]
    try:
        if found := _AGO.fullmatch(word):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        read = datetime.fromisoformat(word)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f'{text!r} is no time: expected {_WHEN}') from error


def is_date(text: str) -> bool:
    """Whether `text` names a whole day and no time of it."""
    try:
        return bool(date.fromisoformat(text.strip()))
    except ValueError:
        return text.strip() in {'today', 'yesterday'}


class Moment(click.ParamType[datetime]):
    """A time on the command line."""

    name = 'when'

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time that `value` names."""
        if isinstance(value, datetime):
            return value
        try:
            return moment(value, datetime.now(UTC))
        except InputError as error:
            self.fail(str(error), param, ctx)


def conditions(given: tuple[str, ...]) -> Mapping[str, tuple[str | None, ...]]:
    """`--where` as the ledger takes it: several values of one key are alternatives.

    Raises:
        InputError: One is no `key=value`.
    """
    where: dict[str, tuple[str | None, ...]] = {}
    for one in given:
        key, equals, value = one.partition('=')
        if not key or not equals:
            raise InputError(
                f'`--where` is {one!r}: expected key=value such as tenant=acme '
                '(an empty value stands for unknown)'
            )
        where[key] = (*where.get(key, ()), value or None)
    return where


def keys(text: str) -> tuple[str, ...]:
    """`--by` as the ledger takes it.

    Raises:
        InputError: A key is none that we know; it lists those that are.
    """
    found = tuple(part.strip() for part in text.split(',') if part.strip())
    for name in found:
        try:
            check_key(name)
        except InputError as error:
            others = ', '.join(one for one in KEYS if one not in ROLLUP_KEYS)
            near = get_close_matches(name, KEYS, n=1)
            raise InputError(
                f'`--by` has the key {name!r}: expected any of {", ".join(ROLLUP_KEYS)} '
                f'(at once, from daily sums), or {others}, tag.NAME (these scan the entries)'
                + (f'; did you mean {near[0]!r}?' if near else '')
            ) from error
    return found


def opened(url: str | None) -> Ledger:
    """An existing ledger; reading never makes one.

    Raises:
        LedgerError: There is none, or it cannot be read.
        InputError: The address is none that we know.
    """
    return Ledger.open(url, create=False)


def book(overlay: str | None) -> PriceBook:
    """The release's price book, with the user's own prices laid over it.

    Raises:
        PriceError: A price file cannot be read.
    """
    return PriceBook.load().with_overlay(Path(overlay)) if overlay else PriceBook.load()


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

ledger_option: Decorator = click.option(
    '--ledger', metavar='URL', help='The ledger: a path or sqlite:///path. [env: FARTHING_LEDGER]'
)
format_option: Decorator = click.option(
    '--format',
    'form',
    type=click.Choice(['table', 'json', 'csv']),
    default='table',
    show_default=True,
    help='In JSON and CSV money is exact, as decimal strings.',
)
prices_option: Decorator = click.option(
    '--prices',
    'overlay',
    metavar='FILE',
    envvar='FARTHING_PRICES',
    help='Your own prices, laid over the book. [env: FARTHING_PRICES]',
)
since_option: Decorator = click.option(
    '--since', type=Moment(), help='From this time on: 2026-11-01, 7d, 24h, today, yesterday.'
)
until_option: Decorator = click.option(
    '--until', type=Moment(), help='Before this time; a date means its first moment, in UTC.'
)
where_option: Decorator = click.option(
    '--where',
    multiple=True,
    metavar='KEY=VALUE',
    help='Only calls with this value; repeat it for more. `tenant=` finds those without one.',
)

tools_option = click.option(
    '--tools', metavar='FILE', help='JSON of the tools that every call sends.'
)
join_option = click.option(
    '--join',
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help='So many lines in a row are one session.',
)
at_option = click.option(
    '--at', type=Moment(), default='now', show_default=True, help='Prices of which day.'
)
