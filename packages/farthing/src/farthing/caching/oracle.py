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

from collections.abc import Iterator
from dataclasses import dataclass, field

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.machine import Request
from farthing.caching.view import FIRST_TOKEN_S

_LONGEST_S = max(SECONDS.values())
_SWEEP = 4_096

Sum = tuple[int, int]
"""Cost in 1e-12 USD a token: of all requests, and of those after the warm-up."""


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
    dead: Sum = (0, 0)
    alive: dict[Lifetime, tuple[Sum, float]] = field(default_factory=dict)

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
        alive: dict[Lifetime, tuple[Sum, float]] = {}
        for life, write in rates.writes.items():
            written = (_plus(self.dead, write, scored), request.at)
            if life in self.alive:
                way, since = self.alive[life]
                flying = request.at - since < FIRST_TOKEN_S
                kept = (_plus(way, plain if flying else rates.read, scored), since)
                alive[life] = min(kept, written, key=_cost)
            else:
                alive[life] = written
        self.alive = alive
        self.dead = _plus(self.dead, plain, scored)


class Oracle:
    """Takes requests in order of time; `cost` says what they could have cost."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Block] = {}
        self._ended: Sum = (0, 0)
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

    def cost(self) -> Sum:
        """The least cost so far in 1e-12 USD: of all requests, and of those after the warm-up."""
        return _total(self._ended, (_least(block) for block in self._blocks.values()))

    def _forget(self, now: float) -> None:
        old = {digest for digest, one in self._blocks.items() if now - one.at > _LONGEST_S}
        self._ended = _total(self._ended, (_least(self._blocks.pop(one)) for one in old))
        self._sweep_at = max(_SWEEP, 2 * len(self._blocks))


def _plus(way: Sum, price: int, scored: bool) -> Sum:  # noqa: FBT001 - called for every block
    return way[0] + price, way[1] + price * scored


def _cost(way: tuple[Sum, float]) -> Sum:
    return way[0]


def _least(block: _Block) -> Sum:
    every, scored = min(block.dead, *(way for way, _ in block.alive.values()))
    return every * block.tokens, scored * block.tokens


def _total(start: Sum, ways: Iterator[Sum]) -> Sum:
    every, scored = start
    for one, other in ways:
        every, scored = every + one, scored + other
    return every, scored
