"""What changed between two requests, and which blocks a cache would have kept without it."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from farthing.caching.fingerprint import Block

Kind = Literal['edit', 'insert', 'remove', 'reorder', 'parameters']

_ALIKE = 4
"""Blocks whose sizes differ by less than this part are one block, edited."""
_WINDOW = 16
"""So many blocks may have been put in, or taken out, at one place."""


class Change(NamedTuple):
    """The first difference of a request to an earlier one.

    Attributes:
        kind: `edit` in place, `insert`, `remove`, `reorder` or `parameters`.
        path: Where.
        at: Index of the first block that differs.
        kept: Indices of the blocks from there on that would have been equal without the change.
        end: Index behind the last block of the earlier request that they stand for.
    """

    kind: Kind
    path: str
    at: int
    kept: range
    end: int


def shared(now: Sequence[Block], before: Sequence[Block]) -> int:
    """How many blocks both begin with."""
    pairs = zip(now, before, strict=False)
    length = min(len(now), len(before))
    return next((at for at, (a, b) in enumerate(pairs) if a.digest != b.digest), length)


def change(now: Sequence[Block], before: Sequence[Block]) -> Change | None:
    """The first difference, where it undid what was cached; `None` where nothing did.

    A conversation that goes on, and another question behind the same instructions, undo nothing.
    """
    at = shared(now, before)
    if at == len(now) or at == len(before):
        return None
    new, old = now[at], before[at]
    if 'p' in (new.part, old.part):
        return _parameter(now, before, at)
    return _reorder(now, before, at) or _shift(now, before, at) or _edit(now, before, at)


def _reorder(now: Sequence[Block], before: Sequence[Block], at: int) -> Change | None:
    length = _reordered(now, before, at)
    if not length:
        return None
    end = at + length + _run(now, before, at + length, at + length)
    return Change('reorder', now[at].path, at, range(at, end), end)


def _shift(now: Sequence[Block], before: Sequence[Block], at: int) -> Change | None:
    inserted = _distance(now, at, before[at])
    if inserted:
        run = _run(now, before, at + inserted, at)
        kept = range(at + inserted, at + inserted + run)
        return Change('insert', now[at].path, at, kept, at + run)
    removed = _distance(before, at, now[at])
    if removed:
        run = _run(now, before, at, at + removed)
        return Change('remove', before[at].path, at, range(at, at + run), at + removed + run)
    return None


def _edit(now: Sequence[Block], before: Sequence[Block], at: int) -> Change | None:
    new, old = now[at], before[at]
    run = _run(now, before, at + 1, at + 1)
    if new.path == old.path and (run or (new.part != 'm' and _alike(new, old))):
        return Change('edit', new.path, at, range(at, at + 1 + run), at + 1 + run)
    return None


def _parameter(now: Sequence[Block], before: Sequence[Block], at: int) -> Change | None:
    new, old = now[at], before[at]
    both = new.part == old.part and new.path == old.path
    named = new if new.part == 'p' else old
    first = at + (both or new.part == 'p')
    second = at + (both or new.part != 'p')
    run = _run(now, before, first, second)
    if not run:
        return None
    return Change('parameters', named.path, at, range(first, first + run), second + run)


def _run(now: Sequence[Block], before: Sequence[Block], first: int, second: int) -> int:
    """How many blocks are equal from there on."""
    return shared(now[first:], before[second:])


def _distance(blocks: Sequence[Block], at: int, wanted: Block) -> int:
    """How far behind `at` a block stands; 0 where it does not."""
    near = range(at + 1, min(at + 1 + _WINDOW, len(blocks)))
    return next((one - at for one in near if blocks[one].digest == wanted.digest), 0)


def _reordered(now: Sequence[Block], before: Sequence[Block], at: int) -> int:
    """How many blocks from `at` on are the same ones in another order; 0 where none are."""
    open_: Counter[str] = Counter()
    part = now[at].part
    for length, (new, old) in enumerate(zip(now[at:], before[at:], strict=False), 1):
        if {new.part, old.part} != {part}:
            return 0
        for digest, step in ((new.digest, 1), (old.digest, -1)):
            open_[digest] += step
            if not open_[digest]:
                del open_[digest]
        if not open_:
            return length
    return 0


def _alike(new: Block, old: Block) -> bool:
    return _ALIKE * abs(new.size - old.size) <= max(new.size, old.size)
