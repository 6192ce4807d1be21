"""Long sessions under a stream of tier decisions: what routing costs with both models' caches.

Recorded airline tasks (../shared/data/context), several in a row as one session. Each turn is given
a tier, light or heavy, by lot. Prices come from Anthropic's cache as farthing-sim keeps it, five
minutes long, which knows nothing of the routers: a call marks the system text, the place up to
which its model last saw the session, and its end. Calls are 5 s apart, turns 50 s.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random

from bench.timing import Check, Table

from farthing import Call, PriceBook, Usage
from farthing.context.counting import Counter
from farthing.context.parts import blocks
from farthing.context.values import ANSWERS
from farthing.flow import run
from farthing.routing import Choice, Query, Route, Router, Session
from farthing.routing.switching import outlook
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
SEEDS = 5
CALL_S, PAUSE_S, LIFE_S = 5.0, 45.0, 300.0
_AT = datetime(2026, 11, 25, tzinfo=UTC)
_STRONG, _EACH, _AWARE = 'always strong', 'switch at every turn', 'cache-aware'


@dataclass(frozen=True)
class Talk:
    """A session: tokens before each message, and which calls each turn makes.

    Attributes:
        before: Tokens of tools and messages before each message, and of all.
        kinds: What each message is.
        turns: Positions of the answers, by turn.
    """

    before: tuple[int, ...]
    kinds: tuple[str, ...]
    turns: tuple[tuple[int, ...], ...]

    def output(self, at: int) -> int:
        return self.before[at + 1] - self.before[at]


def measure(*, quick: bool) -> list[Table]:
    if not SHARED.is_dir():
        print(f'No recorded sessions in {SHARED}: this table is left out.')
        return []
    talks = sessions(JOIN)
    return [priced(talks, *pair, seeds=2 if quick else SEEDS) for pair in PAIRS]


def priced(talks: Sequence[Talk], strong: str, weak: str, *, seeds: int) -> Table:
    """One pair of models: cost beside always-strong, by the share of light turns."""
    rows, checks = [], []
    for share in SHARES:
        sums = [costs(talks, strong, weak, share=share, seed=seed) for seed in range(seeds)]
        total = {name: sum(one[name] for one in sums) for name in sums[0]}
        worst = max(one[_AWARE] / one[_STRONG] for one in sums)
        aware = total[_AWARE] / total[_STRONG]
        beside = total[_AWARE] / total[_EACH]
        each = total[_EACH] / total[_STRONG]
        rows.append(
            (f'{share:.0%}', f'{each:.3f}', f'{aware:.3f}', f'{worst:.3f}', f'{beside:.3f}')
        )
        checks.append((share, aware, worst, beside))
    return Table(
        title=f'{strong} and {weak}: {len(talks)} sessions of {JOIN} tasks, {seeds} seeds; cost / '
        f'{_STRONG}',
        columns=('light turns', _EACH, _AWARE, 'worst seed', f'{_AWARE} / {_EACH}'),
        rows=rows,
        checks=(
            Check(what='cache-aware, worst of all', value=max(one[2] for one in checks), bound=1),
            Check(
                what='cache-aware, a third of the turns or more light',
                value=max(one[1] for one in checks if one[0] >= A_THIRD),
                bound=0.9,
            ),
            Check(
                what='cache-aware / switch at every turn, worst share',
                value=max(one[3] for one in checks),
                bound=1,
            ),
        ),
    )


def costs(
    talks: Sequence[Talk], strong: str, weak: str, *, share: float, seed: int
) -> dict[str, int]:
    """What the same tier decisions cost in 1e-12 USD under each way to follow them."""
    found = dict.fromkeys((_STRONG, _EACH, _AWARE), 0)
    for number, talk in enumerate(talks):
        lot = Random(f'{seed} {number} {share}')
        light = [lot.random() < share for _ in talk.turns]
        found[_STRONG] += cost(talk, [strong] * len(light))
        found[_EACH] += cost(talk, [weak if one else strong for one in light])
        found[_AWARE] += aware(talk, light, strong, weak)
    return found


def cost(talk: Talk, routes: Sequence[str]) -> int:
    """What a session costs whose turns are served so."""
    bill = Bill(talk)
    return sum(bill.turn(number, route) for number, route in enumerate(routes))


def aware(talk: Talk, light: Sequence[bool], strong: str, weak: str) -> int:
    """What it costs under the router, which learns of each turn when that comes."""
    router, bill, total = _router(strong, weak), Bill(talk), 0
    known = Known(talk)
    for number, wants_weak in enumerate(light):
        session = known.session(light[:number], wants_weak=wants_weak, now_s=bill.begins_s())
        query = Query(text='weak' if wants_weak else 'strong', session=session)
        route = run(router.decide(query, _AT), lambda _: None).route
        total += bill.turn(number, route)
        known.served(number, route, ends_s=bill.now_s - CALL_S)
    return total


@dataclass
class Known:
    """What a driver knows of a session: what it has sent where, and when."""

    talk: Talk
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    route: str | None = None
    turns: int = 0
    first_s: float = 0.0

    def served(self, number: int, route: str, *, ends_s: float) -> None:
        """Take note of a turn."""
        self.seen[route] = (self.talk.before[self.talk.turns[number][-1]], ends_s)
        self.route, self.turns = route, number + 1

    def session(self, light: Sequence[bool], *, wants_weak: bool, now_s: float) -> Session | None:
        """The session before a turn; `None` before the first."""
        if self.route is None:
            return None
        past = self.talk.turns[: self.turns]
        calls = sum(map(len, past))
        output = sum(self.talk.output(at) for turn in past for at in turn)
        prefix = self.talk.before[past[-1][-1] + 1]
        added = (prefix - self.talk.before[past[0][0]]) / self.turns
        expected = outlook(self.turns, sum(light) if wants_weak else self.turns)
        return Session(
            id='s',
            route=self.route,
            prefix_tokens=prefix,
            warm_tokens={
                name: tokens for name, (tokens, at) in self.seen.items() if now_s - at < LIFE_S
            },
            new_tokens=max(0, round(added - output / self.turns)),
            output_tokens=round(output / self.turns),
            calls=calls / self.turns,
            again=expected.again,
            turns_left=expected.turns_left,
            turn_s=now_s / self.turns,
            idle_s={name: now_s - at for name, (_, at) in self.seen.items()},
        )


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
            for at in range(len(talk.kinds))
        )  # fmt: skip
        self.now_s = 0.0

    def begins_s(self) -> float:
        """When the next turn begins."""
        return self.now_s + PAUSE_S if self.now_s else 0.0

    def turn(self, number: int, route: str) -> int:
        """Serve a turn; its cost in 1e-12 USD."""
        self.now_s = self.begins_s()
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


@dataclass(frozen=True)
class _Given:
    """The policy that wants what the stream says."""

    strong: str
    weak: str
    name: str = 'given'
    version: str = '1'

    def choose(self, query: Query) -> Choice:
        return Choice(route=self.weak if query.text == 'weak' else self.strong, reason='given')


def _router(strong: str, weak: str) -> Router:
    routes = {
        name: Route(name=name, provider='anthropic', model=MODELS[name], cache_writes='5m')
        for name in (weak, strong)
    }
    policy = _Given(strong, weak)
    return Router(routes=routes, policies=(policy,), default=strong, book=PriceBook.load())


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
        found.append(_talk(blocks(chat.parts(said), counter.tokens, key=b'bench'), tools))
    return tuple(found)


def _talk(said, tools: int) -> Talk:
    before = [tools]
    for block in said:
        before.append(before[-1] + block.tokens)
    kinds = tuple(block.kind for block in said)
    return Talk(before=tuple(before), kinds=kinds, turns=tuple(_turns(kinds)))


def _turns(kinds: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """The answers from each request of the user to the next."""
    answers: list[int] = []
    for at, kind in enumerate(kinds):
        if kind == 'user' and answers:
            yield tuple(answers)
            answers = []
        if kind in ANSWERS:
            answers.append(at)
    if answers:
        yield tuple(answers)
