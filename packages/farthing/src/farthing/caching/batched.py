"""Where a request that will be answered in a batch is marked: when others like it are in the job.

Nobody knows when a request of a batch is answered, or which before which: gaps tell nothing, and
whether one reads what another has written is a matter of luck. So a mark lives for an hour, stands
at the end of tools and system, and is set only behind another request of the last hour that begins
alike. It pays while batches read often enough: a write for an hour costs twice the input and a
read a tenth, so that more than about half of the marked requests must read. How many do is
counted; before that the middle of what is reported is assumed, 30 to 98 of a hundred.
https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from farthing.caching.block import SECONDS, Lifetime, Prompt
from farthing.caching.gaps import EDGES, Gaps, Law, after, learned, waited
from farthing.caching.place import Mark
from farthing.caching.plan import Plan, Unmarked
from farthing.caching.rates import Rates
from farthing.caching.state import Learned, Memory, Prefix
from farthing.caching.view import View, view
from farthing.usage import Usage

_LIFE: Lifetime = '1h'
_READS = 'batch'
_PRIOR = Law((0.0, 0.0, 0.0, 0.64))
_WEIGHT = 8
_SPACE = b'batch'
"""Batches remember prefixes apart: what was sent in one says nothing of gaps between calls."""


def plan_batched(
    prompt: Prompt, rates: Rates | None, memory: Memory, at: float, *, key: bytes = b''
) -> Plan:
    """The plan of a request of a batch; the arguments are those of `farthing.caching.plan.plan`."""
    if prompt.malformed is not None:
        return Plan(unmarked='malformed', reason=prompt.malformed)
    if rates is None:
        return Plan(unmarked='unknown_model', reason=f'no price for model {prompt.model!r}')
    if _LIFE not in rates.writes:
        return Plan(unmarked='automatic', reason='the provider caches by itself in batches')
    seen = view(prompt, rates, memory, at, key=_SPACE + key)
    position = None if seen is None else seen.static
    if seen is None or position is None:
        return Plan(unmarked='no_block', reason='no tools and no system text that take a mark')
    if seen.own:
        return Plan(unmarked='no_slot', reason='the request has marks of its own')
    return _marked(seen, position, rates, memory)


def _marked(seen: View, position: int, rates: Rates, memory: Memory) -> Plan:
    """A mark there, unless that does not pay."""
    tokens, before = seen.tokens[position], seen.prefix(position)
    share = read_share(memory)
    cost = share * rates.read + (1 - share) * rates.writes[_LIFE]
    unmarked: Unmarked | None = None
    reason = f'a shared prefix: {tokens} tokens that {share:.0%} of a batch will read'
    if tokens < seen.least:
        unmarked = 'below_minimum'
        reason = f'about {tokens} tokens, but the model caches from {seen.least}'
    elif before is None or seen.at - before.at > SECONDS[_LIFE]:
        unmarked, reason = 'not_worth_it', 'no other request of this hour begins alike'
    elif cost >= rates.input:
        unmarked, reason = 'not_worth_it', f'{share:.0%} of the marked requests of batches read'
    visit = Learned(prefixes={seen.digests[position]: Prefix(at=seen.at, kind='shared')})
    if unmarked is not None:
        return Plan(unmarked=unmarked, reason=reason, learned=visit)
    mark = Mark(
        path=seen.prompt.blocks[position].path,
        position=position,
        lifetime=_LIFE,
        saving=round(tokens * (rates.input - cost)),
        reason=reason,
    )
    return Plan(
        marks=(mark,),
        saving=mark.saving,
        cold=memory.gaps(_READS) == Gaps(),
        sent=((position, _LIFE),),
        learned=visit,
    )


def read_share(memory: Memory) -> float:
    """Which share of marked requests of batches reads what another has written."""
    return learned(_PRIOR, memory.gaps(_READS), weight=_WEIGHT).within(SECONDS[_LIFE])


def batched_lesson(made: Plan, usage: Usage) -> Learned:
    """What an answer of a batch teaches: whether a marked request has read, or written."""
    if not made.marks:
        return Learned()
    if usage.cache_read_tokens:
        return Learned(gaps={_READS: after(SECONDS[_LIFE], counted=_OTHERS)})
    if usage.cache_write_tokens:
        return Learned(gaps={_READS: waited(_OTHERS, len(EDGES))})
    return Learned()


_OTHERS = EDGES.index(SECONDS[_LIFE])
