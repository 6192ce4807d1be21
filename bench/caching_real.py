"""Prompt caching through real agents of LangChain and the simulated provider's cache.

The same conversations without a cache, with langchain-anthropic's own middleware, and with ours;
each pays what the simulated provider reports. The provider's clock and ours are one, and it is
moved on before each call.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

from bench.timing import Check, Table
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.tools import tool

import farthing_sim
from farthing import Ledger
from farthing.io.tap import tap
from farthing.meter.shared import meter
from farthing.run.annotator import Annotator
from langchain_farthing import CacheAnnotatorMiddleware, LedgerCallbackHandler

_START_S = 1_800_000_000
_HANDBOOK = ' '.join(f'Rule {n}: refund parcels of kind {n} in {n} days.' for n in range(600))
_TURNS = 8
_POLICIES = ('none', "LangChain's middleware", 'farthing')
Gaps = Callable[[], Iterator[float]]


def _poisson(mean_s: float) -> Iterator[float]:
    rng = random.Random(7)
    return iter(lambda: rng.expovariate(1 / mean_s), None)


REGIMES: dict[str, Gaps] = {
    '20 s': lambda: repeat(20.0),
    '2 min': lambda: repeat(120.0),
    '8 min': lambda: repeat(480.0),
    '90 min': lambda: repeat(5_400.0),
    '5 fast, then 10 min': lambda: cycle((20.0,) * 5 + (600.0,)),
    'Poisson, 8 min': lambda: _poisson(480),
}
SHAPES = ('agent', 'one-shots')


@tool
def track(parcel: str) -> str:
    """Look up where a parcel is."""
    return f'Parcel {parcel} left the depot this morning. ' * 12


class Paced(AgentMiddleware[Any, Any, Any]):
    """Lets time pass before each call of a model."""

    def __init__(self, sim: farthing_sim.Sim, gaps: Iterator[float]) -> None:
        super().__init__()
        self._sim = sim
        self._gaps = gaps

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        self._sim.clock.advance(next(self._gaps))
        return handler(request)


def measure(*, quick: bool) -> list[Table]:
    """One row for each shape and regime."""
    conversations = 12 if quick else 24
    rows, worst = [], Decimal(0)
    with farthing_sim.serving() as sim, tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            for regime, gaps in REGIMES.items():
                paid = {
                    policy: _paid(sim, Path(folder), shape, gaps, policy, conversations)
                    for policy in _POLICIES
                }
                none, peer, ours = (paid[policy] for policy in _POLICIES)
                worst = max(worst, ours / min(none, peer))
                rows.append((f'{shape}, {regime}', *(f'{usd:.4f}' for usd in paid.values())))
    return [
        Table(
            title=f'Real agents, simulated cache: USD for {conversations} conversations',
            columns=('', *_POLICIES),
            rows=rows,
            checks=(Check(what='ours / the better of the others', value=float(worst), bound=1.02),),
        )
    ]


def _paid(
    sim: farthing_sim.Sim, folder: Path, shape: str, gaps: Gaps, policy: str, conversations: int
) -> Decimal:
    """What the conversations cost, answers included."""
    sim.reset()
    sim.clock.set(_START_S)
    path = Path(tempfile.mkdtemp(dir=folder), 'farthing.db')
    with Ledger.open(path) as ledger:
        handler = LedgerCallbackHandler(ledger)
        middleware = [Paced(sim, gaps())]
        if policy == 'farthing':
            annotator = Annotator(meter(ledger), now=sim.clock)
            middleware.append(CacheAnnotatorMiddleware(annotator=annotator))
        elif policy != 'none':
            middleware.append(AnthropicPromptCachingMiddleware())
        model = ChatAnthropic(
            model='claude-sonnet-4-6', base_url=sim.anthropic_url, api_key='k', max_tokens=100
        )
        tools = [track] if shape == 'agent' else []
        agent = create_agent(model, tools, system_prompt=_HANDBOOK, middleware=middleware)
        turns = _TURNS if shape == 'agent' else 1
        for number in range(conversations if shape == 'agent' else 5 * conversations):
            said: list[Any] = []
            for turn in range(turns):
                # One-shots bring a long text of their own, which nobody asks about again.
                text = f'Parcel {number}-{turn}? ' + ('Late again. ' * 400 if turns == 1 else '')
                asked = chain(said, [('user', text)])
                result = agent.invoke({'messages': [*asked]}, {'callbacks': [handler]})
                said = result['messages']
        paid = handler.spend.cost_usd
    tap.uninstall()
    return paid
