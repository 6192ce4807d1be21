"""Where the marks stand: those that are wanted, in the room that the user's own leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from farthing.caching.block import SECONDS, Lifetime, Path, tail
from farthing.caching.choose import Segment
from farthing.caching.laws import COLD
from farthing.caching.payback import Action
from farthing.caching.view import LOOKBACK, View

MOST_MARKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark to set.

    Attributes:
        path: Of the block that carries it.
        position: The block's index.
        lifetime: For how long.
        saving: Expected, net of the write's own fee, in 1e-12 USD.
        reason: Why it is there.
    """

    path: Path
    position: int
    lifetime: Lifetime
    saving: int
    reason: str


def placed(
    seen: View, found: Sequence[Segment], order: Sequence[Action]
) -> tuple[tuple[Mark, ...], Literal['explicit'] | None]:
    """The marks, by cache family, and OpenAI's mode."""
    wanted = _wanted(seen, found, order)
    if seen.prompt.family == 'anthropic':
        return _fitted(seen, wanted, MOST_MARKS), None
    if not seen.rates.writes or seen.tokens[seen.end] < seen.least:
        return (), None
    whole = [mark for mark in wanted if mark.position == seen.end]
    shared = [mark for mark in wanted if mark.position != seen.end]
    if whole or 'mode' in seen.prompt.chosen:
        # The implicit breakpoint stands on the last message and holds one of the four.
        return _fitted(seen, shared, MOST_MARKS - 1), None
    marks = _fitted(seen, shared, MOST_MARKS) or _free(seen)
    # Without a mark, explicit mode neither writes nor reads.
    idle = seen.live is None and not cold(found)
    return marks, 'explicit' if marks or seen.own or idle else None


def _wanted(seen: View, found: Sequence[Segment], order: Sequence[Action]) -> list[Mark]:
    """All marks that would be good, the most needed first."""
    written = [(one, life) for one, life in zip(found, order, strict=True) if life is not None]
    marks = [
        _mark(seen, one.end, life, one.saving(life), _reason(one, life))
        for one, life in reversed(written)
    ]
    if seen.live is None:
        return marks
    read = seen.tokens[seen.live] * (1 - seen.rates.read / seen.rates.input)
    if marks and marks[-1].position - seen.live <= LOOKBACK:
        # The first mark finds what it stands on.
        saving = marks[-1].saving + round(read * seen.rates.input)
        marks[-1] = replace(marks[-1], saving=saving)
    else:
        last = tail(seen.prompt.blocks[: seen.live + 1])
        if last is not None:
            mark = _mark(seen, last, None, read, 'reads what an earlier request wrote')
            marks.insert(min(1, len(marks)), mark)
    for position in reversed([at for at in (seen.static, *seen.shared) if at is not None]):
        prefix = seen.prefix(position)
        alive = prefix is not None and prefix.expires >= seen.at
        if position < seen.live and alive and seen.tokens[position] >= seen.least:
            marks.append(_mark(seen, position, None, 0, 'keeps a shared prefix alive'))
    return marks


def _mark(seen: View, position: int, life: Lifetime | None, saving: float, reason: str) -> Mark:
    """A mark; without a lifetime, that of the entry which it reads."""
    prefix = seen.prefix(position)
    alive = prefix.life_s if prefix is not None else 0
    shortest = min(seen.rates.writes, key=SECONDS.__getitem__)
    own = next((name for name in seen.rates.writes if SECONDS[name] == alive), shortest)
    return Mark(
        path=seen.prompt.blocks[position].path,
        position=position,
        lifetime=life or own,
        saving=round(saving * seen.rates.input),
        reason=reason,
    )


def _reason(one: Segment, life: Lifetime) -> str:
    what = 'the conversation so far' if one.tail else 'a shared prefix'
    return f'{what}: {one.tokens} tokens that are likely sent again within {life}'


def _fitted(seen: View, wanted: Sequence[Mark], most: int) -> tuple[Mark, ...]:
    """Those for which the user's own marks leave room, with lifetimes that never lengthen."""
    own = seen.own
    room = most - len(own)
    takes = [mark for mark in wanted if seen.prompt.blocks[mark.position].markable]
    fresh = [mark for mark in takes if mark.position not in own][: max(0, room)]
    lives: Mapping[int, Lifetime] = {**{mark.position: mark.lifetime for mark in fresh}, **own}
    marks: list[Mark] = []
    for mark in sorted(fresh, key=lambda mark: mark.position):
        after = [life for at, life in lives.items() if at > mark.position]
        before = [life for at, life in own.items() if at < mark.position]
        life = max((mark.lifetime, *after), key=SECONDS.__getitem__)
        life = min((life, *before), key=SECONDS.__getitem__)
        marks.append(mark if mark.lifetime == life else replace(mark, lifetime=life))
    return tuple(marks)


def _free(seen: View) -> tuple[Mark, ...]:
    """A mark that is too early to be written, which stops OpenAI's fee for the last message.

    Explicit mode without a mark switches the cache off. That is left for the case that no place
    is early enough and what was seen, not the default, says that nothing comes back in time.
    """
    for position, block in enumerate(seen.prompt.blocks):
        if block.markable and seen.tokens[position] * 2 <= seen.least:
            saving = _fee(seen, seen.end)
            return (_mark(seen, position, '30m', saving, 'nothing is likely sent again'),)
    return ()


def _fee(seen: View, position: int) -> float:
    """What a write of the prefix would cost beyond its input, in input prices of one token."""
    dearest = max(seen.rates.writes.values())
    return seen.tokens[position] * (dearest / seen.rates.input - 1)


def sent_marks(
    seen: View, marks: Sequence[Mark], mode: Literal['explicit'] | None
) -> list[tuple[int, Lifetime]]:
    """All marks of the request: ours, the user's and the provider's own."""
    sent = {**seen.own, **{mark.position: mark.lifetime for mark in marks}}
    if seen.prompt.family == 'openai' and seen.rates.writes and mode is None:
        sent[seen.end] = '30m'
    return sorted(sent.items())


def cold(found: Sequence[Segment]) -> bool:
    """Whether too little was seen of a segment, so that the default decides."""
    return any(one.seen < COLD for one in found)
