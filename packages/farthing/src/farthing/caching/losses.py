"""What a call may have lost, and to which cause: against the cache, and against its own chain."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from farthing.caching import change
from farthing.caching.fingerprint import PARTS
from farthing.caching.memory import Held, Memory, Past
from farthing.caching.rules import LIFETIMES_US
from farthing.caching.sent import Request

Cause = Literal[
    'none', 'first', 'edit', 'reorder', 'tools', 'model', 'parameters', 'ttl_expired', 'lookback',
    'below_minimum', 'unmarked', 'concurrent', 'provider', 'unknown',
]  # fmt: skip


class Loss(NamedTuple):
    """Tokens that a cause may have lost."""

    cause: Cause
    tokens: int
    reason: str
    exact: bool = False
    path: str | None = None
    change: str | None = None
    earlier: str | None = None


def held_losses(request: Request, memory: Memory) -> tuple[int, list[Loss]]:
    """End of the longest prefix that the rules let read, and what longer ones lost, and why."""
    losses: dict[Cause, Loss] = {}
    read = request.usage.cache_read_tokens
    written, readable = 0, 0
    mark: int | None = None
    for end in range(len(request.blocks), 0, -1):
        mark = end if end in request.marks else mark
        held = memory.held.get(request.numbers[end - 1])
        cause = None if held is None else _cause(request, held, end, mark)
        if held is None or cause is None:
            continue
        tokens, exact = request.size(end, held)
        if held.expires_us is not None and cause != 'unmarked':
            written = max(written, tokens)
        if cause == 'provider':
            readable = end
            break
        path = request.blocks[end - 1].path
        where = path if cause in _PLACED else None
        lost = Loss(cause, tokens - read, _REASONS[cause].format(path), exact, where)
        losses.setdefault(cause, lost)
    unwritten = losses.get('unmarked')
    if unwritten is not None and written > read:
        # What was written was lost for another reason: the missing mark lost the rest alone.
        losses['unmarked'] = unwritten._replace(tokens=unwritten.tokens + read - written)
    return readable, list(losses.values())


_PLACED = frozenset({'unmarked', 'lookback', 'below_minimum'})
_REASONS = {
    'ttl_expired': 'the prefix was written, and its time was over',
    'concurrent': 'the prefix was being written by a call whose answer had not begun',
    'lookback': 'the prefix up to {} is cached, more than twenty blocks before the next mark',
    'unmarked': 'the prefix up to {} was sent before, and no mark ends there',
    'below_minimum': 'the prefix up to {} is shorter than the model caches',
}


def _cause(request: Request, held: Held, end: int, mark: int | None) -> Cause | None:
    """Why a prefix that was seen before is not read; `provider` where it should be."""
    now = request.sent.at_us
    tokens, _ = request.size(end, held)
    if not request.cacheable(tokens):
        return 'below_minimum' if request.minimum is not None and held.tried else None
    if held.expires_us is None:
        lately = held.begun_us <= now < held.seen_us + LIFETIMES_US['5m']
        return 'unmarked' if lately else None
    if held.begun_us > now:
        return 'concurrent'
    if held.expires_us <= now:
        return 'ttl_expired'
    if mark is None:
        return 'unmarked'
    return 'provider' if mark - end < request.rules.lookback else 'lookback'


def change_losses(request: Request, memory: Memory) -> Iterator[Loss]:
    """What was lost against the latest calls of the same chain."""
    if not request.marks:
        return
    seen: set[str] = set()
    for chain in request.sent.chain:
        for past in memory.recent((request.sent.scope, chain)):
            if past.id not in seen and past.begun_us <= request.sent.at_us:
                seen.add(past.id)
                loss = _against(request, past)
                if loss is not None:
                    yield loss


def _against(request: Request, past: Past) -> Loss | None:
    now = request.sent.at_us
    written = max((one.end for one in past.writes if one.expires_us > now), default=0)
    read = request.usage.cache_read_tokens
    if past.model != request.sent.model:
        same = min(change.shared(request.blocks, past.blocks), written)
        if not same or not request.cacheable(request.tokens[same - 1]):
            return None
        reason = f'{past.model} holds the prefix, and {request.sent.model} was asked'
        return Loss('model', request.tokens[same - 1] - read, reason, earlier=past.id)
    found = change.change(request.blocks, past.blocks)
    if found is None:
        return None
    stop = found.kept.stop - max(0, found.end - written)
    if stop <= found.kept.start or not request.cacheable(request.tokens[stop - 1]):
        return None
    before = request.tokens[found.at - 1] if found.at else 0
    start = request.tokens[found.kept.start - 1] if found.kept.start else 0
    lost = before + request.tokens[stop - 1] - start - read
    return Loss(
        _named(found), lost, _WORDS[found.kind].format(found.path), path=found.path,
        change=found.kind, earlier=past.id,
    )  # fmt: skip


_WORDS = {
    'edit': '{} changed',
    'insert': 'something was put in at {}',
    'remove': '{} was taken out',
    'reorder': 'from {} on the order changed',
    'parameters': '{} changed',
}


def _named(found: change.Change) -> Cause:
    if found.kind == 'reorder':
        return 'reorder'
    if found.kind == 'parameters':
        return 'parameters'
    return 'tools' if found.path.startswith(PARTS['t']) else 'edit'
