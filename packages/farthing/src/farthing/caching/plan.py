"""The caching planner: where to mark a request, for how long, what it saves and why.

    seen = wire.marking.MARKINGS['anthropic_messages']
    prompt = seen.prompt(payload, provider='anthropic', model=None)
    made = plan(prompt, rates(book, 'anthropic', prompt.model, now), memory, now.timestamp())
    payload = seen.marked(payload, made)     # a copy; the caller's payload is never touched
    memory.learn(made.learned)               # once it is sent
    memory.learn(usage_lesson(prompt, made, usage))   # once its usage is known

Planning is pure: it reads the memory and changes nothing. It never raises for what a payload
holds; a request that cannot be planned goes out as it is, and `unmarked` says why. An explicit
mark on the last block does what automatic (top-level) caching does and is taken by every endpoint,
so we never switch that on; where the user has, it holds one of the four marks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from farthing.caching.block import SECONDS, Lifetime, Path, Prompt
from farthing.caching.choose import Segment, actions, segments
from farthing.caching.gaps import Gaps
from farthing.caching.laws import COLD
from farthing.caching.learn import News, lessons, news
from farthing.caching.payback import Action
from farthing.caching.rates import Rates
from farthing.caching.routing import advice, routing_key
from farthing.caching.state import Learned, Memory, ModelFacts
from farthing.caching.view import LOOKBACK, View, view
from farthing.usage import Usage

MOST_MARKS = 4

Unmarked = Literal[
    'unknown_provider',
    'unknown_model',
    'malformed',
    'no_block',
    'below_minimum',
    'automatic',
    'no_slot',
    'not_worth_it',
]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with one request.

    Attributes:
        marks: In cache order.
        unmarked: Why there are none; `None` where there are some.
        reason: The same for people.
        mode: OpenAI's cache mode where it must be set.
        key: OpenAI's routing key where the user has set none.
        saving: Expected saving in 1e-12 USD; an expectation, not a measurement.
        cold: Whether too little was seen, so that the default decided.
        advice: What the user could order better; nothing is ever reordered.
        sent: Position and lifetime of all marks of the request: ours, the user's own, and the
            breakpoint that OpenAI sets by itself.
        learned: What the memory learns once the request is sent.
    """

    marks: tuple[Mark, ...] = ()
    unmarked: Unmarked | None = None
    reason: str = ''
    mode: Literal['explicit'] | None = None
    key: str | None = None
    saving: int = 0
    cold: bool = False
    advice: tuple[str, ...] = ()
    sent: tuple[tuple[int, Lifetime], ...] = ()
    learned: Learned = field(default_factory=Learned)


def plan(
    prompt: Prompt,
    rates: Rates | None,
    memory: Memory,
    at: float,
    *,
    task: str | None = None,
    key: bytes = b'',
) -> Plan:
    """The plan of one request.

    Args:
        prompt: The request, as `wire` reads it.
        rates: The model's; `None` where it has no price.
        memory: What was learned so far.
        at: When the request starts, in seconds since 1970.
        task: Whose gaps these are, beside the agent's.
        key: Of the digests that are remembered.
    """
    if prompt.malformed is not None:
        return Plan(unmarked='malformed', reason=prompt.malformed)
    if rates is None:
        return Plan(unmarked='unknown_model', reason=f'no price for model {prompt.model!r}')
    seen = view(prompt, rates, memory, at, key=key)
    if seen is None:
        return Plan(unmarked='no_block', reason='no block of the request takes a mark')
    fresh = news(seen, memory)
    later = seen.turn is not None or prompt.answered
    found: list[Segment] = []
    order: tuple[Action, ...] = ()
    if rates.writes:
        found = segments(seen, partial(_counted, memory, fresh), later=later, task=task)
        order = actions(found, seen) if found else ()
    marks, mode = _placed(seen, found, order)
    sent = _sent(seen, marks, mode)
    unmarked, reason = (None, '') if marks else _why(seen)
    openai = prompt.family == 'openai'
    return Plan(
        marks=marks,
        unmarked=unmarked,
        reason=reason,
        mode=mode,
        key=routing_key(seen) if openai and 'key' not in prompt.chosen else None,
        saving=sum(mark.saving for mark in marks) + _implicit_saving(seen, found, order),
        cold=_cold(found),
        advice=advice(seen),
        sent=tuple(sent),
        learned=lessons(seen, fresh, sent, later=later, task=task),
    )


