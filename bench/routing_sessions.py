"""Long sessions under a stream of tier decisions: what routing costs with both models' caches.

Recorded airline tasks (../shared/data/context), several in a row as one session. Each turn is given
a tier, light or heavy, by lot. Prices come from Anthropic's cache as farthing-sim keeps it, five
minutes long, which knows nothing of the routers: a call marks the system text, the place up to
which its model last saw the session, and its end. Calls are 5 s apart, turns 50 s. The first
session is what the ledger knows of the task when the others begin; it is not counted.
"""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from math import ceil
from pathlib import Path
from random import Random

from bench.timing import Check, Table

from farthing import Call, PriceBook, Usage
from farthing.context.counting import Counter
from farthing.context.parts import blocks
from farthing.routing import Route, Router
from farthing.routing.sessions import Given, Talk, Usual, aware, fixed
from farthing.wire import chat
from farthing_sim.anthropic_blocks import Block, Prompt
from farthing_sim.anthropic_cache import AnthropicCache
from farthing_sim.surface import Input, Stamp

SHARED = Path(__file__).resolve().parents[2] / 'shared' / 'data' / 'context'
MODELS = {'haiku': 'claude-haiku-4-5', 'sonnet': 'claude-sonnet-4-6', 'opus': 'claude-opus-4-7'}
PAIRS = (('opus', 'haiku'), ('sonnet', 'haiku'), ('opus', 'sonnet'))
SHARES = (0.05, 0.1, 0.2, 1 / 3, 0.5, 2 / 3, 0.8, 0.95)
A_THIRD = 1 / 3
JOIN = 16
SEEDS = 10
CALL_S, PAUSE_S = 5.0, 45.0
_AT = datetime(2026, 11, 25, tzinfo=UTC)
_STRONG, _EACH, _AWARE = 'always strong', 'switch at every turn', 'cache-aware'


def measure(*, quick: bool) -> list[Table]:
    if not SHARED.is_dir():
        print(f'No recorded sessions in {SHARED}: this table is left out.')
        return []
    talks = sessions(JOIN)
    return [priced(talks, *pair, seeds=2 if quick else SEEDS) for pair in PAIRS]


def priced(talks: Sequence[Talk], strong: str, weak: str, *, seeds: int) -> Table:
    """One pair of models: cost beside always-strong, by the share of light turns.

    Sonnet in place of Opus saves 2 % at a third of the turns, even in hindsight: its cache costs
    three fifths of the other's. A tenth is asked of Haiku alone.
    """
    rows, checks = [], []
    for share in SHARES:
        sums = [costs(talks, strong, weak, share=share, seed=seed) for seed in range(seeds)]
        total = {name: sum(one[name] for one in sums) for name in sums[0]}
        worst = max(one[_AWARE] / one[_STRONG] for one in sums)
        aware = total[_AWARE] / total[_STRONG]
        beside = total[_AWARE] / total[_EACH]
        each = total[_EACH] / total[_STRONG]
        rows.append(
            (f'{share:.0%}', f'{each:.3f}', f'{aware:.3f}', f'{worst:.4f}', f'{beside:.3f}')
        )
        checks.append((share, aware, worst, beside, each))
    bounds = [
        Check(what='cache-aware, worst seed', value=max(one[2] for one in checks), bound=1),
        Check(
            what='cache-aware / switch at every turn, all shares together',
            value=sum(one[1] for one in checks) / sum(one[4] for one in checks),
            bound=1,
        ),
    ]
    if weak == 'haiku':
        saved = max(one[1] for one in checks if one[0] >= A_THIRD)
        bounds.append(
            Check(what='cache-aware, a third of the turns or more light', value=saved, bound=0.9)
        )
    return Table(
        title=f'{strong} and {weak}: {len(talks)} sessions of {JOIN} tasks, {seeds} seeds; '
        f'cost / {_STRONG}',
        columns=('light turns', _EACH, _AWARE, 'worst seed', f'{_AWARE} / {_EACH}'),
        rows=rows,
        checks=tuple(bounds),
    )


