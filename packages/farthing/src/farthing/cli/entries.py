"""`farthing entries`: the latest calls, one a line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.cases import counts, line_values
from farthing.cli.show import Column
from farthing.ledger import Booked
from farthing.money import usd

_COLUMNS = (
    Column(name='time', title='time (UTC)'),
    Column(name='tenant', title='tenant'),
    Column(name='task', title='task'),
    Column(name='model', title='model'),
    Column(name='status', title='status'),
    Column(name='input_tokens', title='input', kind='count'),
    Column(name='cache_read_tokens', title='cache read', kind='count'),
    Column(name='cache_write_tokens', title='cache write', kind='count'),
    Column(name='output_tokens', title='output', kind='count'),
    Column(name='cost_usd', title='cost', kind='money'),
    Column(name='price', title='price'),
)
_CSV = (
    'id', 'time', 'provider', 'model', 'model_requested', 'model_served', 'api', 'call_type',
    'purpose', 'mode', 'cacheable', 'tier', 'endpoint', 'tenant', 'task', 'session', 'run_id',
    'parent_run_id', 'status', 'error', 'usage_source', 'input_tokens', 'cache_read_tokens',
    'cache_write_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
    'cache_write_30m_tokens', 'output_tokens', 'reasoning_tokens', 'cost_usd', 'list_cost_usd',
    'posted_cost_usd', 'price_status', 'assumed', 'unpriced_reason', 'book', 'corrections',
    'latency_us', 'first_token_us',
)  # fmt: skip


@click.command('entries')
@click.option(
    '--limit', type=click.IntRange(min=1), default=20, show_default=True, help='How many at most.'
)
@options.since_option
@options.until_option
@options.where_option
@options.ledger_option
@options.format_option
def command(
    limit: int,
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    ledger: str | None,
    form: str,
) -> None:
    r"""The latest entries, newest first, with what they cost by now.

    JSON holds everything that the ledger knows of a call: line items, tags, what was assumed, the
    cost as it was posted. Prompts and answers are in no ledger.

    \b
    Examples:
      farthing entries --limit 5
      farthing entries --where tenant=acme --where status=error --since 24h
      farthing entries --where price_status=unpriced --format json
    """
    with options.opened(ledger) as books:
        found = list(
            books.entries(since=since, until=until, where=options.conditions(where), limit=limit)
        )
    if form == 'json':
        show.as_json([values(one) for one in found])
    elif form == 'csv':
        columns = [Column(name=name, title=name) for name in _CSV]
        show.as_csv(columns, [_flat(one) for one in found])
    elif found:
        show.as_table(_COLUMNS, [_row(one) for one in found])
    else:
        show.print_out('No calls match.')


def values(booked: Booked) -> dict[str, Any]:
    """Everything that the ledger knows of one call; money stays `Decimal`."""
    entry, who, quote = booked.entry, booked.entry.attribution, booked.quote
    return {
        'id': entry.id,
        'time': entry.time,
        'provider': entry.provider,
        'model': entry.model,
        'model_requested': entry.model_requested,
        'model_served': entry.model_served,
        'api': entry.api,
        'call_type': entry.call_type,
        'purpose': who.purpose,
        'mode': entry.mode,
        'cacheable': entry.cacheable,
        'tier': entry.tier,
        'endpoint': entry.endpoint,
        'tenant': who.tenant,
        'task': who.task,
        'session': who.session,
        'tags': dict(who.tags),
        'run_id': entry.run_id,
        'parent_run_id': entry.parent_run_id,
        'status': entry.status,
        'error': entry.error,
        'usage': None if entry.usage is None else counts(entry.usage),
        'usage_source': entry.usage_source,
        'cost_usd': quote.cost_usd,
        'list_cost_usd': None if booked.list_cost is None else usd(booked.list_cost),
        'posted_cost_usd': entry.cost_usd,
        'price_status': quote.status,
        'assumed': list(quote.assumed),
        'unpriced_reason': quote.reason,
        'lines': [line_values(line) for line in quote.lines],
        'book': quote.book,
        'corrections': booked.corrections,
        'latency_us': entry.latency_us,
        'first_token_us': entry.first_token_us,
    }


def _flat(booked: Booked) -> Mapping[str, Any]:
    """One row of CSV: unknown usage leaves its fields empty."""
    held = values(booked)
    return {**held, **(held['usage'] or {}), 'assumed': '; '.join(held['assumed'])}


def _row(booked: Booked) -> Mapping[str, Any]:
    """One row of the table; the price's column says what is wrong with it, if anything is."""
    held, quote = _flat(booked), booked.quote
    said = {
        'exact': 'exact',
        'assumed': f'assumed: {held["assumed"]}',
        'unpriced': f'unpriced: {quote.reason}',
    }[quote.status]
    if booked.entry.usage_source == 'estimated':
        said += ', estimated counts'
    if booked.corrections:
        posted = booked.entry.cost_usd
        was = 'unpriced' if posted is None else show.brief(posted)
        said += f', corrected (was {was})'
    status = f'{held["status"]} ({held["error"]})' if held['error'] else held['status']
    return {**held, 'price': said, 'status': status}
