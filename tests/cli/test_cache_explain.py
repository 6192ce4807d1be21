"""`farthing cache explain` over a ledger of a few calls that a reader can add up."""

import json
from datetime import timedelta

import pytest
from tests.cli.conftest import NOON, Run, entry

from farthing import Attribution, Ledger, Usage


def written(number: int, first: str, **changes):
    """A call that writes all of its 2,000 tokens: two blocks of 1,000, one a minute."""
    tokens = {'input_tokens': 2_000, 'cache_write_tokens': 2_000, 'cache_write_5m_tokens': 2_000}
    fields = {
        'time': NOON + timedelta(minutes=number),
        'usage': Usage(output_tokens=10, **tokens),
        'prefix': (f'{first}s0.4000*5m', 'aam0.4000*5m'),
    }
    return entry(number, **(fields | changes))


@pytest.fixture
def missed(run: Run) -> str:
    """Three calls whose system prompt changes each time, and one of another task that is new."""
    with Ledger.open('farthing.db') as books:
        for number, first in ((1, 'a1'), (2, 'a2'), (3, 'a3')):
            books.post(written(number, first))
        who = Attribution(tenant='acme', task='answer')
        books.post(written(4, 'b1', attribution=who, prefix=('b1s0.4000*5m', 'bbm0.4000*5m')))
    return 'farthing.db'


def test_the_planted_change_is_told_with_its_place_and_its_cost(run: Run, missed: str) -> None:
    done = run('cache', 'explain', '--format', 'json')

    assert 0 == done.exit_code, done.output
    found = json.loads(done.output)
    # 2,000 tokens twice, written at 3.75 instead of read at 0.30 USD a million.
    lost = {'calls': 2, 'tokens_lost': 4_000, 'cost_lost_usd': '0.0138', 'estimated': 2}
    assert [
        {'cause': 'edit', **lost, 'unpriced': 0},
        {
            'cause': 'first',
            'calls': 2,
            'tokens_lost': 0,
            'cost_lost_usd': '0',
            'estimated': 0,
            'unpriced': 0,
        },
    ] == found['causes']
    assert [
        {
            'cause': 'edit',
            'path': 'system[0]',
            'tenant': 'acme',
            'task': 'triage',
            'model': 'claude-sonnet-4-5',
            **lost,
            'unpriced': 0,
            'of_calls': 3,
            'change': 'edit',
            'reason': 'system[0] changed',
            'entry_id': 'call-2',
            'provider_says': None,
        }
    ] == found['examples']


def test_the_table_says_what_changed_in_one_sentence(run: Run, missed: str) -> None:
    done = run('cache', 'explain')

    assert 'system[0] changed: 2 of 3 calls, 4,000 tokens (estimated), $0.0138' in done.output


def test_csv_has_a_line_for_each_place(run: Run, missed: str) -> None:
    lines = run('cache', 'explain', '--format', 'csv').output.splitlines()

    assert lines[0].startswith('cause,path,tenant,task,model,calls,of_calls,tokens_lost,')
    assert ['edit,system[0],acme,triage,claude-sonnet-4-5,2,3,4000,0.0138,2,0,edit,'] == [
        line[: len('edit,system[0],acme,triage,claude-sonnet-4-5,2,3,4000,0.0138,2,0,edit,')]
        for line in lines[1:]
    ]


def test_filters_choose_the_calls_that_are_summed(run: Run, missed: str) -> None:
    done = run('cache', 'explain', '--where', 'task=answer', '--format', 'json')

    assert [('first', 1)] == [
        (one['cause'], one['calls']) for one in json.loads(done.output)['causes']
    ]
    assert 'No calls match.' in run('cache', 'explain', '--where', 'task=none').output
    nothing = run('cache', 'explain', '--until', '2020-01-01', '--format', 'json')
    assert {'causes': [], 'examples': []} == json.loads(nothing.output)


def test_the_report_groups_by_cause(run: Run, missed: str) -> None:
    done = run('report', '--by', 'cache_cause', '--format', 'json')

    rows = json.loads(done.output)['rows']
    assert {'edit': 2, 'first': 2} == {row['cache_cause']: row['calls'] for row in rows}


def test_simulated_calls_are_not_added_to_real_ones(run: Run, missed: str) -> None:
    with Ledger.open(missed) as books:
        for number, first in ((5, 'c1'), (6, 'c2')):
            books.post(written(number, first, endpoint='127.0.0.1:8000'))

    done = run('cache', 'explain', '--format', 'json')

    assert {'edit': 2, 'first': 2} == {
        one['cause']: one['calls'] for one in json.loads(done.output)['causes']
    }


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (('--limit', '0'), 'limit'),
        (('--where', 'nonsense'), 'key=value'),
        (('--where', 'nokey=1'), "there is no key 'nokey'"),
        (('--since', 'soon'), 'is no time'),
        (('--ledger', 'none.db'), 'there is no ledger'),
        (('--prices', 'none.toml'), 'none.toml'),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run, missed: str, arguments: tuple[str, ...], complaint: str
) -> None:
    done = run('cache', 'explain', *arguments)

    assert 2 == done.exit_code
    assert complaint in done.stderr
    assert 1 == len(done.stderr.splitlines())