def costs(
    talks: Sequence[Talk], strong: str, weak: str, *, share: float, seed: int
) -> dict[str, int]:
    """What the same tier decisions cost in 1e-12 USD under each way to follow them."""
    found = dict.fromkeys((_STRONG, _EACH, _AWARE), 0)
    for talk in talks:
        light = _lot(talk, share, f'{seed}')
        usual = Usual()
        for other in talks:
            if other is not talk:
                usual.learn(other, _lot(other, share, f'before {seed}'), took_s=_took_s(other))
        found[_STRONG] += fixed(talk, Bill(talk), [strong] * len(light))
        found[_EACH] += fixed(talk, Bill(talk), [weak if one else strong for one in light])
        found[_AWARE] += aware(talk, Bill(talk), _router(strong, weak), light, usual, _AT)
    return found


def _lot(talk: Talk, share: float, seed: str) -> list[bool]:
    """Whether each turn is light: no fewer of them than the share says."""
    turns = range(len(talk.turns))
    lot = Random(f'{seed} {talk.before[-1]} {share}').sample(turns, ceil(share * len(turns)))
    return [turn in lot for turn in turns]


def _took_s(talk: Talk) -> float:
    return PAUSE_S * len(talk.turns) + CALL_S * sum(map(len, talk.turns))


class Bill:
    """The simulated cache of one session, and its clock."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._cache = AnthropicCache(lookback=20, collapse_tool_runs=False, min_tokens=None)
        self._seen: dict[str, int] = {}
        self._blocks = tuple(
            Block(
                where='', tier='messages', kind='', digest=b'', key=str(at).encode(),
                tokens=talk.before[at + 1], ttl=None, unmarkable=None,
            )
            for at in range(len(talk.before) - 1)
        )  # fmt: skip
        self.now_s = 0.0

    @property
    def begins_s(self) -> float:
        """When the next turn begins."""
        return self.now_s + PAUSE_S if self.now_s else 0.0

    @property
    def ended_s(self) -> float:
        """When the last call was made."""
        return self.now_s - CALL_S

    def turn(self, number: int, route: str) -> int:
        """Serve a turn; its cost in 1e-12 USD."""
        self.now_s = self.begins_s
        return sum(self._call(at, route) for at in self._talk.turns[number])

    def _call(self, at: int, route: str) -> int:
        marks = sorted({0, self._seen.get(route, 0), at - 1})
        prompt = Prompt(
            blocks=self._blocks[:at],
            marks=dict.fromkeys(marks, '5m'),
            tokens=self._talk.before[at],
            parameters=b'',
        )
        stamp = Stamp(serial='', time_s=self.now_s)
        visit = self._cache.visit(prompt, MODELS[route], stamp)
        visit.begin()
        self._seen[route] = at - 1
        self.now_s += CALL_S
        return _price(route, visit.given, self._talk.output(at))


def _price(route: str, given: Input, output: int) -> int:
    usage = Usage(
        input_tokens=given.total,
        output_tokens=output,
        cache_read_tokens=given.read,
        cache_write_tokens=given.write_5m,
        cache_write_5m_tokens=given.write_5m,
    )
    call = Call(provider='anthropic', model=MODELS[route], at=_AT)
    cost = PriceBook.load().quote(usage, call).cost
    assert cost is not None
    return cost


def _router(strong: str, weak: str) -> Router:
    routes = {
        name: Route(name=name, provider='anthropic', model=MODELS[name], cache_writes='5m')
        for name in (weak, strong)
    }
    return Router(routes=routes, policies=(Given(),), default=strong, book=PriceBook.load())


@cache
def sessions(join: int) -> tuple[Talk, ...]:
    """The recorded tasks, `join` in a row each."""
    counter = Counter('openai', 'gpt-4o')
    with gzip.open(SHARED / 'tau_airline_traces.jsonl.gz', 'rt') as lines:
        tasks = [json.loads(line)['messages'] for line in lines]
    tools = counter.tokens((SHARED / 'tau_airline_tools.json').read_text('utf-8'))
    found = []
    for first in range(0, len(tasks) - join + 1, join):
        joined = tasks[first : first + join]
        said = [one for number, task in enumerate(joined) for one in task[number > 0 :]]
        counted = blocks(chat.parts(said), counter.tokens, key=b'bench')
        kinds, tokens = zip(*((one.kind, one.tokens) for one in counted), strict=True)
        found.append(Talk.of(kinds, tokens, fixed_tokens=tools))
    return tuple(found)
