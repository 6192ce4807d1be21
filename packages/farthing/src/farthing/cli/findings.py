"""`farthing findings`: hints where money leaks, with evidence and the stake."""

from datetime import datetime
from typing import Any

import click

from farthing.cli import FOUND, options, show
from farthing.cli.show import Column
from farthing.findings import Finding, findings
from farthing.money import usd

_COLUMNS = (
    Column(name='kind', title='finding'),
    Column(name='where', title='where'),
    Column(name='calls', title='calls', kind='count'),
    Column(name='stake_usd', title='at stake', kind='money'),
    Column(name='evidence', title='evidence'),
)


@click.command('findings')
@options.since_option
@options.until_option
@options.where_option
@click.option('--fail', is_flag=True, help='End with exit code 1 when there are findings.')
@options.ledger_option
@options.format_option
def command(
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    fail: bool,  # noqa: FBT001 - a flag of the command line
    ledger: str | None,
    form: str,
) -> int:
    r"""Hints where money leaks, the largest stake first; each with its evidence.

    \b
    dear_tenant    costs ten times the median of its peers
    tiny_answers   a task whose long inputs earn tiny answers, or ones that were cut
    loop           the same prompt again and again, or one that goes round in circles
    unread_cache   a prompt cache is written, at a surcharge, and never read
    unpriced       a model without a price: what it costs is unknown

    The stake is what better use could save at most; `-` is unknown, not zero.

    \b
    Examples:
      farthing findings --since 7d
      farthing findings --where tenant=acme --format json
      farthing findings --since 24h --fail
    """
    filters = dict(options.conditions(where))
    with options.opened(ledger) as books:
        # Simulated and local calls are no real spend: they are looked at only where all are such.
        kind = books.report(since=since, until=until, where=filters).endpoint_class
        filters.setdefault('endpoint_class', (kind,))
        found = findings(books.entries(since=since, until=until, where=filters))
    if form == 'json':
        show.as_json([{**_row(one), 'where': dict(one.where)} for one in found])
    elif form == 'csv':
        show.as_csv(_COLUMNS, [_row(one) for one in found])
    elif found:
        show.as_table(_COLUMNS, [_row(one) for one in found])
    else:
        show.print_out('Nothing found.')
    return FOUND if found and fail else 0


def _row(found: Finding) -> dict[str, Any]:
    return {
        'kind': found.kind,
        'where': ' '.join(f'{key}={value or ""}' for key, value in found.where.items()),
        'calls': found.calls,
        'stake_usd': None if found.stake is None else usd(found.stake),
        'evidence': found.evidence,
    }
