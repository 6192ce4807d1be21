"""`farthing reprice`: stored calls at the prices of today's book, as corrections."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.show import Column
from farthing.entry import Correction, Entry
from farthing.ledger import Booked
from farthing.money import usd
from farthing.prices import PriceBook
from farthing.prices.quote import Call, Quote, Terms

_COLUMNS = (
    Column(name='time', title='time (UTC)'),
    Column(name='tenant', title='tenant'),
    Column(name='task', title='task'),
    Column(name='model', title='model'),
    Column(name='old_cost_usd', title='old cost', kind='money'),
    Column(name='new_cost_usd', title='new cost', kind='money'),
    Column(name='old_status', title='was'),
    Column(name='new_status', title='is'),
)
_CSV = (Column(name='id', title='id'), *_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A call whose price the book of today sees otherwise.

    Attributes:
        booked: The call, and the price in force until now.
        quote: The new price.
        list_cost: The new list cost in 1e-12 USD.
    """

    booked: Booked
    quote: Quote
    list_cost: int | None

    def correction(self, now: datetime) -> Correction:
        """What is posted; the same change has the same id."""
        entry, before = self.booked.entry, self.booked.corrections
        return Correction(
            id=f'{entry.id}~{self.quote.book}~{before + 1}',
            time=now,
            corrects=entry.id,
            reason='reprice',
            quote=self.quote,
            list_cost=self.list_cost,
        )


@click.command('reprice')
@options.since_option
@options.until_option
@options.where_option
@click.option('--dry-run', is_flag=True, help='Show what would change, and post nothing.')
@options.ledger_option
@options.prices_option
@options.format_option
def command(
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - a flag of the command line
    ledger: str | None,
    overlay: str | None,
    form: str,
) -> None:
    r"""Price stored calls again by the book of today.

    Each call keeps its own date: a rate that changed since does not touch it; a rate that the book
    had wrong or did not know does. What differs is posted as a correction; the entry stays as it
    was, and `farthing entries` shows both figures. An answer that ran several prompts is left
    alone: the ledger keeps their sum, and a price may hang on the length of each.

    \b
    Examples:
      farthing reprice --dry-run
      farthing reprice --since 30d --where price_status=unpriced
    """
    book = options.book(overlay)
    filters = options.conditions(where)
    with options.opened(ledger) as books:
        found, left = changes(books.entries(since=since, until=until, where=filters), book)
        if not dry_run:
            now = datetime.now(UTC)
            for change in found:
                books.post_correction(change.correction(now))
            books.flush()
    _shown(found, left, form, dry_run=dry_run, version=book.version)


def changes(rows: Iterable[Booked], book: PriceBook) -> tuple[list[Change], int]:
    """What the book sees otherwise, and how many calls it cannot judge."""
    found, left = [], 0
    for row in rows:
        entry = row.entry
        if entry.usage is None:
            continue
        if _of_several_prompts(row.quote):
            left += 1
            continue
        call = Call(
            provider=entry.provider, model=entry.model, at=entry.time, terms=terms_of(entry)
        )
        quote = _in_doubt(book.quote(entry.usage, call), row.quote)
        list_cost = book.list_quote(entry.usage, call).cost
        if _is_unbilled(entry):
            quote = replace(row.quote, book=book.version)
        if (quote.cost, list_cost) != (row.quote.cost, row.list_cost):
            found.append(Change(booked=row, quote=quote, list_cost=list_cost))
    return found, left


def terms_of(entry: Entry) -> Terms:
    """The conditions of a stored call."""
    return Terms(tier=entry.tier, batch=entry.mode == 'batch', geo=entry.geo, region=entry.region)


def _is_unbilled(entry: Entry) -> bool:
    """Whether the provider billed nothing: a framework's cache answered, or it refused."""
    return entry.quote.cost == 0 and not entry.quote.lines


def _of_several_prompts(quote: Quote) -> bool:
    """Whether the price in force is a sum over prompts, which have a line of each meter."""
    meters = [line.meter for line in quote.lines]
    return len(meters) > len(set(meters))


def _in_doubt(quote: Quote, old: Quote) -> Quote:
    """What the answer itself left open stays open: no book can settle it."""
    kept = [name for name in old.assumed if name not in quote.assumed and name not in _SETTLED]
    if quote.cost is None or not kept:
        return quote
    return replace(quote, status='assumed', assumed=(*quote.assumed, *kept))


_SETTLED = frozenset({'tier', 'batch', 'geo', 'region'})


def _shown(found: list[Change], left: int, form: str, *, dry_run: bool, version: str) -> None:
    rows = [_row(change) for change in found]
    before, after = _sum(rows, 'old_cost_usd'), _sum(rows, 'new_cost_usd')
    if form == 'json':
        show.as_json(
            {
                'changes': rows,
                'old_cost_usd': before,
                'new_cost_usd': after,
                'left': left,
                'book': version,
                'posted': not dry_run,
            }
        )
        return
    if form == 'csv':
        show.as_csv(_CSV, rows)
        return
    if rows:
        total = {'time': 'total', 'tenant': '', 'task': '', 'model': '', 'old_status': ''}
        total |= {'new_status': '', 'old_cost_usd': before, 'new_cost_usd': after}
        show.as_table(_COLUMNS, rows, total=total)
    done = 'would be posted (--dry-run)' if dry_run else 'posted; the entries stay as they were'
    show.print_out(f'{len(rows):,} corrections {done}. Price book {version}.')
    if left:
        show.print_out(
            f'{left:,} calls ran several prompts, of which the ledger keeps the sum: they are left '
            'as they were.'
        )


def _row(change: Change) -> Mapping[str, Any]:
    entry, old, new = change.booked.entry, change.booked.quote, change.quote
    return {
        'id': entry.id,
        'time': entry.time,
        'tenant': entry.attribution.tenant,
        'task': entry.attribution.task,
        'model': entry.model,
        'old_cost_usd': old.cost_usd,
        'new_cost_usd': new.cost_usd,
        'old_status': old.status,
        'new_status': new.status,
    }


def _sum(rows: list[Mapping[str, Any]], name: str) -> Any:
    return sum((row[name] for row in rows if row[name] is not None), usd(0))
