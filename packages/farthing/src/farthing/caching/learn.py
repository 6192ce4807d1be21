"""What a request teaches, beside its plan: gaps that ended, waits that went on, what it wrote."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.gaps import EDGES, Gaps, after, intervals, waited
from farthing.caching.laws import shared_keys, tail_keys
from farthing.caching.state import Learned, Memory, Prefix
from farthing.caching.view import View

_RATE_S = 600  # of the mean of requests a minute
_WAITS = 64  # that one request carries on


@dataclass(slots=True)
class _Notes:
    """What is being collected."""

    prefixes: dict[bytes, Prefix] = field(default_factory=dict)
    gaps: dict[str, Gaps] = field(default_factory=dict)

    def count(self, keys: Sequence[str], gaps: Gaps) -> None:
        for key in keys:
            self.gaps[key] = self.gaps[key] + gaps if key in self.gaps else gaps


def lessons(
    seen: View,
    memory: Memory,
    marks: Sequence[tuple[int, Lifetime]],
    *,
    later: bool,
    task: str | None,
) -> Learned:
    """Everything that the memory should learn once the request is sent.

    Args:
        seen: The request.
        memory: For the prefixes that still wait.
        marks: Position and lifetime of all marks, the user's own too.
        later: Whether the request continues a conversation.
        task: As in the plan.
    """
    notes = _Notes()
    for position in range(seen.end):
        if seen.digests[position] not in seen.known:
            notes.prefixes[seen.digests[position]] = Prefix(at=seen.at)
    for position in {seen.root, seen.static, *seen.shared}:
        if position is not None and position < seen.end:
            known = seen.prefix(position)
            keys = shared_keys(seen, position, later=known is not None)
            notes.prefixes[seen.digests[position]] = _visit(notes, seen, known, 'shared', keys)
    if seen.turn is not None and seen.turn != seen.end:
        turn = seen.known[seen.digests[seen.turn]]
        closed = _visit(notes, seen, turn, 'tail', ())
        notes.prefixes[seen.digests[seen.turn]] = replace(closed, due=inf)
    keys = tail_keys(seen, later=later, task=task)
    last = seen.prefix(seen.end)
    notes.prefixes[seen.digests[seen.end]] = _visit(notes, seen, last, 'tail', keys)
    _write(notes, seen, marks)
    _wait(notes, seen, memory)
    return Learned(prefixes=notes.prefixes, gaps=notes.gaps)


def _visit(
    notes: _Notes, seen: View, known: Prefix | None, kind: str, laws: tuple[str, ...]
) -> Prefix:
    """The prefix after this visit; the gap that it ends is counted."""
    due = seen.at + EDGES[0]
    if known is None:
        return Prefix(at=seen.at, kind=kind, laws=laws, due=due, per_minute=60 / _RATE_S)
    gap = seen.at - known.at
    notes.count(known.laws, after(gap, counted=known.counted))
    return replace(
        known,
        at=seen.at,
        visits=known.visits + 1,
        kind=kind,
        laws=laws,
        counted=0,
        due=due,
        per_minute=known.per_minute * exp(-max(gap, 0) / _RATE_S) + 60 / _RATE_S,
    )


def _write(notes: _Notes, seen: View, marks: Sequence[tuple[int, Lifetime]]) -> None:
    """What the marks read lives on, and what they write lives no longer than what it stands on."""
    life_s: float = inf
    if seen.live is not None and marks and marks[-1][0] >= seen.live:
        life_s = _refresh(notes, seen, seen.live)
    for position, lifetime in marks:
        if seen.live is not None and position <= seen.live:
            _refresh(notes, seen, position)
            continue
        if seen.tokens[position] < seen.least:
            continue
        life_s = min(life_s, SECONDS[lifetime])
        digest = seen.digests[position]
        prefix = notes.prefixes.get(digest) or seen.known[digest]
        if seen.flying is None or position > seen.flying:
            prefix = replace(prefix, written=seen.at)
        expires = seen.at + life_s
        notes.prefixes[digest] = replace(prefix, life_s=int(life_s), expires=expires)


def _refresh(notes: _Notes, seen: View, position: int) -> float:
    """The entry that is read lives on; its lifetime in seconds, infinite where there is none."""
    digest = seen.digests[position]
    prefix = notes.prefixes.get(digest) or seen.known.get(digest)
    if prefix is None or prefix.expires < seen.at:
        return inf
    notes.prefixes[digest] = replace(prefix, expires=seen.at + prefix.life_s)
    return prefix.life_s


def _wait(notes: _Notes, seen: View, memory: Memory) -> None:
    """Count the intervals that prefixes have outlasted without a next request."""
    for digest, prefix in memory.waiting(seen.at, _WAITS).items():
        if digest in notes.prefixes and digest in seen.known:
            continue
        passed = intervals(seen.at - prefix.at)
        notes.count(prefix.laws, waited(prefix.counted, passed))
        due = prefix.at + EDGES[passed] if passed < len(EDGES) else inf
        notes.prefixes[digest] = replace(prefix, counted=passed, due=due)
