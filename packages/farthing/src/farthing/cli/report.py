"""`farthing report`: exact sums by any keys."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.show import Column
from farthing.ledger.keys import CONTEXT_POLICY
from farthing.ledger.values import Report, Sums

COUNTS = (
    'calls',
    'errors',
    'input_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'cache_write_5m_tokens',
    'cache_write_1h_tokens',
    'cache_write_30m_tokens',
    'output_tokens',
    'reasoning_tokens',
)
MONEY = ('cost_usd', 'list_cost_usd')
SAVED = 'saved_usd'
DOUBTS = ('unpriced', 'assumed', 'estimated')
FIGURES = (*COUNTS, *MONEY, *DOUBTS)
ROUTED = ('graded', 'too_weak', 'too_strong', 'unproven')
_ORDER = (
    'calls',
    'errors',
    'input_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'output_tokens',
    *MONEY,
    *DOUBTS,
)

_TITLES = {
    'calls': 'calls',
    'errors': 'errors',
    'input_tokens': 'input',
    'cache_read_tokens': 'cache read',
    'cache_write_tokens': 'cache write',
    'output_tokens': 'output',
    'cost_usd': 'cost',
    'list_cost_usd': 'list cost',
    'too_weak': 'too weak',
    'too_strong': 'too strong',
    SAVED: 'saved',
}


@click.command('report')
@click.option(
    '--by',
    default='tenant,task,model,call_type',
    show_default=True,
    help='Keys to group by, with commas. An unknown one is answered with the list.',
)
@options.since_option
@options.until_option
@options.where_option
@options.ledger_option
@options.format_option
def command(
    by: str,
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    ledger: str | None,
    form: str,
) -> None:
    r"""What calls cost, by any keys, dearest first.

    Token counts are inclusive: cached tokens are part of the input, reasoning is part of the
    output. Cost sums the calls that have a price; those without one are counted as unpriced beside
    it. Calls to this machine (simulated or local servers) are never added to real spend.

    `cache_cause` is why a call read from its prompt cache what it read. Calls that have no verdict
    get one first, which scans them and those of the day before.

    With the key `route` a report says how well calls were routed. Of the calls that two routes
    answered and a grader scored (graded), too weak counts those for which the policy chose the
    weaker route and its answer is worse by more than 0.02, too strong those for which it chose the
    stronger one for nothing. Unproven calls were routed away from the default without evidence.

    By `context_policy`, the report also has what context control saved: what its calls would have
    cost with their whole history, less what they and its summaries cost. What they would have cost
    is computed from what they used, and is no bill.

    \b
    Examples:
      farthing report --by tenant,task,model,call_type
      farthing report --by day --since 30d
      farthing report --by route,policy
      farthing report --by context_policy
      farthing report --by model --where tenant=acme --where tenant=globex --format json
    """
    with options.opened(ledger) as books:
        found = books.report(
            by=options.keys(by), since=since, until=until, where=options.conditions(where)
        )
    shown(found, form)


def shown(report: Report, form: str) -> None:
    """Print a report."""
    if form == 'json':
        show.as_json(values(report))
    elif form == 'csv':
        columns = [
            *_keys(report),
            *(_figure(name) for name in (*_wanted(report), *_routed(report))),
        ]
        show.as_csv(columns, [_row(report, row, row.keys) for row in report.rows])
    else:
        _table(report)


def values(report: Report) -> dict[str, Any]:
    """The report as JSON has it; money stays `Decimal`."""
    found: dict[str, Any] = {
        'rows': [_row(report, row, row.keys) for row in report.rows],
        'total': _figures(report, report.total),
        'lost': report.lost,
    }
    if report.endpoint_class != 'real':
        found['endpoint_class'] = report.endpoint_class
    if report.local_total is not None:
        found['local_total'] = _figures(report, report.local_total)
    return found


def _row(report: Report, sums: Sums, keys: Mapping[str, str | None]) -> dict[str, Any]:
    return {**{key: keys.get(key) for key in _names(report)}, **_figures(report, sums)}


def _figures(report: Report, sums: Sums) -> dict[str, Any]:
    found = {name: getattr(sums, name) for name in _wanted(report)}
    return found if sums.routed is None else found | asdict(sums.routed)


def _wanted(report: Report) -> tuple[str, ...]:
    return (*FIGURES, SAVED) if CONTEXT_POLICY in report.by else FIGURES


def _routed(report: Report) -> tuple[str, ...]:
    return ROUTED if 'route' in report.by else ()


def _names(report: Report) -> tuple[str, ...]:
    mixed = report.local_total is not None and 'endpoint_class' not in report.by
    return (*report.by, 'endpoint_class') if mixed else report.by


def _keys(report: Report) -> list[Column]:
    return [Column(name=key, title=key.replace('_', ' ')) for key in _names(report)]


def _figure(name: str) -> Column:
    title = _TITLES.get(name, name)
    return Column(name=name, title=title, kind='money' if name in (*MONEY, SAVED) else 'count')


def _table(report: Report) -> None:
    if not report.rows:
        show.print_out('No calls match.', *_notes(report))
        return
    # A table leaves out figures that are zero throughout; JSON and CSV have all of them.
    others = ['cache_read_tokens', 'cache_write_tokens', 'errors', *DOUBTS]
    shown = {name for name in others if any(getattr(row, name) for row in report.rows)}
    if any(row.list_cost != row.cost for row in report.rows):
        shown.add('list_cost_usd')
    shown |= {'calls', 'input_tokens', 'output_tokens', 'cost_usd', SAVED}
    names = [name for name in (*_ORDER, SAVED) if name in {*_wanted(report)} & shown]
    columns = [*_keys(report), *(_figure(name) for name in (*names, *_routed(report)))]
    rows = [_row(report, row, row.keys) | _unknown(row) for row in report.rows]
    show.as_table(columns, rows, total=_total(report), notes=_notes(report))


def _unknown(sums: Sums) -> dict[str, None]:
    """The sums of a group in which no call has a price: a table must not show them as 0."""
    return dict.fromkeys(MONEY) if sums.calls and sums.unpriced == sums.calls else {}


def _total(report: Report) -> dict[str, Any] | None:
    """The last row; none where a single row is all there is."""
    if not report.by:
        return None
    name = 'total' if report.local_total is None else 'total (real)'
    return (
        {**dict.fromkeys(_names(report), ''), report.by[0]: name}
        | _figures(report, report.total)
        | _unknown(report.total)
    )


def _notes(report: Report) -> list[str]:
    notes = []
    if _unknown(report.total):
        notes.append('Total: unknown, no call has a price.')
    elif report.lost or report.total.unpriced:
        notes.append(f'Total: at least {show.brief(report.total.cost_usd)}')
    if report.lost:
        notes.append(f'At least, for {report.lost:,} calls could not be recorded (lost).')
    if report.total.unpriced:
        notes.append(
            f'{report.total.unpriced:,} calls have no price and are missing in the cost: '
            '`farthing entries --where price_status=unpriced` says why.'
        )
    if report.total.assumed:
        notes.append(
            f'{report.total.assumed:,} prices rest on an assumed condition: '
            '`farthing entries --where price_status=assumed` says which.'
        )
    if report.total.estimated:
        notes.append(f'{report.total.estimated:,} calls have estimated counts.')
    if (routed := report.total.routed) is not None and routed.unproven:
        notes.append(
            f'{routed.unproven:,} calls were routed away from the default without evidence: '
            '`farthing router eval` says what is missing.'
        )
    if report.endpoint_class != 'real':
        notes.append('All of these calls went to this machine: simulated or local, no real spend.')
    elif report.local_total is not None:
        notes.append(
            f'Not in the total: {report.local_total.calls:,} calls to this machine '
            f'(simulated or local), {show.brief(report.local_total.cost_usd)}.'
        )
    return notes
