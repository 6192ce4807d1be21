"""The least that a file of requests can cost, if every gap were known before.

Tokens are taken by the block that brings them. All requests, of whatever conversation, whose
prompt begins with the same prefix pass its last block; their times are that block's own history,
so what conversations share is shared here too. At each request a block's tokens are paid plainly,
written for one of the lifetimes, or read where they live; a read renews them, and a write can be
read half a second later. The cheapest way through is found forwards, state by state (dead, or
alive for a lifetime), so a block is forgotten once no entry of it could live, and memory follows
the live conversations. Blocks are free of each other, of the number of marks, of the lookback and
of the order of lifetimes: no policy can cost less, and one may be unable to cost as little.
A request that is shorter than the minimum is paid plainly.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.machine import Request
from farthing.caching.view import FIRST_TOKEN_S

_LONGEST_S = max(SECONDS.values())
_SWEEP = 4_096


class Least(NamedTuple):
    """The cheapest way; of one block, everything is for one of its tokens.

    Attributes:
        cost: Of all requests in 1e-12 USD.
        scored_cost: Of those after the warm-up.
        read_tokens: Read from the cache.
        write_tokens: Written to it.
    """

    cost: int = 0
    scored_cost: int = 0
    read_tokens: int = 0
    write_tokens: int = 0


_NOTHING = Least()


@dataclass(slots=True)
class _Block:
    """One block's history.

    Attributes:
        tokens: It brings.
        at: Of the last request.
        dead: The cheapest way to leave it uncached.
        alive: The cheapest way to have it cached, by lifetime, and when it was written.
    """

    tokens: int
    at: float
    dead: Least = _NOTHING
    alive: dict[Lifetime, tuple[Least, float]] = field(default_factory=dict)

    def settle(self, at: float) -> None:
        """Let die what does not live until `at`."""
        for life in [one for one in self.alive if at - self.at > SECONDS[one]]:
            self.dead = min(self.dead, self.alive.pop(life)[0])

    def send(self, request: Request, *, cacheable: bool, scored: bool) -> None:
        """Take one request."""
        self.settle(request.at)
        self.at = request.at
        rates, plain = request.rates, request.rates.input
        if not cacheable:
            self.alive = {
                life: (_plus(way, plain, scored), at) for life, (way, at) in self.alive.items()
            }
            self.dead = _plus(self.dead, plain, scored)
            return
        alive: dict[Lifetime, tuple[Least, float]] = {}
        for life, write in rates.writes.items():
            written = (_plus(self.dead, write, scored, written=1), request.at)
            if life in self.alive:
                way, since = self.alive[life]
                flying = request.at - since < FIRST_TOKEN_S
                price = plain if flying else rates.read
                kept = (_plus(way, price, scored, read=not flying), since)
                alive[life] = min(kept, written, key=_cost)
            else:
                alive[life] = written
        self.alive = alive
        self.dead = _plus(self.dead, plain, scored)


class Oracle:
    """Takes requests in order of time; `least` says what they could have cost."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Block] = {}
        self._ended = Least()
        self._sweep_at = _SWEEP

    def send(self, request: Request, *, scored: bool) -> None:
        """Take one request; `scored` after the warm-up."""
        cacheable = request.tokens[-1] >= request.least
        before = 0
        for digest, tokens in zip(request.digests, request.tokens, strict=True):
            block = self._blocks.get(digest)
            if block is None:
                block = self._blocks[digest] = _Block(tokens - before, request.at)
            block.send(request, cacheable=cacheable, scored=scored)
            before = tokens
        if len(self._blocks) >= self._sweep_at:
            self._forget(request.at)

    def least(self) -> Least:
        """The cheapest way through all requests so far."""
        return _total(self._ended, (_least(block) for block in self._blocks.values()))

    def _forget(self, now: float) -> None:
        old = {digest for digest, one in self._blocks.items() if now - one.at > _LONGEST_S}
        self._ended = _total(self._ended, (_least(self._blocks.pop(one)) for one in old))
        self._sweep_at = max(_SWEEP, 2 * len(self._blocks))


def _plus(way: Least, price: int, scored: bool, *, read: int = 0, written: int = 0) -> Least:  # noqa: FBT001 - called for every block
    cost, scored_cost, reads, writes = way
    return Least(cost + price, scored_cost + price * scored, reads + read, writes + written)


def _cost(way: tuple[Least, float]) -> Least:
    return way[0]


def _least(block: _Block) -> Least:
    best = min(block.dead, *(way for way, _ in block.alive.values()))
    return Least(*(count * block.tokens for count in best))


def _total(start: Least, ways: Iterable[Least]) -> Least:
    return Least(*map(sum, zip(start, *ways, strict=True)))
