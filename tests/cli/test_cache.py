"""`farthing cache simulate`: a file of requests under every policy."""

import json
from pathlib import Path

import pytest

RULES = 'word ' * 3_000
POLICIES = ['none', '5m', '1h', 'farthing', 'informed', 'oracle']


def line(number, **changes):
    """One question under shared rules, a minute after the last."""
    return {
        'chain': f'c{number}',
        'at': 60 * number,
        'provider': 'anthropic',
        'model': 'claude-sonnet-4-5',
        'payload': {
            'model': 'claude-sonnet-4-5',
            'system': RULES,
            'messages': [{'role': 'user', 'content': f'Question {number}? ' * 100}],
        },
    } | changes


def written(lines):
    Path('requests.jsonl').write_text('\n'.join(map(json.dumps, lines)), 'utf-8')
    return ('cache', 'simulate', '--requests', 'requests.jsonl', '--at', '2026-11-25')


def test_every_policy_has_its_bill_and_its_score(run):
    found = run(*written([line(n) for n in range(60)]), '--format', 'json')

    rows = json.loads(found.stdout)['policies']
    assert POLICIES == [row['policy'] for row in rows]
    none, _, hour, ours, _, oracle = rows
    assert (0, 0.0, 0.0) == (none['cache_read_tokens'], none['score'], none['score_all'])
    assert 1.0 == oracle['score']
    assert ours['score'] > 0.97 > hour['score']
    # 15,000 characters at 2.6 a token, read by all after the second; 3 USD a million.
    assert 58 * 5_769 == ours['cache_read_tokens']
    assert 5_769 == ours['cache_write_tokens']
    assert {
        'policy',
        'cost_usd',
        'cache_read_tokens',
        'cache_write_tokens',
        'score',
        'score_all',
    } == (ours.keys())


def test_lines_in_any_order_are_the_same_requests(run):
    lines = [line(n) for n in range(40)]
    sorted_ = run(*written(lines), '--format', 'json').stdout
    shuffled = run(*written(lines[::-1]), '--format', 'json').stdout

    assert sorted_ == shuffled


def test_where_the_oracle_saves_nothing_there_is_no_score(run):
    found = run(*written([line(n, at=7_200 * n) for n in range(40)]), '--format', 'json')

    assert {None} == {row['score'] for row in json.loads(found.stdout)['policies']}


def test_a_file_that_ends_within_the_warm_up_has_a_score_of_all_only(run):
    found = run(*written([line(n) for n in range(10)]), '--format', 'json')

    rows = json.loads(found.stdout)['policies']
    assert {None} == {row['score'] for row in rows}
    assert 1.0 == rows[-1]['score_all']


def test_models_that_cache_by_themselves_cost_the_same_under_every_policy(run):
    messages = [{'role': 'system', 'content': RULES}, {'role': 'user', 'content': 'Who?'}]
    body = {'model': 'gpt-4o', 'messages': messages}
    lines = [line(n, provider='openai', model='gpt-4o', payload=body) for n in range(40)]

    rows = json.loads(run(*written(lines), '--format', 'json').stdout)['policies']

    assert 1 == len({row['cost_usd'] for row in rows})
    assert rows[0]['cache_read_tokens'] > 0


def test_table_and_csv_name_every_policy(run):
    arguments = written([line(n) for n in range(40)])
    table, csv = run(*arguments).stdout, run(*arguments, '--format', 'csv').stdout

    assert POLICIES == [row.split(',')[0] for row in csv.splitlines()[1:]]
    assert all(policy in table for policy in POLICIES)
    assert 'tokens are estimated' in table


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'at': 'noon'}, "`at` is 'noon'"),
        ({'at': True}, '`at` is True'),
        ({'payload': []}, '`payload` is []'),
        ({'chain': None}, '`chain` is None'),
        ({'provider': 'acme'}, "provider 'acme'"),
        ({'model': 'claude-x'}, "no price for model 'claude-x'"),
        ({'payload': {'messages': 'Hi'}}, '`messages` is str'),
    ],
)
def test_a_line_that_is_no_request_is_named_by_its_number(run, changes, words):
    found = run(*written([line(0), line(1, **changes)]))

    assert 2 == found.exit_code
    assert 'line 2 of' in found.stderr
    assert words in found.stderr
    assert 1 == len(found.stderr.splitlines())


def test_a_line_that_is_no_json_is_named_by_its_number(run):
    arguments = written([line(0)])
    with Path('requests.jsonl').open('a', encoding='utf-8') as file:
        file.write('\n\n{"chain": ')

    found = run(*arguments)

    assert 2 == found.exit_code
    assert 'line 3 of' in found.stderr


def test_an_absent_file_is_one_line(run):
    found = run('cache', 'simulate', '--requests', 'absent.jsonl')

    assert 2 == found.exit_code
    assert "'absent.jsonl' cannot be read" in found.stderr
