"""What a provider's cache may hold, as far as earlier calls tell: each prefix, when it was written.

Prefixes are numbers: a hash over the digests of their blocks, so that a request's are found one
by one, and a day of calls fits into memory. What is older than the rules reach is forgotten.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from farthing.caching.fingerprint import Block

_RECENT = 4
"""So many calls of one chain are compared with the next; several may run side by side."""


class Write(NamedTuple):
    """One prefix that a call wrote or refreshed: its end, and how long it lives."""

    end: int
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An earlier call.

    Attributes:
        id: Its entry.
        model: Its model.
        at_us: When it left, in microseconds since 1970.
        begun_us: When its answer had begun, so that others could read what it wrote.
        blocks: Its blocks.
        writes: What it wrote, shortest first.
    """

    id: str
    model: str
    at_us: int
    begun_us: int
    blocks: tuple[Block, ...]
    writes: tuple[Write, ...]


@dataclass(slots=True)
class Held:
    """What is known of one prefix.

    Attributes:
        seen_us: When a request last began with it.
        begun_us: When the first such answer had begun that still counts.
        expires_us: Until when it is cached; `None` while nobody wrote it.
        lifetime_us: How long a read keeps it.
        tokens: Its size as the provider counted it; `None` is unknown.
        tried: Whether a mark stood at its end and nothing was written.
    """

    seen_us: int
    begun_us: int
    expires_us: int | None = None
    lifetime_us: int = 0
    tokens: int | None = None
    tried: bool = False


@dataclass(slots=True)
class Memory:
    """The prefixes and the latest calls of all chains, oldest first.

    Ordered dictionaries, because a plain one looks for its first key past all that were deleted.
    """

    reach_us: int
    held: OrderedDict[int, Held] = field(default_factory=OrderedDict)
    chains: OrderedDict[Hashable, deque[Past]] = field(default_factory=OrderedDict)

    def see(self, prefix: int, *, at_us: int, begun_us: int) -> Held:
        """A prefix that a request begins with; it is now the latest one."""
        known = self.held.get(prefix)
        if known is None:
            known = self.held[prefix] = Held(seen_us=at_us, begun_us=begun_us)
            return known
        self.held.move_to_end(prefix)
        if known.expires_us is not None and known.expires_us <= at_us:
            known.begun_us = begun_us  # It is gone: whoever comes next waits for this answer.
        known.seen_us = at_us
        return known

    def recent(self, chain: Hashable) -> Iterator[Past]:
        """The latest calls of a chain, the last one first."""
        return reversed(self.chains.get(chain, deque()))

    def add(self, chain: Hashable, past: Past) -> None:
        """Remember a call as its chain's last one."""
        self.chains.setdefault(chain, deque(maxlen=_RECENT)).append(past)
        self.chains.move_to_end(chain)

    def forget(self, now_us: int) -> None:
        """Forget what is out of reach."""
        since = now_us - self.reach_us
        while self.held and next(iter(self.held.values())).seen_us < since:
            self.held.popitem(last=False)
        while self.chains and next(iter(self.chains.values()))[-1].at_us < since:
            self.chains.popitem(last=False)


def prefixes(scope: Hashable, blocks: Sequence[Block]) -> list[int]:
    """A number for the prefix that each block ends."""
    found, number = [], hash(scope)
    for block in blocks:
        number = hash((number, block.digest))
        found.append(number)
    return found
