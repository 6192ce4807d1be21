"""A request beside what is remembered of its prefixes: what is shared, what lives, what waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from farthing.caching.block import Lifetime, Prompt, prefixes, root, sizes, static_end, tail
from farthing.caching.minimum import minimum
from farthing.caching.rates import Rates
from farthing.caching.state import Memory, ModelFacts, Prefix

FIRST_TOKEN_S = 0.5
"""No answer begins sooner, and until it begins what its request writes cannot be read."""

LOOKBACK = 15
"""Blocks over which a mark surely finds an earlier write. Anthropic's page says 20, with the
mark's own block; what counts as one block is disputed (see `wire.anthropic_marks`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Positions are indices of blocks.

    Attributes:
        at: Seconds since 1970.
        digests: Of the prefix that each block ends.
        tokens: Estimated, of the same prefixes.
        known: Those that are remembered.
        least: The shortest prefix that the model caches.
        own: The user's marks; one that the provider sets stands on the last block.
        end: The last block that a mark can stand on, ours or the provider's.
        root: The end of tools and system; `None` where there are none.
        static: Its last block that takes a mark.
        turn: The end of the request that this one continues; `end` where it repeats it.
        shared: Further ends of what several conversations share, in order.
        live: The longest prefix that can be read.
        flying: The longest prefix whose write is under way.
    """

    prompt: Prompt
    rates: Rates
    at: float
    digests: Sequence[bytes]
    tokens: Sequence[int]
    known: Mapping[bytes, Prefix]
    least: int
    own: Mapping[int, Lifetime]
    end: int
    root: int | None
    static: int | None
    turn: int | None
    shared: tuple[int, ...]
    live: int | None
    flying: int | None

    def prefix(self, position: int) -> Prefix | None:
        """What is remembered of the prefix that ends there."""
        return self.known.get(self.digests[position])

    @property
    def life_s(self) -> int | None:
        """The lifetime of what can be read; `None` where nothing can."""
        prefix = None if self.live is None else self.prefix(self.live)
        return None if prefix is None else prefix.life_s


def view(prompt: Prompt, rates: Rates, memory: Memory, at: float, *, key: bytes) -> View | None:
    """The request as the planner sees it; `None` where it has no block to mark."""
    # OpenAI marks the last message by itself, whatever ends it.
    end = len(prompt.blocks) - 1 if prompt.family == 'openai' else tail(prompt.blocks)
    if end is None or end < 0:
        return None
    digests = prefixes(prompt, key=key)
    known = memory.recall(digests)
    facts = memory.facts(rates.model)
    static = static_end(prompt.blocks)
    past = {one: known[digest] for one, digest in enumerate(digests) if digest in known}
    turn = _turn(past)
    tokens = sizes(prompt, per_char(facts))
    least = shortest(prompt, rates, facts)
    # What is too short was not cached, whatever was marked before the minimum was known.
    # A conversation that goes on holds the answer to its last request, so that one has begun.
    answered = -inf if turn is None or turn == end else past[turn].at
    alive = {one: past[one] for one in past if at <= past[one].expires and tokens[one] >= least}
    live, flying = _entries(alive, at, answered)
    return View(
        prompt=prompt,
        rates=rates,
        at=at,
        digests=digests,
        tokens=tokens,
        known=known,
        least=least,
        own=_own(prompt, end),
        end=end,
        root=root(prompt.blocks),
        static=static,
        turn=turn,
        shared=_shared(prompt, past, turn, static, end),
        live=live,
        flying=flying,
    )


def per_char(facts: ModelFacts) -> float | None:
    """Tokens a character, as usage has shown; `None` before it has."""
    return facts.tokens / facts.chars if facts.tokens > _ENOUGH_TOKENS else None


def shortest(prompt: Prompt, rates: Rates, facts: ModelFacts) -> int:
    """The shortest prefix that is cached: what the pages say, unless usage says otherwise."""
    told = minimum(prompt.family, rates.model) or 0
    if facts.cached is not None and facts.cached < told:
        return facts.cached
    if told <= facts.uncached and (facts.cached is None or facts.uncached < facts.cached):
        return facts.uncached + 1
    return told


_ENOUGH_TOKENS = 2_000


def _own(prompt: Prompt, end: int) -> dict[int, Lifetime]:
    own = {at: block.mark for at, block in enumerate(prompt.blocks) if block.mark is not None}
    return own if prompt.automatic is None else {**own, end: prompt.automatic}


def _turn(past: Mapping[int, Prefix]) -> int | None:
    """Where the request that this one continues ended: the deepest prefix known, if it is such."""
    deepest = max(past, default=None)
    return deepest if deepest is not None and past[deepest].kind == 'tail' else None


def _shared(
    prompt: Prompt, past: Mapping[int, Prefix], turn: int | None, static: int | None, end: int
) -> tuple[int, ...]:
    """Where conversations part: found before, or now, where what is known ends within a request."""
    found = {at for at, prefix in past.items() if prefix.kind == 'shared'}
    deepest = max(past, default=None)
    if deepest is not None and turn is None:
        found |= {next((at for at in range(deepest, -1, -1) if prompt.blocks[at].markable), end)}
    return tuple(at for at in sorted(found - {static}) if at < end and prompt.blocks[at].markable)[
        -2:
    ]


def _entries(
    alive: Mapping[int, Prefix], now: float, answered: float
) -> tuple[int | None, int | None]:
    """The longest prefix that can be read, and a longer one whose write is under way.

    What was written up to `answered` can be read, however little time has passed.
    """
    flying = {
        at
        for at, prefix in alive.items()
        if answered < prefix.written and now - prefix.written < FIRST_TOKEN_S
    }
    live = max(alive.keys() - flying, default=None)
    return live, max((at for at in flying if live is None or at > live), default=None)
