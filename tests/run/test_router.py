"""The driver of routing, with real requests to the simulated providers."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from tests.run.routed import AsyncModels, Models, request, router

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from farthing.meter.shared import account, meter
from farthing.routing import Rules
from farthing.run.router import Dispatcher

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
CHOICES = {'light': 'simple requests', 'standard': 'all others'}


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


def driver(ledger, *policies, **options) -> Dispatcher:
    return Dispatcher(router(*policies), meter(ledger), **{'mode': 'active'} | options)


def test_the_decided_route_serves_and_its_entry_says_why(ledger, models, decisions) -> None:
    served = driver(ledger, LIGHT).call(request(), models)

    assert (['light'], 'light') == (models.called, served.route)
    (one,) = decisions()
    assert ('claude-haiku-4-5', 'light', 'rules', 'rule 1') == (
        one['model'], one['chosen'], one['policy'], one['reason']
    )  # fmt: skip
    assert one['facts']['unproven']
    assert 3 * one['cost'] == one['instead']  # Sonnet has three times Haiku's prices


def test_in_shadow_mode_the_default_route_serves_and_the_wish_is_written_down(
    ledger, models, decisions
) -> None:
    driver(ledger, LIGHT, mode='shadow').call(request(), models)

    (one,) = decisions()
    assert ('claude-sonnet-4-6', 'light', 'standard') == (
        one['model'], one['chosen'], one['facts']['served']
    )  # fmt: skip
    assert one['cost'] == one['instead']


async def test_an_async_call_is_decided_and_recorded_alike(ledger, models, decisions) -> None:
    await driver(ledger, LIGHT).acall(request(), AsyncModels(models))
    driver(ledger, LIGHT).call(request(), models)

    one, other = decisions()
    assert one['facts'].pop('routing_us') >= 0
    assert other['facts'].pop('routing_us') >= 0
    assert one == other
