"""`farthing reprice`: corrections at the prices of another book, the old figure kept."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import UNPRICED, entry

from farthing import Ledger, Quote

OURS = """
provider = 'anthropic'
[[models]]
id = 'claude-x'
[[models.rates]]
input = '10'
output = '20'
"""


@pytest.fixture
def prices(run) -> str:
    Path('ours.toml').write_text(OURS)
    return 'ours.toml'


def test_a_call_without_a_price_gets_one_when_the_book_knows_it(run, ledger, prices) -> None:
    done = run('reprice', '--where', 'model=claude-x', '--prices', prices, '--format', 'json')

    # 1,000 x 10 + 100 x 20 = 12,000
    told = json.loads(done.stdout)
    [change] = told['changes']
    assert (None, '0.012') == (change['old_cost_usd'], change['new_cost_usd'])
    assert told['posted']
    [held] = json.loads(run('entries', '--where', 'model=claude-x', '--format', 'json').stdout)
    assert (None, '0.012') == (held['posted_cost_usd'], held['cost_usd'])
    assert 1 == held['corrections']
    total = json.loads(run('report', '--format', 'json').stdout)['total']
    assert ('0.021', 0, 4) == (total['cost_usd'], total['unpriced'], total['calls'])
    assert 0 == run('verify').exit_code


def test_a_dry_run_posts_nothing(run, ledger, prices) -> None:
    before = run('report').stdout

    done = run('reprice', '--dry-run', '--prices', prices)

    assert 'would be posted' in done.stdout
    assert before == run('report').stdout


def test_repricing_twice_changes_nothing(run, ledger, prices) -> None:
    run('reprice', '--prices', prices)
    once = run('report').stdout

    done = run('reprice', '--prices', prices)

    assert done.stdout.startswith('0 corrections')
    assert once == run('report').stdout


def test_what_the_provider_did_not_bill_stays_free(run) -> None:
    free = Quote(status='exact', cost=0, book='test')
    with Ledger.open('farthing.db') as books:
        books.post(entry(1, status='cache_hit', quote=free))

    run('reprice')

    [held] = json.loads(run('entries', '--format', 'json').stdout)
    assert '0' == held['cost_usd']


def test_a_call_without_usage_stays_unknown(run, prices) -> None:
    with Ledger.open('farthing.db') as books:
        books.post(
            entry(
                1,
                model_requested='claude-x',
                usage=None,
                usage_source=None,
                quote=UNPRICED,
                list_cost=None,
            )
        )

    assert run('reprice', '--prices', prices).stdout.startswith('0 corrections')
