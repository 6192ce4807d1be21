"""Why a call read from its prompt cache what it read: the provider's rules against its counts.

Calls are taken in the order in which they left. Each is compared with what earlier ones must have
left in the cache, and with the latest ones of its own chain; the cause is what lost most tokens.
Reads and writes are the provider's own counts. Sizes of single blocks are none: they are estimates,
shares of the reported input by bytes, and sum to it. A loss is never more than the input.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from farthing.caching import change
from farthing.caching.fingerprint import PARTS, Prefix
from farthing.caching.memory import Held, Memory, Past, Write, prefixes
from farthing.caching.minimum import minimum
from farthing.caching.rules import LIFETIMES_US, Rules, rules_for
from farthing.usage import Usage

Cause = Literal[
    'none', 'first', 'edit', 'reorder', 'tools', 'model', 'parameters', 'ttl_expired', 'lookback',
    'below_minimum', 'unmarked', 'concurrent', 'provider', 'unknown',
]  # fmt: skip

NOISE_TOKENS = 128
"""A smaller difference is none: OpenAI reads in steps of this size."""
_EXACT_PART, _ESTIMATED_PART = 20, 4
"""A read that lacks less than this part of what was expected is as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call, in plain values.

    Attributes:
        id: Its entry.
        at_us: When it left, in microseconds since 1970.
        begun_us: When its answer had begun; others can read what it wrote from then on.
        scope: Whose cache it meets: provider and endpoint.
        chain: Who sends the same prompt again: tenant, task and so on.
        provider: Who bills.
        api: The protocol.
        model: The model that served.
        usage: Reported counts; `None` is unknown or estimated.
        prefix: Its fingerprints.
    """

    id: str
    at_us: int
    begun_us: int
    scope: Hashable
    chain: tuple[Hashable, ...]
    provider: str
    api: str
    model: str
    usage: Usage | None
    prefix: Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a call read what it read.

    Attributes:
        cause: `none` as expected; `first` nothing to read yet; or what lost the tokens.
        reason: One line.
        read_tokens: What was read, as reported; `None` is unknown.
        expected_tokens: What the rules let expect of the request as it was sent.
        tokens_lost: What would have been read but for the cause, beyond what was.
        estimated: Whether `tokens_lost` rests on sizes of blocks.
        path: Where the request first differs, or where a mark belongs; `None` without a place.
        change: `edit`, `insert`, `remove`, `reorder` or `parameters`.
        earlier: The entry that it is compared with.
        said: Why the provider says that it missed.
        said_tokens: How many tokens it says that it missed.
    """

    cause: Cause
    reason: str
    read_tokens: int | None = None
    expected_tokens: int | None = None
    tokens_lost: int | None = None
    estimated: bool = False
    path: str | None = None
    change: str | None = None
    earlier: str | None = None
    said: str | None = None
    said_tokens: int | None = None


class _Loss(NamedTuple):
    """Tokens that a cause may have lost."""

    cause: Cause
    tokens: int
    reason: str
    exact: bool = False
    path: str | None = None
    change: str | None = None
    earlier: str | None = None


class _Request:
    """A call's prefixes with their sizes, lifetimes of its marks by the end of the prefix."""

    def __init__(self, sent: Sent, usage: Usage, rules: Rules) -> None:
        self.sent = sent
        self.usage = usage
        self.rules = rules
        blocks = sent.prefix.blocks
        self.blocks = blocks
        self.numbers = prefixes((sent.scope, sent.model), blocks)
        self.tokens = block_ends(sent.prefix, usage.input_tokens)
        self.marks = _marks(sent.prefix, rules)
        self.minimum = minimum(sent.provider, sent.model)

    def size(self, end: int, held: Held | None = None) -> tuple[int, bool]:
        """Tokens of the first `end` blocks, and whether the provider counted them."""
        known = None if held is None else held.tokens
        if known is not None and known <= self.usage.input_tokens:
            return known, True
        return self.tokens[end - 1], False

    def cacheable(self, tokens: int) -> bool:
        """Whether a prefix of that size can be cached."""
        return self.minimum is not None and tokens >= self.minimum


class Explainer:
    """Explains calls one after the other; give it all calls of a ledger in the order of time."""

    def __init__(self) -> None:
        self._memories: dict[str, Memory] = {}

    def explain(self, sent: Sent) -> Explanation:
        """Why this call read what it read, and remember what it leaves in the cache."""
        rules = rules_for(sent.api, sent.model)
        usage = sent.usage
        if rules is None:
            return _unknown(sent, f'the cache of {sent.api} has no rules that are known here')
        if usage is None:
            return _unknown(sent, 'no counts were reported')
        if not sent.prefix.placed:
            return _unknown(sent, 'the ledger holds no fingerprints of the request with its places')
        memory = self._memories.setdefault(rules.name, Memory(rules.reach_us))
        memory.forget(sent.at_us)
        request = _Request(sent, usage, rules)
        read = usage.cache_read_tokens
        end, losses = _held_losses(request, memory)
        expected = 0
        if end:
            expected, exact = request.size(end, memory.held[request.numbers[end - 1]])
            reason = 'the prefix was cached and the provider did not read it'
            losses.append(_Loss('provider', expected - read, reason, exact=exact))
        losses += _change_losses(request, memory)
        _remember(request, memory, end if read else 0)
        found = [one for one in losses if _counts(one, read)]
        if not found:
            return _as_expected(sent, read, expected)
        worst = max(found, key=lambda one: one.tokens)
        return Explanation(
            cause=worst.cause,
            reason=worst.reason,
            read_tokens=read,
            expected_tokens=expected,
            tokens_lost=worst.tokens,
            estimated=not worst.exact,
            path=worst.path,
            change=worst.change,
            earlier=worst.earlier,
            said=sent.prefix.said,
            said_tokens=sent.prefix.said_tokens,
        )


