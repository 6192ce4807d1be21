"""`farthing prices`: show, check, diff."""

import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from farthing import PriceBook
from farthing.cli.prices import problems

OURS = """
provider = 'anthropic'
[[models]]
id = 'claude-sonnet-4-5'
[[models.rates]]
input = '2.5'
output = '15'
"""


def test_the_rates_of_a_model_have_a_source_each(run) -> None:
    done = run('prices', 'show', 'claude-sonnet-4-5', '--provider', 'anthropic', '--format', 'json')

    rates = {
        one['meter']: one['usd'] for one in json.loads(done.stdout)
        if ('standard', 0) == (one['tier'], one['above'])
    }  # fmt: skip
    assert ('3', '15', '0.3') == (rates['input'], rates['output'], rates['cache_read'])
    sold = [one for one in json.loads(done.stdout) if one['usd'] != '0']
    assert all(one['url'] and one['read_on'] for one in sold)


def test_all_models_are_listed_without_a_name(run) -> None:
    listed = json.loads(run('prices', 'show', '--format', 'json').stdout)

    assert {'provider': 'openai', 'model': 'gpt-4o-mini'} in listed


def test_an_unknown_model_names_those_that_are_near(run) -> None:
    done = run('prices', 'show', 'claude-sonet-4-5')

    assert 2 == done.exit_code
    assert 'claude-sonnet-4-5' in done.stderr
    assert 1 == done.stderr.count('\n')


def test_the_packaged_book_is_sound(run) -> None:
    done = run('prices', 'check', '--max-age-days', '36500')

    assert done.stdout.startswith('ok:'), done.stdout
    assert 0 == done.exit_code


def test_old_rates_are_found_and_end_with_1(run) -> None:
    book = PriceBook.load()
    future = datetime.now(UTC) + timedelta(days=900)

    found = list(problems(book, 'openai', 'gpt-4o-mini', future, timedelta(days=30)))
    assert any('more than 30 days ago' in one for one in found)


def test_ones_own_prices_are_shown_beside_the_list(run) -> None:
    Path('ours.toml').write_text(OURS)

    rows = json.loads(run('prices', 'diff', '--prices', 'ours.toml', '--format', 'json').stdout)

    [row] = [one for one in rows if ('standard', 'input') == (one['tier'], one['meter'])]
    assert ('3', '2.5') == (row['before_usd'], row['after_usd'])
    assert Decimal(row['after_usd']) < Decimal(row['before_usd'])


def test_the_book_is_compared_with_itself_at_two_dates(run) -> None:
    given = ('prices', 'diff', '--from', '2020-01-01', '--to', '2026-06-01', '--format', 'json')

    rows = json.loads(run(*given).stdout)

    assert all(row['before_usd'] is None for row in rows if row['model'] == 'claude-sonnet-4-5')


def test_a_comparison_needs_two_sides(run) -> None:
    done = run('prices', 'diff')

    assert 2 == done.exit_code
    assert 'nothing to compare' in done.stderr


def test_a_peer_that_is_not_installed_is_named_with_its_extra(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'genai_prices', None)
    monkeypatch.delitem(sys.modules, 'farthing.cli.peers', raising=False)

    done = run('prices', 'diff', '--with', 'genai-prices')

    assert 2 == done.exit_code
    assert "pip install 'farthing[genai-prices]'" in done.stderr


def test_a_peer_is_laid_beside_the_book(run) -> None:
    pytest.importorskip('genai_prices', reason='the extra genai-prices is not installed')

    done = run('prices', 'diff', '--with', 'genai-prices', '--format', 'json')

    assert 0 == done.exit_code
    assert all('standard' == row['tier'] for row in json.loads(done.stdout))
