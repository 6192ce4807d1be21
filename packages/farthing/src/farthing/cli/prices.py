"""`farthing prices`: what the book holds, whether it is sound, and how it differs."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import click

from farthing.cli import FOUND, options, show
from farthing.cli.options import Moment
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.prices import PriceBook
from farthing.prices.book import Shown

Key = tuple[str, str, str, int, str]

_KEY = (
    Column(name='provider', title='provider'),
    Column(name='model', title='model'),
    Column(name='tier', title='tier'),
    Column(name='above', title='above', kind='count'),
    Column(name='meter', title='meter'),
)
_SHOWN = (
    *_KEY,
    Column(name='usd', title='USD', kind='money'),
    Column(name='per', title='per'),
    Column(name='read_on', title='read on'),
    Column(name='url', title='source'),
)
_CSV = (*_SHOWN, Column(name='assumed', title='assumed'), Column(name='rules', title='rules'))
_DIFF = (
    *_KEY,
    Column(name='before_usd', title='before', kind='money'),
    Column(name='after_usd', title='after', kind='money'),
)
_MODELS = (Column(name='provider', title='provider'), Column(name='model', title='model'))
_PROBLEMS = (*_MODELS, Column(name='problem', title='problem'))

provider_option = click.option('--provider', help='Of this seller only.')


@click.group('prices')
def command() -> None:
    r"""Show and check the price book, compare it.

    \b
    Examples:
      farthing prices show claude-sonnet-4-6 --at 2026-06-01
      farthing prices check --max-age-days 60
      farthing prices diff --from 2026-06-01 --to today
      farthing prices diff --prices ours.toml
    """


@command.command('show')
@click.argument('model', required=False)
@provider_option
@click.option('--at', type=Moment(), default='now', show_default=True, help='In force when.')
@options.prices_option
@options.format_option
def show_prices(
    model: str | None, provider: str | None, at: datetime, overlay: str | None, form: str
) -> None:
    r"""The rates of a model at a time, each with its source; without a model, all models.

    Rates are USD for a million tokens, or for a thousand uses of a provider's own tool, at the
    list's tier, batch among them. `above` is the length of prompt from which a rate holds.

    \b
    Examples:
      farthing prices show
      farthing prices show claude-haiku-5-5
      farthing prices show gpt-5.4 --provider azure --at 2026-06-01 --format json
    """
    book = options.book(overlay)
    known = book.models(provider)
    if not known:
        sellers = ', '.join(sorted({seller for seller, _ in book.models()}))
        raise InputError(f'there is no provider {provider!r} in the book: expected {sellers}')
    if model is None:
        rows = [{'provider': seller, 'model': name} for seller, name in known]
        _print(form, _MODELS, rows, notes=[f'Price book {book.version}.'])
        return
    rates = book.show(model, at, provider=provider)
    if not rates:
        near = get_close_matches(model, [name for _, name in known], n=5, cutoff=0.5)
        raise InputError(
            f'no price of {model!r} on {at:%Y-%m-%d}: '
            + (f'near are {", ".join(near)}' if near else '`farthing prices show` lists all models')
        )
    doubts = sum(rate.doubt is not None for rate in rates)
    notes = [f'Price book {book.version}.']
    notes += [f'{doubts} rates are assumed: JSON says what.'] if doubts else []
    _print(form, _CSV if form == 'csv' else _SHOWN, [_values(one) for one in rates], notes=notes)


@command.command('check')
@click.option(
    '--max-age-days',
    type=click.IntRange(min=0),
    default=120,
    show_default=True,
    help='A rate that was read earlier counts as old.',
)
@options.prices_option
@options.format_option
def check(max_age_days: int, overlay: str | None, form: str) -> int:
    r"""Check that each rate has a source, is not old, and makes sense beside its siblings.

    Exit code 1 when something is found.

    \b
    Examples:
      farthing prices check
      farthing prices check --max-age-days 30 --format json
    """
    book, now = options.book(overlay), datetime.now(UTC)
    models = book.models()
    found = [
        {'provider': seller, 'model': model, 'problem': problem}
        for seller, model in models
        for problem in problems(book, seller, model, now, timedelta(days=max_age_days))
    ]
    if form == 'json':
        show.as_json(
            {'ok': not found, 'book': book.version, 'models': len(models), 'problems': found}
        )
    elif found or form == 'csv':
        _print(form, _PROBLEMS, found, notes=[f'Price book {book.version}.'])
    else:
        show.print_out(f'ok: {len(models)} models, price book {book.version}')
    return FOUND if found else 0


def problems(
    book: PriceBook, seller: str, model: str, now: datetime, most: timedelta
) -> Iterator[str]:
    """What is wrong with a model's rates, one sentence each; retired models have none."""
    rates = book.show(model, now, provider=seller)
    by_meter: dict[tuple[str, int], dict[str, Decimal]] = {}
    for one in rates:
        by_meter.setdefault((one.tier, one.above), {})[one.meter] = one.usd
        name = f'{one.meter} of the tier {one.tier}'
        free = one.tier == 'tool' and not one.usd
        if one.url is None and not free and not _is_ours(one):
            yield f'{name} has no source'
        if one.read_on is not None and now.date() - date.fromisoformat(one.read_on) > most:
            yield f'{name} was read on {one.read_on}, more than {most.days} days ago'
    for (tier, above), meters in by_meter.items():
        plain, read = meters.get('input'), meters.get('cache_read')
        if tier != 'tool' and plain is None:
            yield f'the tier {tier} has no rate of plain input'
        if plain is not None and read is not None and read > plain:
            yield f'tier {tier} above {above}: cached input is dearer than plain input'
        standard = by_meter.get(('standard', above), {}).get('input')
        if tier in {'batch', 'flex'} and None not in {plain, standard} and plain > standard:  # type: ignore[operator]
            yield f'the tier {tier} is dearer than standard'