def usage_lesson(prompt: Prompt, made: Plan, usage: Usage, *, model: str) -> Learned:
    """What an answer's usage teaches of the model: tokens a character, and the true minimum.

    Args:
        prompt: The request.
        made: Its plan.
        usage: As the provider reported it.
        model: `Rates.model`.
    """
    chars = sum(block.chars for block in prompt.blocks)
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    missed = 0
    if made.sent and not cached and chars:
        marked = sum(block.chars for block in prompt.blocks[: made.sent[-1][0] + 1])
        missed = usage.input_tokens * marked // chars
    facts = ModelFacts(
        chars=chars, tokens=usage.input_tokens, uncached=missed, cached=cached or None
    )
    return Learned(facts={model: facts})


def _counted(memory: Memory, fresh: News, key: str) -> Gaps:
    """A counter with what this request adds."""
    return memory.gaps(key) + fresh.counts[key] if key in fresh.counts else memory.gaps(key)


def _placed(
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
    own = _own(seen.prompt, seen.end)
    return marks, 'explicit' if marks or own or not _cold(found) else None


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
    first = min((one.end for one, _ in written), default=None)
    if first is None or first - seen.live > LOOKBACK or seen.prompt.family == 'openai':
        mark = _mark(seen, seen.live, None, read, 'reads what an earlier request wrote')
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
    own = _own(seen.prompt, seen.end)
    room = most - len(own)
    fresh = [mark for mark in wanted if mark.position not in own][: max(0, room)]
    lives: Mapping[int, Lifetime] = {**{mark.position: mark.lifetime for mark in fresh}, **own}
    marks: list[Mark] = []
    for mark in sorted(fresh, key=lambda mark: mark.position):
        after = [life for at, life in lives.items() if at > mark.position]
        before = [life for at, life in own.items() if at < mark.position]
        life = max((mark.lifetime, *after), key=SECONDS.__getitem__)
        life = min((life, *before), key=SECONDS.__getitem__)
        marks.append(mark if mark.lifetime == life else replace(mark, lifetime=life))
    return tuple(marks)


def _own(prompt: Prompt, end: int) -> dict[int, Lifetime]:
    """The user's marks; one that the provider sets stands on the last block."""
    own = {at: block.mark for at, block in enumerate(prompt.blocks) if block.mark is not None}
    return {**own, end: prompt.automatic} if prompt.automatic is not None else own


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


def _sent(
    seen: View, marks: Sequence[Mark], mode: Literal['explicit'] | None
) -> list[tuple[int, Lifetime]]:
    """All marks of the request: ours, the user's and the provider's own."""
    sent = _own(seen.prompt, seen.end) | {mark.position: mark.lifetime for mark in marks}
    if seen.prompt.family == 'openai' and seen.rates.writes and mode is None:
        sent[seen.end] = '30m'
    return sorted(sent.items())


def _cold(found: Sequence[Segment]) -> bool:
    return any(one.seen < COLD for one in found)


def _implicit_saving(seen: View, found: Sequence[Segment], order: Sequence[Action]) -> int:
    """What OpenAI's implicit breakpoint saves, which is no mark of ours."""
    if seen.prompt.family != 'openai' or not found or order[-1] is None or not found[-1].tail:
        return 0
    return round(found[-1].saving(order[-1]) * seen.rates.input)


def _why(seen: View) -> tuple[Unmarked, str]:
    """Why nothing is marked."""
    if not seen.rates.writes:
        return 'automatic', 'the provider caches by itself and writes are free'
    if seen.tokens[seen.end] < seen.least:
        short = f'about {seen.tokens[seen.end]} tokens, but the model caches from {seen.least}'
        return 'below_minimum', short
    if len(_own(seen.prompt, seen.end)) >= MOST_MARKS:
        return 'no_slot', f'the request has {MOST_MARKS} marks of its own'
    return 'not_worth_it', 'none of it is likely sent again while it would live'
