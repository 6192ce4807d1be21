"""What the planner remembers, as plain values; where they are kept is the memory's business.

A store needs four things: prefixes by digest, counters by key, a model's facts, and the prefixes
whose next interval has passed (`due <= at`, an index). All that a request changes comes back in
one `Learned`: prefixes to set, counters to add to, facts to add to. Digests and keys are opaque.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from farthing.caching.gaps import Gaps
from farthing.frozen import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A prefix that was sent.

    Times are seconds since 1970; a lifetime counts from the start of the request.

    Attributes:
        at: Start of the last request through it that was noted here.
        visits: How many were noted.
        kind: `shared` (several conversations pass it), `tail` (a request ended here), or
            `inner`, which is known only so that a parting of ways is found.
        laws: Keys of the counters that the next gap adds to.
        counted: Intervals after `at` that are counted as passed.
        due: When the next interval passes; infinite where nothing waits.
        life_s: Lifetime of the entry that was written here; 0 where none was.
        written: Start of the request that wrote it.
        expires: When it dies unless it is read.
        per_minute: Requests a minute, weighted towards the last ten.
    """

    at: float
    visits: int = 1
    kind: str = 'inner'
    laws: tuple[str, ...] = ()
    counted: int = 0
    due: float = inf
    life_s: int = 0
    written: float = -inf
    expires: float = -inf
    per_minute: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What usage has shown of a model.

    Attributes:
        chars: Characters of the prompts whose tokens are known.
        tokens: Their tokens.
        uncached: The longest marked prefix that was not cached, in tokens.
        cached: The shortest that was; `None` before the first.
    """

    chars: int = 0
    tokens: int = 0
    uncached: int = 0
    cached: int | None = None

    def __add__(self, other: 'ModelFacts') -> 'ModelFacts':
        """The facts of both."""
        cached = [one for one in (self.cached, other.cached) if one is not None]
        return ModelFacts(
            chars=self.chars + other.chars,
            tokens=self.tokens + other.tokens,
            uncached=max(self.uncached, other.uncached),
            cached=min(cached, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What one request adds to the memory."""

    prefixes: Mapping[bytes, Prefix] = field(default_factory=dict)
    gaps: Mapping[str, Gaps] = field(default_factory=dict)
    facts: Mapping[str, ModelFacts] = field(default_factory=dict)


class Memory(Protocol):
    """Where it is kept."""

    def recall(self, digests: Iterable[bytes]) -> Mapping[bytes, Prefix]:
        """Those of the prefixes that are known."""

    def waiting(self, at: float, limit: int) -> Mapping[bytes, Prefix]:
        """Up to `limit` prefixes that are due."""

    def gaps(self, key: str) -> Gaps:
        """A counter, all zero where it is new."""

    def facts(self, model: str) -> ModelFacts:
        """What is known of a model."""

    def learn(self, learned: Learned) -> None:
        """Set its prefixes, add its counts and facts."""


class InMemory:
    """A memory of one process that forgets the prefixes not seen for longest."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._prefixes: dict[bytes, Prefix] = {}
        self._due: list[tuple[float, bytes]] = []
        self.counters: dict[str, Gaps] = {}
        self._facts: dict[str, ModelFacts] = {}

    def recall(self, digests: Iterable[bytes]) -> Mapping[bytes, Prefix]:
        """Those of the prefixes that are known."""
        known = self._prefixes
        return {digest: known[digest] for digest in digests if digest in known}

    def waiting(self, at: float, limit: int) -> Mapping[bytes, Prefix]:
        """Up to `limit` prefixes that are due."""
        found: dict[bytes, Prefix] = {}
        while self._due and self._due[0][0] <= at and len(found) < limit:
            due, digest = heapq.heappop(self._due)
            prefix = self._prefixes.get(digest)
            if prefix is not None and prefix.due == due:
                found[digest] = prefix
        for digest, prefix in found.items():
            # It stays due until what was learned of it comes back.
            heapq.heappush(self._due, (prefix.due, digest))
        return found

    def gaps(self, key: str) -> Gaps:
        """A counter, all zero where it is new."""
        return self.counters.get(key, _NO_GAPS)

    def facts(self, model: str) -> ModelFacts:
        """What is known of a model."""
        return self._facts.get(model, _NO_FACTS)

    def learn(self, learned: Learned) -> None:
        """Set its prefixes, add its counts and facts."""
        for digest, prefix in learned.prefixes.items():
            self._prefixes.pop(digest, None)  # to the end: last seen
            self._prefixes[digest] = prefix
            if prefix.due < inf:
                heapq.heappush(self._due, (prefix.due, digest))
        for key, gaps in learned.gaps.items():
            self.counters[key] = self.gaps(key) + gaps
        for model, facts in learned.facts.items():
            self._facts[model] = self.facts(model) + facts
        while len(self._prefixes) > self._most:
            del self._prefixes[next(iter(self._prefixes))]

    def restate(self, everything: Learned) -> None:
        """Put these counts and facts in the place of all that were learned, and newer prefixes."""
        newer = {
            digest: prefix
            for digest, prefix in everything.prefixes.items()
            if digest not in self._prefixes or self._prefixes[digest].at < prefix.at
        }
        self.counters, self._facts = dict(everything.gaps), dict(everything.facts)
        self.learn(Learned(prefixes=newer))


_NO_GAPS = Gaps()
_NO_FACTS = ModelFacts()