def _is_ours(rate: Shown) -> bool:
    """Whether it is the user's own rate, which needs no source."""
    return any(rule.startswith('overlay') for rule in rate.rules)


@command.command('diff')
@click.option('--from', 'before', type=Moment(), help='The earlier time.')
@click.option('--to', 'after', type=Moment(), default='now', show_default=True, help='The later.')
@click.option('--with', 'peer', type=click.Choice(['genai-prices']), help='Another price table.')
@provider_option
@options.prices_option
@options.format_option
def diff(
    before: datetime | None,
    after: datetime,
    peer: str | None,
    provider: str | None,
    overlay: str | None,
    form: str,
) -> None:
    r"""What changed between two dates, what your own prices change, or what a peer says.

    With `--from`, the book at two times; with `--with`, the peer's table beside the book where
    both know a rate; else the book beside itself with `--prices` laid over it.

    \b
    Examples:
      farthing prices diff --from 2026-06-01 --to 2026-11-01 --provider openai
      farthing prices diff --prices ours.toml
      farthing prices diff --with genai-prices
    """
    if before is None and overlay is None and peer is None:
        raise InputError('nothing to compare: give `--from`, `--with`, or `--prices` a file')
    if before is not None and (peer is not None or before >= after):
        raise InputError(f'`--from` is {before}: expected a time before `--to`, and no `--with`')
    mine = options.book(overlay)
    new = rates(mine, after, provider)
    if before is not None:
        old = rates(mine, before, provider)
    elif peer is not None:
        old = _peer(mine, after, provider)
        new = {key: rate for key, rate in new.items() if key in old}
    else:
        old = rates(options.book(None), after, provider)
    rows = list(differences(old, new))
    if form == 'table' and not rows:
        show.print_out(f'No difference in {len(new):,} rates.')
        return
    _print(form, _DIFF, rows, notes=[f'{len(rows):,} differences in {len(new):,} rates.'])


def _peer(book: PriceBook, at: datetime, provider: str | None) -> dict[Key, Decimal]:
    try:
        from farthing.cli import peers  # noqa: PLC0415 - the extra `genai-prices`
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name!r} is missing: install it with `pip install 'farthing[genai-prices]'`"
        ) from error
    return dict(peers.rates(book, at, provider))


def rates(book: PriceBook, at: datetime, provider: str | None) -> dict[Key, Decimal]:
    """All rates of a book at a time."""
    listed = (
        one
        for seller, model in book.models(provider)
        for one in book.show(model, at, provider=seller)
    )
    return {(one.provider, one.model, one.tier, one.above, one.meter): one.usd for one in listed}


def differences(
    before: Mapping[Key, Decimal], after: Mapping[Key, Decimal]
) -> Iterator[dict[str, Any]]:
    """Rates that are not the same; `None` is a rate that is not there."""
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            named = {column.name: part for column, part in zip(_KEY, key, strict=True)}
            yield {**named, 'before_usd': before.get(key), 'after_usd': after.get(key)}


def _values(rate: Shown) -> dict[str, Any]:
    return {
        'provider': rate.provider,
        'model': rate.model,
        'tier': rate.tier,
        'above': rate.above,
        'meter': rate.meter,
        'usd': rate.usd,
        'per': 'thousand uses' if rate.tier == 'tool' else 'million tokens',
        'assumed': rate.doubt,
        'rules': list(rate.rules),
        'url': rate.url,
        'read_on': rate.read_on,
    }


def _print(
    form: str, columns: Iterable[Column], rows: list[dict[str, Any]], *, notes: list[str]
) -> None:
    if form == 'json':
        show.as_json(rows)
    elif form == 'csv':
        flat = [{**row, 'rules': ' '.join(row.get('rules', ()))} for row in rows]
        show.as_csv(list(columns), flat)
    else:
        show.as_table(list(columns), rows, notes=notes)
