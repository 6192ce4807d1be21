"""What a file of requests costs under each caching policy, and how near each comes to the oracle.

Policies: `none` (every token at the input's price), `5m` and `1h` (the end of tools and system and
the last block are always marked; with OpenAI both mean its only lifetime), `farthing` (the planner,
which learns as it goes), `informed` (the planner, which has learned the gaps of the whole file
before it starts, but does not know the next one) and `oracle` (see `farthing.caching.oracle`).

All read the same estimated tokens and rates of one day, and meet the same cache
(`farthing.caching.machine`). The file is read twice; what is kept follows the live conversations.
Models whose caching is automatic and free cost the same under every policy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from farthing.caching.block import Lifetime, Prompt, prefixes, sizes, static_end, tail
from farthing.caching.gaps import Gaps
from farthing.caching.machine import Bill, Cache, Request
from farthing.caching.oracle import Oracle
from farthing.caching.plan import plan
from farthing.caching.rates import Rates
from farthing.caching.state import InMemory, Learned, ModelFacts
from farthing.caching.view import shortest

FIXED: Mapping[str, Lifetime] = {'5m': '5m', '1h': '1h'}
Marks = Sequence[tuple[int, Lifetime]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request of the file: when it started, in seconds, and what it held."""

    at: float
    prompt: Prompt
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one policy cost.

    Attributes:
        policy: Its name.
        cost: Of all input in 1e-12 USD.
        read_tokens: Read from the cache.
        write_tokens: Written to it.
        scored_cost: Of the requests after the warm-up.
        score: Of the same: the share of the oracle's saving; `None` where it saves nothing.
        score_all: Of all requests.
    """

    policy: str
    cost: int
    read_tokens: int
    write_tokens: int
    scored_cost: int
    score: Fraction | None = None
    score_all: Fraction | None = None


class _Policy:
    """One policy with a cache of its own, and what it has cost."""

    def __init__(self) -> None:
        self.cost = self.scored = self.read = self.written = 0
        self._cache = Cache()

    def take(self, request: Request, marks: Marks, *, scored: bool) -> None:
        """Send one request with these marks."""
        self.add(self._cache.send(request, marks), scored=scored)

    def add(self, bill: Bill, *, scored: bool) -> None:
        """Count a bill."""
        self.cost += bill.cost
        self.scored += bill.cost * scored
        self.read += bill.read_tokens
        self.written += bill.write_tokens


class _Informed(InMemory):
    """A memory whose counters are known before and learn no more."""

    def __init__(self, gaps: Mapping[str, Gaps]) -> None:
        super().__init__()
        self.counters.update(gaps)

    def learn(self, learned: Learned) -> None:
        """Take what was seen of prefixes only."""
        super().learn(Learned(prefixes=learned.prefixes))


def simulate(read: Callable[[], Iterable[Sent]], *, warmup: int = 30) -> list[Score]:
    """The scores of all policies.

    Args:
        read: Opens the requests, in order of time; it is called twice.
        warmup: The first requests, which `score` leaves out.
    """
    policies = {name: _Policy() for name in ('none', *FIXED, 'farthing', 'informed')}
    oracle, memory = Oracle(), InMemory()
    shared = _Policy()  # what is cached for free, under any policy
    for number, one in enumerate(read()):
        request, scored = as_request(one), number >= warmup
        if not one.rates.writes:
            shared.take(request, (), scored=scored)
            continue
        policies['none'].take(request, (), scored=scored)
        for name, life in FIXED.items():
            policies[name].take(request, fixed(one, life), scored=scored)
        policies['farthing'].take(request, _planned(one, memory), scored=scored)
        oracle.send(request, scored=scored)
    knowing = _Informed(memory.counters)
    for number, one in enumerate(read()):
        if one.rates.writes:
            marks = _planned(one, knowing)
            policies['informed'].take(as_request(one), marks, scored=number >= warmup)
    least = oracle.least()
    found = [
        Score(
            policy=name,
            cost=one.cost + shared.cost,
            read_tokens=one.read + shared.read,
            write_tokens=one.written,
            scored_cost=one.scored + shared.scored,
        )
        for name, one in policies.items()
    ]
    best = Score(
        policy='oracle',
        cost=least.cost + shared.cost,
        read_tokens=least.read_tokens + shared.read,
        write_tokens=least.write_tokens,
        scored_cost=least.scored_cost + shared.scored,
    )
    return [_scored(one, found[0], best) for one in (*found, best)]


def as_request(one: Sent) -> Request:
    """The request as a cache meets it."""
    return Request(
        at=one.at,
        digests=prefixes(one.prompt),
        tokens=sizes(one.prompt),
        rates=one.rates,
        least=shortest(one.prompt, one.rates, ModelFacts()),
        lookback=one.prompt.family == 'anthropic',
    )


def fixed(one: Sent, life: Lifetime) -> Marks:
    """The marks of a policy that always marks the static end and the last block."""
    blocks = one.prompt.blocks
    places = sorted({at for at in (static_end(blocks), tail(blocks)) if at is not None})
    only = '30m' if one.prompt.family == 'openai' else life
    return [(at, only) for at in places]


def _planned(one: Sent, memory: InMemory) -> Marks:
    made = plan(one.prompt, one.rates, memory, one.at)
    memory.learn(made.learned)
    return made.sent


def _scored(one: Score, none: Score, best: Score) -> Score:
    return replace(
        one,
        score=_share(one.scored_cost, none.scored_cost, best.scored_cost),
        score_all=_share(one.cost, none.cost, best.cost),
    )


def _share(cost: int, none: int, best: int) -> Fraction | None:
    return None if none == best else Fraction(none - cost, none - best)
