"""`farthing cache explain`: why calls missed the prompt cache, where, and what it cost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from farthing.caching.causes import Pattern, Tally, summed
from farthing.cli import options, show
from farthing.cli.show import Column
from farthing.money import usd

_CAUSES = (
    Column(name='cause', title='cause'),
    Column(name='calls', title='calls', kind='count'),
    Column(name='tokens_lost', title='tokens lost', kind='count'),
    Column(name='cost_lost_usd', title='lost', kind='money'),
    Column(name='estimated', title='estimated', kind='count'),
    Column(name='unpriced', title='unpriced', kind='count'),
)
_PATTERNS = (
    Column(name='cause', title='cause'),
    Column(name='path', title='path'),
    Column(name='tenant', title='tenant'),
    Column(name='task', title='task'),
    Column(name='model', title='model'),
    Column(name='calls', title='calls', kind='count'),
    Column(name='of_calls', title='of', kind='count'),
    Column(name='tokens_lost', title='tokens lost', kind='count'),
    Column(name='cost_lost_usd', title='lost', kind='money'),
    Column(name='estimated', title='estimated', kind='count'),
    Column(name='unpriced', title='unpriced', kind='count'),
    Column(name='change', title='change'),
    Column(name='reason', title='why'),
    Column(name='entry_id', title='example'),
    Column(name='provider_says', title='the provider says'),
)
_SHOWN = ('cause', 'tenant', 'task', 'model', 'what')


@click.command('explain')
@options.since_option
@options.until_option
@options.where_option
@click.option(
    '--limit',
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help='How many of the dearest places at most.',
)
@options.prices_option
@options.ledger_option
@options.format_option
def command(
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    limit: int,
    overlay: str | None,
    ledger: str | None,
    form: str,
) -> None:
    r"""Why calls missed the prompt cache, where, and what it cost; the dearest first.

    \b
    none           read as expected
    first          nothing to read yet
    edit           a block changed, was put in or taken out before cached ones
    reorder        the same blocks in another order
    tools          a tool changed, was put in or taken out
    model          another model holds the prefix
    parameters     a parameter that is part of the prefix changed, such as tool_choice
    ttl_expired    the prefix was written, and its time was over
    lookback       the write stands too many blocks before the mark
    below_minimum  the prefix is shorter than the model caches
    unmarked       the prefix was sent before, and no mark ends there
    concurrent     it was being written by a call whose answer had not begun
    provider       it was cached by the rules, and was not read
    unknown        no counts or no fingerprints

    What was lost is the price of those tokens less that of reading them. Sizes of blocks are
    estimates, shares of the reported input: the column counts the calls whose loss rests on them.
    Each call is explained once, by the calls that the ledger then held.

    \b
    Examples:
      farthing cache explain --since 7d
      farthing cache explain --where tenant=acme --format json
      farthing report --by cache_cause,model
    """
    filters = dict(options.conditions(where))
    with options.opened(ledger) as books:
        books.explain(book=options.book(overlay))
        # Simulated and local calls are no real spend: they are looked at only where all are such.
        kind = books.report(since=since, until=until, where=filters).endpoint_class
        filters.setdefault('endpoint_class', (kind,))
        causes, patterns = summed(books.explained(since=since, until=until, where=filters))
    rows = [{'cause': cause, **_sums(tally)} for cause, tally in causes.items()]
    places = [_place(one) for one in patterns[:limit]]
    if form == 'json':
        show.as_json({'causes': rows, 'examples': places})
    elif form == 'csv':
        show.as_csv(_PATTERNS, places)
    elif rows:
        _tables(rows, places)
    else:
        show.print_out('No calls match.')


def _tables(rows: list[dict[str, Any]], places: list[dict[str, Any]]) -> None:
    show.as_table(_CAUSES, rows, title='By cause')
    if places:
        told = [{**one, 'what': _sentence(one)} for one in places]
        columns = [Column(name=name, title=name) for name in _SHOWN]
        show.as_table(columns, told, title='The dearest')


def _sums(tally: Tally) -> dict[str, Any]:
    return {
        'calls': tally.calls,
        'tokens_lost': tally.tokens_lost,
        'cost_lost_usd': usd(tally.cost_lost),
        'estimated': tally.estimated,
        'unpriced': tally.unpriced,
    }


def _place(pattern: Pattern) -> dict[str, Any]:
    tally, example = pattern.tally, pattern.tally.example
    tenant, task, model = example.who
    said = ', '.join(f'{reason} ({calls})' for reason, calls in tally.said.most_common())
    return {
        'cause': example.cause,
        'path': example.path,
        'tenant': tenant,
        'task': task,
        'model': model,
        **_sums(tally),
        'of_calls': pattern.calls,
        'change': example.change,
        'reason': example.reason,
        'entry_id': example.entry_id,
        'provider_says': said or None,
    }


def _sentence(place: Mapping[str, Any]) -> str:
    """`system[0] changed on 212 of 213 calls: 1,900,000 tokens (estimated), $4.61`."""
    what = place['reason'].partition(';')[0]
    tokens = f'{place["tokens_lost"]:,} tokens' + (' (estimated)' if place['estimated'] else '')
    known = place['calls'] - place['unpriced']
    cost = show.brief(place['cost_lost_usd']) if known else 'at an unknown price'
    cost += f' and {place["unpriced"]:,} calls unpriced' if known and place['unpriced'] else ''
    says = f'; the provider says {place["provider_says"]}' if place['provider_says'] else ''
    return f'{what}: {place["calls"]:,} of {place["of_calls"]:,} calls, {tokens}, {cost}{says}'
