"""The demo's invoice, against a pricing by hand of what the simulated providers served."""

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from farthing import Ledger
from farthing.cli.demo import found_scenes
from farthing.cli.stage import TICKETS, Stage

# LlamaIndex's workflows look at every attribute of a pydantic model, deprecated ones too.
pytestmark = pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning')

# USD per million tokens: plain input, output. Claude's cache takes 1.25 times the input's price to
# write for five minutes and 0.1 times to read, GPT-5's 0.1 times to read. A batch takes half.
LIST = {
    'claude-haiku-4-5': ('1', '5'),
    'claude-sonnet-4-6': ('3', '15'),
    'claude-opus-4-7': ('5', '25'),
    'gpt-5': ('1.25', '10'),
    'gpt-5-mini': ('0.25', '2'),
    'gpt-5-nano': ('0.05', '0.40'),
    'text-embedding-3-small': ('0.02', '0'),
}


def by_hand(call: dict) -> Decimal:
    usage = call['usage']
    asked = Decimal(usage.get('input_tokens', usage.get('prompt_tokens')))
    made = usage.get('output_tokens', usage.get('completion_tokens', 0))
    details = usage.get('prompt_tokens_details') or usage.get('input_tokens_details') or {}
    asked -= details.get('cached_tokens', 0) * Decimal('0.9')
    asked += usage.get('cache_creation_input_tokens', 0) * Decimal('1.25')
    asked += usage.get('cache_read_input_tokens', 0) * Decimal('0.1')
    price_in, price_out = map(Decimal, LIST[call['model']])
    whole = (asked * price_in + made * price_out) / 1_000_000
    return whole / 2 if call['batch_id'] else whole


@pytest.mark.parametrize('name', ['LangChain', 'LlamaIndex'])
def test_each_call_of_a_scene_is_one_entry_at_its_list_price(name, farthing_sim, tmp_path) -> None:
    farthing_sim.reset()
    with Ledger.open(tmp_path / 'demo.db') as books:
        stage = Stage(
            anthropic_url=farthing_sim.anthropic_url,
            openai_url=farthing_sim.openai_url,
            ledger=books,
            tickets=TICKETS,
        )
        steps = list(found_scenes()[name](stage))
        entries = [booked.entry for booked in books.entries()]

    served = Counter((call['model'], by_hand(call)) for call in farthing_sim.charges())
    assert served == Counter((entry.model, entry.cost_usd) for entry in entries)
    assert {'exact'} == {entry.quote.status for entry in entries}
    assert len(TICKETS) == len(steps)
    cost = Counter()
    for entry in entries:
        cost[entry.attribution.task] += entry.cost_usd
    # The last three of six questions read nearly all of their input: more than half is saved.
    assert cost['chat-cached'] < cost['chat'] / 2
    # Haiku has a fifth of Opus' prices, and six of eight letters are easy.
    assert cost['mail-routed'] < cost['mail'] / 2
    # Sixty letters grow long: what summaries save is more than a fifth of all, net of their cost.
    assert cost['session-summed'] < cost['session'] * Decimal('0.8')
    purposes = {(e.attribution.task, e.attribution.purpose) for e in entries}
    assert {('session-summed', 'summary')} == {one for one in purposes if one[1] != 'user'}
    # The batch bills the same usage at half the price.
    assert cost['nightly-batched'] == cost['nightly'] / 2
    asked = {(ticket.tenant, ticket.task) for ticket in TICKETS}
    assert asked == {(e.attribution.tenant, e.attribution.task) for e in entries}


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Where the demo is played."""
    return tmp_path_factory.mktemp('demo')


@pytest.fixture(scope='module')
def played(folder) -> subprocess.CompletedProcess[str]:
    """The whole demo as a new user sees it; once for all tests of the group."""
    return subprocess.run(
        [sys.executable, '-c', 'from farthing.cli import main; main()', 'demo', '--format', 'json'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.xdist_group('demo')
def test_the_demo_ends_with_its_invoice_as_json(played, folder) -> None:
    assert 0 == played.returncode, played.stderr
    bill = json.loads(played.stdout)
    assert 'simulated' in played.stderr
    assert str(folder / 'farthing-demo.db') in played.stderr
    assert 'Next: farthing findings --ledger farthing-demo.db' in played.stderr
    assert 0 == bill['lost'] == bill['total']['unpriced'] == bill['total']['errors']
    assert 'local' == bill['endpoint_class']
    rows = [Decimal(row['cost_usd']) for row in bill['rows']]
    assert sum(rows) == Decimal(bill['total']['cost_usd'])
    assert {'chat', 'embeddings'} == {row['call_type'] for row in bill['rows']}


def test_the_demo_starts_a_new_ledger_of_its_own_name_and_keeps_others(run, monkeypatch) -> None:
    monkeypatch.setattr('farthing.cli.demo.TICKETS', TICKETS[:1])
    Path('farthing-demo.db.context.db').write_text('sessions of a demo before')

    first = run('demo', '--format', 'json')
    second = run('demo', '--format', 'json')
    again = run('demo', '--format', 'json', '--ledger', 'farthing-demo.db')

    calls = [json.loads(done.stdout)['total']['calls'] for done in (first, second, again)]
    assert [calls[0], calls[0], 2 * calls[0]] == calls
    assert Path('farthing-demo.db').exists()
    assert not Path('farthing-demo.db.context.db').exists()


def test_without_the_simulator_the_demo_says_what_to_install(run, monkeypatch) -> None:
    monkeypatch.setattr('farthing.cli.demo.find_spec', lambda name: None)

    done = run('demo')

    assert 2 == done.exit_code
    assert "pip install 'farthing[demo]'" in done.stderr


@pytest.mark.xdist_group('demo')
@pytest.mark.usefixtures('played')
def test_findings_see_the_dear_tenant_of_the_demo(run, folder) -> None:
    ledger = str(folder / 'farthing-demo.db')
    found = json.loads(run('findings', '--ledger', ledger, '--format', 'json').stdout)

    assert {'tenant': 'umbrella'} in [one['where'] for one in found if 'dear_tenant' == one['kind']]
    assert 'tiny_answers' in [one['kind'] for one in found]