def block_ends(prefix: Prefix, input_tokens: int) -> list[int]:
    """Estimated tokens up to the end of each block; the last one is all of the input."""
    sizes = [block.size for block in prefix.blocks]
    whole = sum(sizes)
    return [input_tokens * size // whole if whole else 0 for size in accumulate(sizes)]


def _unknown(sent: Sent, reason: str) -> Explanation:
    said = sent.prefix
    return Explanation(cause='unknown', reason=reason, said=said.said, said_tokens=said.said_tokens)


def _as_expected(sent: Sent, read: int, expected: int) -> Explanation:
    nothing = not read and not expected
    return Explanation(
        cause='first' if nothing else 'none',
        reason='nothing to read yet' if nothing else 'read as expected',
        read_tokens=read,
        expected_tokens=expected,
        tokens_lost=0,
        said=sent.prefix.said,
        said_tokens=sent.prefix.said_tokens,
    )


def _counts(loss: _Loss, read: int) -> bool:
    """Whether a loss is more than noise."""
    part = _EXACT_PART if loss.exact else _ESTIMATED_PART
    return loss.tokens > NOISE_TOKENS and loss.tokens * part > loss.tokens + read


def _marks(prefix: Prefix, rules: Rules) -> dict[int, int]:
    """Lifetimes in microseconds by the end of the prefix that is to be written."""
    ends = range(1, len(prefix.blocks) + 1)
    if not rules.marked:
        return dict.fromkeys(ends, LIFETIMES_US[rules.implied or '5m'])
    marks = {
        end: LIFETIMES_US[block.mark]
        for end, block in zip(ends, prefix.blocks, strict=True)
        if block.mark is not None and block.mark in LIFETIMES_US
    }
    last = None if prefix.explicit else prefix.automatic or rules.implied
    if last is not None and last in LIFETIMES_US:
        marks.setdefault(len(prefix.blocks), LIFETIMES_US[last])
    return marks


def _held_losses(request: _Request, memory: Memory) -> tuple[int, list[_Loss]]:
    """End of the longest prefix that the rules let read, and what longer ones lost, and why."""
    losses: dict[Cause, _Loss] = {}
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
        lost = _Loss(cause, tokens - read, _REASONS[cause].format(path), exact, where)
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


def _cause(request: _Request, held: Held, end: int, mark: int | None) -> Cause | None:
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


def _change_losses(request: _Request, memory: Memory) -> Iterator[_Loss]:
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


def _against(request: _Request, past: Past) -> _Loss | None:
    now = request.sent.at_us
    written = max((one.end for one in past.writes if one.expires_us > now), default=0)
    read = request.usage.cache_read_tokens
    if past.model != request.sent.model:
        same = min(change.shared(request.blocks, past.blocks), written)
        if not same or not request.cacheable(request.tokens[same - 1]):
            return None
        reason = f'{past.model} holds the prefix, and {request.sent.model} was asked'
        return _Loss('model', request.tokens[same - 1] - read, reason, earlier=past.id)
    found = change.change(request.blocks, past.blocks)
    if found is None:
        return None
    stop = found.kept.stop - max(0, found.end - written)
    if stop <= found.kept.start or not request.cacheable(request.tokens[stop - 1]):
        return None
    before = request.tokens[found.at - 1] if found.at else 0
    start = request.tokens[found.kept.start - 1] if found.kept.start else 0
    lost = before + request.tokens[stop - 1] - start - read
    return _Loss(
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


def _remember(request: _Request, memory: Memory, hit: int) -> None:
    """Keep what this call leaves in the cache: what it wrote, and what its read refreshed."""
    sent, usage = request.sent, request.usage
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    wrote = bool(cached) or not request.rules.marked
    last = max(request.marks, default=0)
    writes = []
    for end, number in enumerate(request.numbers, 1):
        held = memory.see(number, at_us=sent.at_us, begun_us=sent.begun_us)
        lifetime = request.marks.get(end, held.lifetime_us if end == hit else 0)
        if not lifetime:
            continue
        held.tried = held.tried or not wrote
        if wrote and request.cacheable(request.tokens[end - 1]):
            held.lifetime_us = lifetime
            held.expires_us = max(held.expires_us or 0, sent.at_us + lifetime)
            if end == last:
                held.tokens = cached if request.rules.marked else usage.input_tokens
            writes.append(Write(end, held.expires_us))
    past = Past(
        id=sent.id,
        model=sent.model,
        at_us=sent.at_us,
        begun_us=sent.begun_us,
        blocks=request.blocks,
        writes=tuple(writes),
    )
    for chain in sent.chain:
        memory.add((sent.scope, chain), past)
