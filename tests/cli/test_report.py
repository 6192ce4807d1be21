import csv
import io
import json
import sqlite3
from decimal import Decimal

import pytest
from tests.cli.conftest import NOON, UNPRICED, Run, entry

from farthing import Attribution, Decision, Ledger, Outcome
from farthing.cli.show import clean
from farthing.ledger.routed import shadow

FIGURES = {
    'calls': 2,
    'errors': 0,
    'input_tokens': 2_000,
    'cache_read_tokens': 0,
    'cache_write_tokens': 0,
    'cache_write_5m_tokens': 0,
    'cache_write_1h_tokens': 0,
    'cache_write_30m_tokens': 0,
    'output_tokens': 200,
    'reasoning_tokens': None,
    'cost_usd': '0.009',
    'list_cost_usd': '0.009',
    'unpriced': 0,
    'assumed': 0,
    'estimated': 0,
}


def test_a_report_in_json_is_rows_total_and_lost_with_money_as_strings(run, ledger) -> None:
    done = run('report', '--by', 'tenant,model', '--format', 'json')

    report = json.loads(done.stdout)
    assert 0 == done.exit_code
    assert {'rows', 'total', 'lost'} == report.keys()
    assert {'tenant': 'acme', 'model': 'claude-sonnet-4-5', **FIGURES} == report['rows'][0]
    assert 4 == report['total']['calls']
    assert 1 == report['total']['errors']
    assert 1 == report['total']['unpriced']
    assert '0.009' == report['total']['cost_usd']
    assert 0 == report['lost']


def test_a_report_in_csv_has_a_header_and_exact_money(run, ledger) -> None:
    done = run('report', '--by', 'tenant', '--format', 'csv')

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [('acme', '0.009', '1'), ('globex', '0', '0')] == [
        (row['tenant'], row['cost_usd'], row['unpriced']) for row in rows
    ]


def test_a_table_says_at_least_where_calls_have_no_price(run, ledger) -> None:
    done = run('report', '--by', 'tenant')

    assert '$0.009' in done.stdout
    assert 'at least $0.009' in done.stdout
    assert '1 calls have no price' in done.stdout


def test_a_table_says_at_least_where_calls_were_lost(run, ledger) -> None:
    with Ledger.open(ledger) as books:
        books.lose('OSError')
        books.lose('OSError')

    table = run('report', '--by', 'tenant').stdout
    lost = json.loads(run('report', '--format', 'json').stdout)['lost']

    assert '2 calls could not be recorded' in table
    assert 'at least $0.009' in table
    assert 2 == lost


def test_local_calls_are_never_added_to_real_spend(run, ledger) -> None:
    with Ledger.open(ledger) as books:
        books.post(entry(4, endpoint='127.0.0.1:4000'))

    table = run('report', '--by', 'tenant').stdout
    report = json.loads(run('report', '--by', 'tenant', '--format', 'json').stdout)

    assert ('0.009', '0.0045') == (
        report['total']['cost_usd'],
        report['local_total']['cost_usd'],
    )
    assert {'real', 'local'} == {row['endpoint_class'] for row in report['rows']}
    assert 'total (real)' in table
    assert 'Not in the total: 1 calls to this machine (simulated or local), $0.0045.' in table


@pytest.mark.parametrize(
    ('arguments', 'calls'),
    [
        (('--since', '2026-11-03'), 1),
        (('--until', '2026-11-03'), 3),
        (('--since', '2026-11-02T14:00', '--until', '2026-11-02T15:00Z'), 1),
        (('--where', 'tenant=acme'), 3),
        (('--where', 'tenant=acme', '--where', 'tenant=globex'), 4),
        (('--where', 'tenant=acme', '--where', 'model=claude-x'), 1),
        (('--where', 'task='), 1),  # globex's call has no task
        (('--where', 'tenant=nobody'), 0),
        (('--since', 'yesterday', '--until', 'now', '--where', 'tenant=nobody'), 0),
        (('--since', '100000d'), 4),
    ],
)
def test_times_and_conditions_choose_the_calls(run, ledger, arguments, calls) -> None:
    done = run('report', '--by', '', '--format', 'json', *arguments)

    assert calls == json.loads(done.stdout)['total']['calls']


