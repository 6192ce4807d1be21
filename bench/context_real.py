"""Context control through a real agent of LangChain and the simulated provider's cache.

A chat of 100 turns in one thread: 3,000 tokens of system text, 120 asked and 280 answered a turn.
Each policy pays what the simulated provider reports, summaries included. The provider's clock and
ours are one, and it is moved on before each call.
"""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.caching_real import Paced
from bench.timing import Check, Table
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langgraph.checkpoint.memory import InMemorySaver

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from farthing.meter.shared import meter
from farthing.run.annotator import Annotator
from farthing.run.context_policies import ContextOptions
from langchain_farthing import (
    CacheAnnotatorMiddleware,
    ContextMiddleware,
    LedgerCallbackHandler,
    PeriodicSummary,
    Window,
)

_START_S = 1_800_000_000
_TURNS = 100
_KEEP = 10
_GAP_S = 20.0
_ANSWERS_TOKENS = 280
# The table of the notes: computed, at the same prices.
_COMPUTED = {
    'no control': '7.296',
    'full history, cached': '1.255',
    'Window auto': '0.914',
    'PeriodicSummary auto': '0.980',
}
_BOUNDS = {
    'Window auto': 0.93,
    'PeriodicSummary auto': 1.00,
}


@dataclass(frozen=True)
class Paid:
    """What a chat cost, in USD.

    Attributes:
        saved: What the ledger's report says that context control saved.
    """

    cost: Decimal
    summaries: Decimal
    calls: int
    rewrites: int
    saved: Decimal


def measure(*, quick: bool) -> list[Table]:
    """One row for each policy; `quick` makes no difference, as the bounds are for 100 turns."""
    del quick
    with farthing_sim.serving() as sim, tempfile.TemporaryDirectory() as folder:
        haiku = _model(sim, 'claude-haiku-4-5', 1_000)
        policies = {
            'no control': None,
            'full history, cached': (),
            'Window auto': (Window(keep_turns=_KEEP),),
            'PeriodicSummary auto': (PeriodicSummary('auto', keep_turns=_KEEP, model=haiku),),
        }
        paid = {name: _paid(sim, Path(folder), chosen) for name, chosen in policies.items()}
    full = paid['full history, cached'].cost
    checks = [
        Check(what=name, value=float(paid[name].cost), bound=bound, unit='USD')
        for name, bound in _BOUNDS.items()
    ]
    checks += [
        Check(
            what=f'{name}: reported saving / what was saved',
            value=float(paid[name].saved / (full - paid[name].cost)),
            bound=bound,
            least=least,
        )
        for name in _BOUNDS
        for bound, least in ((1.03, False), (0.97, True))
    ]
    columns = ('policy', 'USD', 'summaries', 'calls', 'rewrites', 'saved, by report', 'notes, USD')
    rows = [
        (
            name,
            f'{one.cost:.4f}',
            f'{one.summaries:.4f}',
            str(one.calls),
            str(one.rewrites),
            f'{one.saved:.4f}',
            _COMPUTED[name],
        )
        for name, one in paid.items()
    ]
    title = f'Real agent, simulated cache: a chat of {_TURNS} turns at Claude Sonnet 4.6'
    return [Table(title=title, columns=columns, rows=rows, checks=tuple(checks))]


def _paid(sim: farthing_sim.Sim, folder: Path, policies: Sequence[Any] | None) -> Paid:
    """What the chat cost under some policies; `None` is without a cache as well."""
    sim.reset()
    sim.clock.set(_START_S)
    path = Path(tempfile.mkdtemp(dir=folder), 'farthing.db')
    with Ledger.open(path) as ledger:
        handler = LedgerCallbackHandler(ledger)
        middleware: list[Any] = [Paced(sim, itertools.repeat(_GAP_S))]
        context = None
        if policies:
            context = ContextMiddleware(
                policies, ledger=ledger, options=ContextOptions(now=sim.clock)
            )
            middleware.append(context)
        if policies is not None:
            annotator = Annotator(meter(ledger), now=sim.clock)
            middleware.append(CacheAnnotatorMiddleware(annotator=annotator))
        agent = create_agent(
            _model(sim, 'claude-sonnet-4-6', _ANSWERS_TOKENS),
            [],
            system_prompt='please ' * 3_000,
            middleware=middleware,
            checkpointer=InMemorySaver(),
        )
        config: Any = {'configurable': {'thread_id': 'chat'}, 'callbacks': [handler]}
        for turn in range(_TURNS):
            asked = f'Question {turn}: write 400 words about it. ' + 'please ' * 103
            agent.invoke({'messages': [('user', asked)]}, config)
            if context is not None and not context.driver.flush():
                raise RuntimeError('a summary was not made in time')
        if context is not None and context.driver.failures:
            raise RuntimeError(f'context control failed: {context.driver.failures}')
        by_purpose = {row.keys['purpose']: row for row in ledger.report(by='purpose').rows}
        rewrites = sum(
            row.calls
            for row in ledger.report(by='chosen').rows
            if 'rewrite' in (row.keys['chosen'] or '')
        )
        saved = sum(
            (row.saved_usd or Decimal(0) for row in ledger.report(by='context_policy').rows),
            Decimal(0),
        )
    tap.uninstall()
    made = by_purpose.get('summary')
    return Paid(
        cost=sum((row.cost_usd for row in by_purpose.values()), Decimal(0)),
        summaries=made.cost_usd if made else Decimal(0),
        calls=sum(row.calls for row in by_purpose.values()),
        rewrites=rewrites,
        saved=saved,
    )


def _model(sim: farthing_sim.Sim, name: str, tokens: int) -> ChatAnthropic:
    return ChatAnthropic(model=name, base_url=sim.anthropic_url, api_key='k', max_tokens=tokens)
