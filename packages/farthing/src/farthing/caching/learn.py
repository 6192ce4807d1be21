"""What a request teaches, beside its plan: gaps that ended, waits that went on, what it wrote."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.gaps import EDGES, Gaps, after, intervals, waited
from farthing.caching.laws import shared_keys, tail_keys
from farthing.caching.state import Learned, Memory, Prefix
from farthing.caching.view import FIRST_TOKEN_S, View

_RATE_S = 600  # of the mean of requests a minute
_WAITS = 64  # that one request carries on


@dataclass(slots=True)
class News:
    """What the request itself shows before it is planned.

    Attributes:
        counts: By the counters' keys.
        waits: Prefixes that have waited on.
    """

    counts: dict[str, Gaps] = field(default_factory=dict)
    waits: dict[bytes, Prefix] = field(default_factory=dict)

    def count(self, keys: Sequence[str], gaps: Gaps) -> None:
        """Add to counters."""
        for key in keys:
            self.counts[key] = self.counts[key] + gaps if key in self.counts else gaps


def news(seen: View, memory: Memory) -> News:
    """The gaps that this request ends, and the intervals that others have outlasted without one."""
    found = News()
    turn = None if seen.turn in {None, seen.end} else seen.digests[seen.turn or 0]
    visited = {seen.digests[at] for at in (*_passed(seen), *_ends(seen))}
    for digest in visited & seen.known.keys():
        prefix = seen.known[digest]
        gap = seen.at - prefix.at
        if gap >= FIRST_TOKEN_S or digest == turn:
            found.count(prefix.laws, after(gap, counted=prefix.counted))
    for digest, prefix in memory.waiting(seen.at, _WAITS).items():
        if digest not in visited:
            passed = intervals(seen.at - prefix.at)
            found.count(prefix.laws, waited(prefix.counted, passed))
            due = prefix.at + EDGES[passed] if passed < len(EDGES) else inf
            found.waits[digest] = replace(prefix, counted=passed, due=due)
    return found


def lessons(
    seen: View,
    found: News,
    marks: Sequence[tuple[int, Lifetime]],
    *,
    later: bool,
    task: str | None,
) -> Learned:
    """Everything that the memory should learn once the request is sent.

    Args:
        seen: The request.
        found: Its news.
        marks: Position and lifetime of all marks, the user's own too.
        later: Whether the request continues a conversation.
        task: As in the plan.
    """
    prefixes = dict(found.waits)
    new = Prefix(at=seen.at)
    prefixes |= {one: new for one in seen.digests[: seen.end] if one not in seen.known}
    for position in _passed(seen):
        laws = shared_keys(seen, position, later=seen.prefix(position) is not None)
        prefixes[seen.digests[position]] = _visited(seen, position, 'shared', laws)
    if seen.turn is not None and seen.turn != seen.end:
        turn = _visited(seen, seen.turn, 'tail', ())
        prefixes[seen.digests[seen.turn]] = replace(turn, due=inf)
    laws = tail_keys(seen, later=later, task=task)
    prefixes[seen.digests[seen.end]] = _visited(seen, seen.end, 'tail', laws)
    _write(prefixes, seen, marks)
    return Learned(prefixes=prefixes, gaps=found.counts)


def _passed(seen: View) -> list[int]:
    """What conversations share, this one too."""
    places = {seen.root, seen.static, *seen.shared}
    return [at for at in places if at is not None and at < seen.end]


def _ends(seen: View) -> list[int]:
    """Where this request ends, and where the one that it continues did."""
    return [seen.end] if seen.turn is None else [seen.turn, seen.end]


def _visited(seen: View, position: int, kind: str, laws: tuple[str, ...]) -> Prefix:
    """The prefix after this visit.

    Requests that start together are one visit: none can read what another writes.
    """
    known = seen.prefix(position)
    if known is None:
        due = seen.at + EDGES[0]
        return Prefix(at=seen.at, kind=kind, laws=laws, due=due, per_minute=60 / _RATE_S)
    gap = seen.at - known.at
    per_minute = known.per_minute * exp(-max(gap, 0) / _RATE_S) + 60 / _RATE_S
    if gap < FIRST_TOKEN_S and known.kind == kind:
        return replace(known, per_minute=per_minute)
    return replace(
        known,
        at=seen.at,
        visits=known.visits + 1,
        kind=kind,
        laws=laws,
        counted=0,
        due=seen.at + EDGES[0],
        per_minute=per_minute,
    )


def _write(
    prefixes: dict[bytes, Prefix], seen: View, marks: Sequence[tuple[int, Lifetime]]
) -> None:
    """What the marks read lives on, and what they write lives no longer than what it stands on."""
    life_s: float = inf
    if seen.live is not None and marks and marks[-1][0] >= seen.live:
        life_s = _refresh(prefixes, seen, seen.live)
    for position, lifetime in marks:
        if seen.live is not None and position <= seen.live:
            _refresh(prefixes, seen, position)
            continue
        if seen.tokens[position] < seen.least:
            continue
        life_s = min(life_s, SECONDS[lifetime])
        digest = seen.digests[position]
        prefix = prefixes.get(digest) or seen.known[digest]
        if seen.flying is None or position > seen.flying:
            prefix = replace(prefix, written=seen.at)
        expires = seen.at + life_s
        prefixes[digest] = replace(prefix, life_s=int(life_s), expires=expires)


def _refresh(prefixes: dict[bytes, Prefix], seen: View, position: int) -> float:
    """The entry that is read lives on; its lifetime in seconds, infinite where there is none."""
    digest = seen.digests[position]
    prefix = prefixes.get(digest) or seen.known.get(digest)
    if prefix is None or prefix.expires < seen.at:
        return inf
    prefixes[digest] = replace(prefix, expires=seen.at + prefix.life_s)
    return prefix.life_s
