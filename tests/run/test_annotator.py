"""The annotator that learns in a ledger, through the real SDKs and the simulated caches."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from farthing.meter.shared import account, meter
from farthing.run.annotator import Annotator, annotator
from farthing.run.asking import Curiosity
from farthing.run.client import annotating

HANDBOOK = ' '.join(
    f'Rule {n}: be kind, be brief, and refund parcels of kind {n}.' for n in range(300)
)
START_S = 1_800_000_000


@pytest.fixture(scope='module')
def server() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as sim:
        yield sim


@pytest.fixture
def sim(server: farthing_sim.Sim) -> farthing_sim.Sim:
    server.reset()
    server.clock.set(START_S)
    return server


@pytest.fixture
def ledger(tmp_path: Path, sim: farthing_sim.Sim) -> Iterator[Ledger]:
    with Ledger.open(f'sqlite:///{tmp_path}/farthing.db') as opened:
        for url in (sim.anthropic_url, sim.openai_url):
            tap.endpoints.add(url)
        tap.install(account(opened))
        yield opened
        tap.uninstall()


def claude(sim: farthing_sim.Sim, marks: Annotator) -> anthropic.Anthropic:
    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='k', max_retries=0)
    return annotating(client, marks, provider='anthropic')


def talk(
    sim: farthing_sim.Sim, client: anthropic.Anthropic, *, pause_s: float, who: int = 0
) -> list[Any]:
    """Six questions of one conversation; the usage of each answer."""
    said: list[dict[str, Any]] = []
    used = []
    for number in range(6):
        said.append({'role': 'user', 'content': f'Customer {who}: what does rule {number} say?'})
        answer = client.messages.create(
            model='claude-sonnet-4-6', max_tokens=60, system=HANDBOOK, messages=said
        )
        said.append({'role': 'assistant', 'content': answer.content[0].text})
        used.append(answer.usage)
        sim.clock.advance(pause_s)
    return used


def test_a_conversation_reads_what_it_said_before(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)

    used = talk(sim, claude(sim, marks), pause_s=20)

    read = [one.cache_read_input_tokens for one in used]
    assert read[-1] > read[-2] > read[-3] > 3_000
    assert used[-1].input_tokens < 10


def test_pauses_of_eight_minutes_are_bridged_by_an_hour_once_they_are_known(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    client = claude(sim, marks)

    for who in range(6):
        used = talk(sim, client, pause_s=480, who=who)

    written = [one.cache_creation for one in used[1:-1]]
    assert all(one.ephemeral_1h_input_tokens for one in written)
    assert not any(one.ephemeral_5m_input_tokens for one in written)
    assert all(one.cache_read_input_tokens > 3_000 for one in used[1:])


def test_one_shots_that_nobody_repeats_are_left_alone(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    client = claude(sim, marks)

    for number in range(12):
        used = client.messages.create(
            model='claude-sonnet-4-6',
            max_tokens=30,
            messages=[{'role': 'user', 'content': f'Text {number}. {HANDBOOK} Sum it up.'}],
        ).usage
        sim.clock.advance(60)

    assert 0 == used.cache_creation_input_tokens
    assert marks.unmarked['not_worth_it'] >= 8


def test_each_call_holds_its_plan_and_what_it_would_have_cost(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    talk(sim, claude(sim, marks), pause_s=20)

    rows = ledger.report(by=['lever', 'policy', 'chosen']).rows
    chosen = {row.keys['chosen']: row.calls for row in rows}
    assert {'caching'} == {row.keys['lever'] for row in rows}
    assert 6 == sum(chosen.values())
    assert any('5m messages[' in name for name in chosen)


def test_what_one_process_has_learned_another_one_knows(sim, ledger, tmp_path) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    for who in range(4):
        talk(sim, claude(sim, marks), pause_s=480, who=who)
    ledger.flush()

    script = (
        'import sys, json\n'
        'from farthing import Ledger\n'
        'from farthing.ledger.learned import SharedMemory\n'
        'memory = SharedMemory(Ledger.open(sys.argv[1]))\n'
        'memory.refresh()\n'
        'tokens = memory.facts("claude-sonnet-4-6").tokens\n'
        'print(json.dumps([tokens, memory.gaps("tail:later:plain").came]))\n'
    )
    done = subprocess.run(  # noqa: S603 - this test's own script
        [sys.executable, '-c', script, str(tmp_path / 'farthing.db')],
        capture_output=True,
        text=True,
        check=True,
    )
    tokens, came = json.loads(done.stdout)

    assert tokens > 24 * 3_000
    assert [0, 0, 4 * 4, 0] == came  # after its second request each conversation went on 4 times


def test_a_refreshed_memory_counts_what_it_has_told_once(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    talk(sim, claude(sim, marks), pause_s=20)
    before = marks._memory.facts('claude-sonnet-4-6')

    marks._memory.refresh()
    marks._memory.refresh()

    assert before == marks._memory.facts('claude-sonnet-4-6')


def test_openai_gets_its_own_words_and_none_of_anthropics(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    payload = {
        'model': 'gpt-5.6-sol',
        'messages': [
            {
                'role': 'system',
                'content': [
                    {'type': 'text', 'text': HANDBOOK, 'cache_control': {'type': 'ephemeral'}}
                ],
            },
            {'role': 'user', 'content': 'Hello?'},
        ],
    }

    sent = marks.annotate(payload, provider='openai', api='openai_chat')

    assert 'cache_control' not in json.dumps(sent)
    assert sent['prompt_cache_key']
    assert 'cache_control' in json.dumps(payload)
    client = openai.OpenAI(base_url=sim.openai_url, api_key='k')
    assert client.chat.completions.create(**sent).choices


def test_the_provider_is_asked_why_it_missed_and_its_word_is_in_the_verdict(
    sim, ledger, tmp_path
) -> None:
    marks = Annotator(meter(ledger), now=sim.clock, curiosity=Curiosity(always=True))
    client = claude(sim, marks)
    said = [{'role': 'user', 'content': 'Who are you?'}]
    for clock in ('', '', 'It is noon. ', 'It is one. '):
        client.messages.create(
            model='claude-sonnet-4-6',
            max_tokens=30,
            system=[{'type': 'text', 'text': HANDBOOK}, {'type': 'text', 'text': f'{clock}Go.'}],
            messages=said,
        )
        sim.clock.advance(20)

    assert 'edit' in {one.cause for one in ledger.explained()}
    with contextlib.closing(sqlite3.connect(tmp_path / 'farthing.db')) as db:
        verdicts = db.execute("SELECT facts FROM decision WHERE chosen = 'edit'").fetchall()
    told = [json.loads(facts).get('provider_reason') for (facts,) in verdicts]
    assert 'system_changed' in told


def test_nobody_is_asked_where_the_address_is_not_the_providers_own(sim, ledger) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    body = {'model': 'claude-sonnet-4-6', 'messages': [{'role': 'user', 'content': 'Hello'}]}

    talk(sim, claude(sim, marks), pause_s=20)

    assert 'diagnostics' not in marks.annotate(body, provider='anthropic', api='anthropic_messages')


@pytest.mark.parametrize(
    ('api', 'payload', 'reason'),
    [
        ('gemini', {'contents': []}, 'unknown_api'),
        ('anthropic_messages', {'model': 'claude-of-tomorrow', 'messages': []}, 'unknown_model'),
        ('anthropic_messages', {'model': 'claude-sonnet-4-6', 'messages': 'Hello'}, 'malformed'),
        ('anthropic_messages', {'model': 'claude-sonnet-4-6', 'messages': [7]}, 'malformed'),
        ('anthropic_messages', {'model': 'claude-sonnet-4-6', 'messages': []}, 'no_block'),
        ('openai_chat', {'model': 'nobody-s', 'messages': [{'role': 'user'}]}, 'unknown_model'),
    ],
)
def test_what_cannot_be_planned_goes_out_as_it_is_and_is_counted(
    api, payload, reason, sim, ledger
) -> None:
    marks = Annotator(meter(ledger), now=sim.clock)
    provider = 'openai' if api.startswith('openai') else 'anthropic'

    sent = marks.annotate(payload, provider=provider, api=api)

    assert payload == dict(sent)
    assert {reason: 1} == dict(marks.unmarked)


def test_a_ledger_that_cannot_be_read_does_not_stop_a_call(tmp_path, sim, caplog) -> None:
    path = tmp_path / 'farthing.db'
    path.write_bytes(b'this is no ledger' * 100)
    with Ledger.open(path, wait_s=0.1) as broken:
        marks = Annotator(meter(broken), now=sim.clock)
        used = talk(sim, claude(sim, marks), pause_s=20)
        broken._spool.reset()

    assert 1 == marks.unmarked['memory']
    assert 'cannot be read' in caplog.text
    assert used[-1].cache_read_input_tokens > 3_000  # it plans from its own memory


def test_a_ledger_has_one_annotator(ledger, sim) -> None:
    assert annotator(ledger) is annotator(ledger)