def test_entries_are_the_newest_first_with_all_that_is_known(run, ledger) -> None:
    found = json.loads(run('entries', '--limit', '2', '--format', 'json').stdout)

    assert ['call-30', 'call-3'] == [one['id'] for one in found]
    assert None is found[0]['cost_usd']
    assert 'no price for it' == found[0]['unpriced_reason']
    assert None is found[1]['usage']


def test_a_table_of_entries_shows_unknown_as_unknown(run, ledger) -> None:
    table = run('entries').stdout

    assert 'unpriced: no price for it' in table
    assert 'error (http_529)' in table
    assert '$0.0045' in table


def test_names_cannot_steer_the_terminal(run, ledger) -> None:
    assert 'a\N{REPLACEMENT CHARACTER}[31mred' == clean('a\x1b[31mred')


def test_verify_accepts_a_sound_ledger(run, ledger) -> None:
    done = run('verify')

    assert 0 == done.exit_code
    assert done.stdout.startswith('ok: 4 entries')


def test_verify_tells_each_difference_and_ends_with_1(run, ledger) -> None:
    with sqlite3.connect(ledger) as db:
        db.execute('UPDATE daily SET input_tokens = input_tokens + 1 WHERE calls = 2')
    db.close()

    done = run('verify')
    told = json.loads(run('verify', '--format', 'json').stdout)

    assert 1 == done.exit_code
    assert 'input_tokens' in done.stdout
    assert not told['ok']
    assert all(one in done.stdout.replace('\n', ' ') for one in told['differences'])


def test_a_table_shows_no_cost_where_no_call_has_a_price(run) -> None:
    with Ledger.open('farthing.db') as ledger:
        ledger.post(entry(1, quote=UNPRICED, list_cost=None))

    done = run('report', '--by', 'tenant')

    assert '$' not in done.stdout
    assert 'Total: unknown' in done.stdout


def test_by_route_shows_misroutes_where_they_are_known(run: Run, ledger: str) -> None:
    routed = {'time': NOON, 'lever': 'routing', 'policy': 'rules', 'version': '1', 'reason': 'rule'}
    with Ledger.open(ledger) as books:
        books.post(entry(5, run_id='run'))
        books.post(entry(6, run_id='other', attribution=Attribution(purpose='shadow')))
        facts = {'mode': 'active', 'unproven': True}
        books.post_decision(Decision(entry_id='call-5', chosen='light', facts=facts, **routed))
        books.post_decision(
            shadow(
                entry_id='call-6', time=NOON, shadow_of='run', ran='heavy', weak='light',
                strong='heavy', default='heavy', models=('a', 'b'), version='1',
            )
        )  # fmt: skip
        for name, score in (('run', '0'), ('other', '1')):
            books.post_outcome(
                Outcome(run_id=name, score=Decimal(score), source='exact', time=NOON)
            )

    told = run('report', '--by', 'route,policy', '--where', 'model=claude-sonnet-4-5')
    rows = json.loads(run('report', '--by', 'route', '--format', 'json').output)['rows']

    lines = [' '.join(line.split()) for line in told.output.splitlines()]
    assert any(line.startswith('│ light │ rules │ 1 │') for line in lines), told.output
    assert 'too weak' in told.output
    assert '1 calls were routed away from the default without evidence' in told.output
    figures = {
        row['route']: [row[name] for name in ('graded', 'too_weak', 'too_strong', 'unproven')]
        for row in rows
    }
    assert {'light': [1, 1, 0, 1], 'heavy': [0, None, None, 0], None: [0, None, None, 0]} == figures
