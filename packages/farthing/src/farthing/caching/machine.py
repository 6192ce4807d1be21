"""What a provider's cache does with a request, as a cost model for `farthing cache simulate`.

Anthropic: a mark reads the longest live entry within 20 blocks, its own among them, and writes one
entry if its prefix reaches the minimum; writes up to the last 1h mark cost the rate of 1h. OpenAI
from GPT-5.6 on: the longest live entry is read, however far back, and each mark writes one. Before
it, every prefix is cached for free whatever the request says.

Where the providers are silent the model is strict: an entry lives no longer than what it stands
on, a write can be read after half a second, and a read keeps alive what it reads and the marked
entries inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.rates import Rates
from farthing.caching.view import FIRST_TOKEN_S

_LOOKBACK = 20  # Anthropic, prompt caching page: blocks that a mark looks back over
_AUTOMATIC_S = 300  # OpenAI: unused prefixes are kept for five to ten minutes
_SWEEP = 4_096


class Request(NamedTuple):
    """One request, as a cache meets it.

    Attributes:
        at: When it starts, in seconds.
        digests: Of the prefix that each block ends.
        tokens: Of the same prefixes.
        rates: Of its model.
        least: The shortest prefix that is cached.
        lookback: Whether entries are looked for near the marks only (Anthropic).
    """

    at: float
    digests: Sequence[bytes]
    tokens: Sequence[int]
    rates: Rates
    least: int
    lookback: bool


class Entry(NamedTuple):
    """One cached prefix."""

    visible: float
    expires: float
    life_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Input of one request by how it was billed; the cost is in 1e-12 USD."""

    cost: int
    read_tokens: int
    write_tokens: int


class Cache:
    """One provider's cache under one policy; it forgets what has expired."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._sweep_at = _SWEEP

    def send(self, request: Request, marks: Sequence[tuple[int, Lifetime]]) -> Bill:
        """Bill one request with marks at positions, in order; requests come in order of time."""
        valid = [mark for mark in marks if request.tokens[mark[0]] >= request.least]
        if not request.rates.writes:
            return self._automatic(request)
        read = self._read(request, [position for position, _ in marks])
        base = self._entries[request.digests[read]].life_s if read is not None else float('inf')
        fresh = [mark for mark in valid if read is None or mark[0] > read]
        for position, _ in marks:
            if read is not None and position <= read:
                self._refresh(request, position)
        cost, before = 0, 0
        if read is not None:
            self._refresh(request, read)
            before = request.tokens[read]
            cost = before * request.rates.read
        written = 0
        for position, life in fresh:
            base = min(base, SECONDS[life])
            self._entries[request.digests[position]] = Entry(
                request.at + FIRST_TOKEN_S, request.at + base, base
            )
            tokens = request.tokens[position] - before - written
            cost += tokens * request.rates.writes[life]
            written += tokens
        rest = request.tokens[-1] - before - written
        self._forget(request.at)
        return Bill(
            cost=cost + rest * request.rates.input, read_tokens=before, write_tokens=written
        )

    def _read(self, request: Request, marks: Sequence[int]) -> int | None:
        """The longest prefix that is read."""
        if not request.lookback:
            places = range(len(request.digests) - 1, -1, -1) if marks else range(0)
            return next((at for at in places if self._live(request, at)), None)
        for mark in reversed(marks):
            for at in range(mark, max(-1, mark - _LOOKBACK), -1):
                if self._live(request, at):
                    return at
        return None

    def _live(self, request: Request, position: int) -> bool:
        entry = self._entries.get(request.digests[position])
        return entry is not None and entry.visible <= request.at <= entry.expires

    def _refresh(self, request: Request, position: int) -> None:
        entry = self._entries.get(request.digests[position])
        if entry is not None and entry.expires >= request.at:
            kept = entry._replace(expires=request.at + entry.life_s)
            self._entries[request.digests[position]] = kept

    def _automatic(self, request: Request) -> Bill:
        """What is cached whatever the request says."""
        places = range(len(request.digests) - 1, -1, -1)
        read = next((at for at in places if self._live(request, at)), None)
        for at, digest in enumerate(request.digests):
            if request.tokens[at] >= request.least:
                visible = request.at + FIRST_TOKEN_S if not self._live(request, at) else request.at
                self._entries[digest] = Entry(visible, request.at + _AUTOMATIC_S, _AUTOMATIC_S)
        self._forget(request.at)
        before = request.tokens[read] if read is not None else 0
        cost = before * request.rates.read + (request.tokens[-1] - before) * request.rates.input
        return Bill(cost=cost, read_tokens=before, write_tokens=0)

    def _forget(self, now: float) -> None:
        if len(self._entries) >= self._sweep_at:
            self._entries = {d: entry for d, entry in self._entries.items() if entry.expires >= now}
            self._sweep_at = max(_SWEEP, 2 * len(self._entries))
