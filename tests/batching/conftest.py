"""Simulated providers of their own, a ledger, and files of requests."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import farthing_sim
from farthing import Ledger

MODELS = {'anthropic': 'claude-sonnet-4-5', 'openai': 'gpt-5-mini'}


@pytest.fixture(scope='session')
def server() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as sim:
        yield sim


@pytest.fixture
def sim(server: farthing_sim.Sim, monkeypatch: pytest.MonkeyPatch) -> farthing_sim.Sim:
    """Both providers, whose keys and addresses the environment has."""
    server.reset()
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'sk-simulated')
    monkeypatch.setenv('ANTHROPIC_BASE_URL', server.anthropic_url)
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-simulated')
    monkeypatch.setenv('OPENAI_BASE_URL', server.openai_url)
    return server


@pytest.fixture(params=MODELS)
def provider(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'farthing.db'


def line(provider: str, number: int, **changes) -> dict:
    """A request as the provider's own batches take it."""
    asked = [{'role': 'user', 'content': f'Write {number + 3} words'}]
    body = {'model': MODELS[provider], 'messages': asked} | changes
    if provider == 'anthropic':
        return {'custom_id': f'mine-{number}', 'params': {'max_tokens': 60} | body}
    return {
        'custom_id': f'mine-{number}',
        'method': 'POST',
        'url': '/v1/chat/completions',
        'body': {'max_completion_tokens': 60} | body,
    }


@pytest.fixture
def requests(tmp_path: Path):
    """Writes a file of requests."""

    def write(lines: list[dict]) -> Path:
        file = tmp_path / 'requests.jsonl'
        file.write_text(''.join(json.dumps(one) + '\n' for one in lines))
        return file

    return write


def check_books(sim: farthing_sim.Sim, path: Path, inputs: int) -> None:
    """What the provider has charged is what the ledger holds, and nothing was paid twice."""
    charges = sim.charges()
    charged = Counter(
        f'{"anthropic" if one["api"].startswith("anthropic") else "openai"}:'
        f'{one["batch_id"]}:{one["custom_id"]}'
        for one in charges
    )
    with Ledger.open(path) as ledger:
        entries = [booked.entry for booked in ledger.entries()]
        assert ledger.verify().ok
    billed = Counter(entry.id for entry in entries if entry.status == 'ok')
    items = Counter(one['custom_id'].split('-')[1] for one in charges)

    assert charged == billed
    assert {'batch'} == {entry.mode for entry in entries}
    assert inputs == len(items)
    assert {1} == set(items.values())
    assert all(entry.quote.status == 'exact' for entry in entries if entry.status == 'ok')
    usage = {entry.id: entry.usage for entry in entries if entry.usage}
    for one in charges:
        used = one['usage']
        seller = 'anthropic' if one['api'].startswith('anthropic') else 'openai'
        booked = usage[f'{seller}:{one["batch_id"]}:{one["custom_id"]}']
        assert used.get('output_tokens', used.get('completion_tokens')) == booked.output_tokens
