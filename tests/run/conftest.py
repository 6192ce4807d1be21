"""Models of a simulated provider as routes, and what the ledger says of their calls."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from tests.run.routed import Models

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from farthing.meter.shared import account


@pytest.fixture(scope='module')
def server() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as sim:
        yield sim


@pytest.fixture
def sim(server: farthing_sim.Sim) -> farthing_sim.Sim:
    server.reset()
    return server


@pytest.fixture
def ledger(tmp_path: Path, sim: farthing_sim.Sim) -> Iterator[Ledger]:
    with Ledger.open(f'sqlite:///{tmp_path}/farthing.db') as opened:
        tap.endpoints.add(sim.anthropic_url)
        tap.install(account(opened))
        yield opened
        tap.uninstall()


@pytest.fixture
def models(sim, ledger) -> Models:
    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='k', max_retries=0)
    return Models(client=client, ledger=ledger)


@pytest.fixture
def decisions(ledger, tmp_path):
    """Entries with their routing decisions, oldest first."""

    def read() -> list[dict[str, Any]]:
        ledger.flush()
        with sqlite3.connect(tmp_path / 'farthing.db') as db:
            rows = db.execute(
                'SELECT m.value, s.value, p.value, e.cost, d.policy, d.chosen, d.reason,'
                ' d.counterfactual_cost, d.facts FROM entry e'
                ' JOIN dim m ON m.id = e.model_requested JOIN dim s ON s.id = e.status'
                ' JOIN dim p ON p.id = e.purpose'
                " LEFT JOIN decision d ON d.entry_id = e.id AND d.lever = 'routing'"
                ' ORDER BY e.seq'
            ).fetchall()
        names = ('model', 'status', 'purpose', 'cost', 'policy', 'chosen', 'reason', 'instead')
        return [
            dict(zip(names, row, strict=False)) | {'facts': orjson.loads(row[-1] or '{}')}
            for row in rows
        ]

    return read
