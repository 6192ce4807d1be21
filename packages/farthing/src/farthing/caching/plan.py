"""The caching planner: where to mark a request, for how long, what it saves and why.

    marking = wire.marking.MARKINGS['anthropic_messages']
    prompt = marking.prompt(payload, provider='anthropic', model=None)
    made = plan(prompt, rates(book, 'anthropic', prompt.model, now), memory, now.timestamp())
    payload = marking.marked(payload, made)     # a copy; the caller's payload is never touched
    memory.learn(made.learned)               # once it is sent
    memory.learn(usage_lesson(prompt, made, usage, model=rates.model))   # once it is answered

Planning is pure: it reads the memory and changes nothing. It never raises for what a payload
holds; a request that cannot be planned goes out as it is, and `unmarked` says why. An explicit
mark on the last block does what automatic (top-level) caching does and is taken by every endpoint,
so we never switch that on; where the user has, it holds one of the four marks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from farthing.caching.block import Lifetime, Prompt
from farthing.caching.choose import Segment, actions, segments
from farthing.caching.gaps import Gaps
from farthing.caching.learn import News, lessons, news
from farthing.caching.payback import Action
from farthing.caching.place import MOST_MARKS, Mark, cold, placed, sent_marks
from farthing.caching.rates import Rates
from farthing.caching.routing import advice, routing_key
from farthing.caching.state import Learned, Memory, ModelFacts
from farthing.caching.view import View, view
from farthing.usage import Usage

Unmarked = Literal[
    # The driver's own: no module of ours speaks the API.
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
    marks, mode = placed(seen, found, order)
    sent = sent_marks(seen, marks, mode)
    unmarked, reason = (None, '') if marks else _why(seen)
    openai = prompt.family == 'openai'
    return Plan(
        marks=marks,
        unmarked=unmarked,
        reason=reason,
        mode=mode,
        key=routing_key(seen) if openai and 'key' not in prompt.chosen else None,
        saving=sum(mark.saving for mark in marks) + _implicit_saving(seen, found, order),
        cold=cold(found),
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
    if len(seen.own) >= MOST_MARKS:
        return 'no_slot', f'the request has {MOST_MARKS} marks of its own'
    return 'not_worth_it', 'none of it is likely sent again while it would live'
