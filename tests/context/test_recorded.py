"""Recorded sessions of agents, where the folder of them is there: costs, and the invariants."""

import gzip
import json
from pathlib import Path

import pytest

from farthing.context import Chain, ClearToolResults, Counter, PeriodicSummary, State, Window, plan
from farthing.context.encodings import o200k
from farthing.context.optimum import optimum
from farthing.context.parts import blocks
from farthing.context.replay import Run, Session, Whole, replay
from farthing.context.turns import unpaired
from farthing.wire import chat

from .conftest import SETTING, prompts, sent, tariff

JOIN, KEEP = 8, 6


@pytest.fixture(scope='module')
def recorded(shared: Path) -> Path:
    folder = shared / 'data' / 'context'
    if not folder.is_dir():
        pytest.skip('no recorded sessions beside the repository (../shared/data/context)')
    return folder


def traces(path: Path, join: int) -> list[list]:
    with gzip.open(path, 'rt') as lines:
        talks = [list(chat.parts(json.loads(line)['messages'])) for line in lines]
    return [
        [part for n, talk in enumerate(talks[at : at + join]) for part in talk[bool(n) :]]
        for at in range(0, len(talks), join)
    ]


def sessions(path: Path, join: int, tools: Path | None = None) -> list[Session]:
    counter = Counter('openai', 'gpt-4o')
    tool_tokens = counter.tokens(json.dumps(json.loads(tools.read_text()))) if tools else 0
    return [
        Session(blocks=blocks(parts, counter.tokens, key=b'test'), tool_tokens=tool_tokens)
        for parts in traces(path, join)
    ]


@pytest.fixture(scope='module')
def airline(recorded: Path) -> list[Session]:
    """Fifteen sessions of eight tasks each."""
    path = recorded / 'tau_airline_traces.jsonl.gz'
    return sessions(path, JOIN, recorded / 'tau_airline_tools.json')


def cost(some: list[Session], policy) -> Run:
    prices = tariff()
    return sum((replay(one, policy, prices) for one in some), Run())


def test_auto_is_within_eight_percent_of_the_optimum(airline, record_property) -> None:
    prices = tariff()
    best = sum((optimum(one, prices, keep_turns=KEEP) for one in airline), Run())
    auto, full = cost(airline, Window(keep_turns=KEEP)), cost(airline, Whole())
    ratio = auto.cost / best.cost
    record_property(
        'summary',
        f'context: auto costs {ratio:.4f} of the optimum, full history '
        f'{full.cost / best.cost:.4f}; mean history {auto.history_tokens // auto.calls} tokens '
        f'against {best.history_tokens // best.calls} and {full.history_tokens // full.calls}',
    )

    assert 15 == len(airline)
    assert 1 <= ratio <= 1.08
    assert auto.cost < full.cost
    assert (0, 0) == (auto.invalid_prompts, full.invalid_prompts)


@pytest.mark.parametrize(
    'policy',
    [
        Window(keep_turns=KEEP),
        PeriodicSummary(keep_turns=KEEP),
        ClearToolResults(),
        Chain(policies=(ClearToolResults(), PeriodicSummary(keep_turns=2))),
    ],
    ids=lambda policy: type(policy).__name__,
)
@pytest.mark.parametrize('limit', [None, 12_000])
def test_real_prompts_are_valid_and_change_only_where_it_is_said(airline, policy, limit) -> None:
    for session in airline[:3]:
        state, before = State(), []
        for history in prompts(session, limit=limit):
            planned = plan(policy, history, state, SETTING)
            now = sent(history, planned.view)

            assert 0 == unpaired([history.blocks[at] for at in planned.view.kept])
            assert planned.decision.rewrite == (before != now[: len(before)])
            assert {*history.head} <= {*planned.view.kept}
            assert limit is None or planned.view.tokens <= limit
            state, before = planned.state, now


def test_agents_that_carry_tool_output_in_requests_are_kept_within_the_limit(recorded) -> None:
    for session in sessions(recorded / 'swe_agent_traces.jsonl.gz', 1):
        run = replay(session, Window(keep_turns=3), tariff(), limit=40_000)

        assert 0 == run.invalid_prompts
        assert run.peak_history_tokens <= 40_000


def test_encodings_of_openai_need_no_download(recorded) -> None:
    """Figures above are in these tokens where they are installed."""
    if o200k() is None:
        pytest.skip('no o200k_base in this cell: neither llama-index-core nor `farthing[tokens]`')
    assert 'o200k_base' == Counter('openai', 'gpt-4o').method
