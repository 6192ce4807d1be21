"""Why a call read from its prompt cache what it read: the provider's rules against its counts.

Calls are taken in the order in which they left. Each is compared with what earlier ones must have
left in the cache, and with the latest ones of its own chain; the cause is what lost most tokens.
Reads and writes are the provider's own counts. Sizes of single blocks are none: they are estimates,
shares of the reported input by bytes, and sum to it. A loss is never more than the input.
"""

from dataclasses import dataclass

from farthing.caching.losses import Cause, Loss, change_losses, held_losses
from farthing.caching.memory import Memory, Past, Write
from farthing.caching.rules import rules_for
from farthing.caching.sent import Request, Sent

NOISE_TOKENS = 128
"""A smaller difference is none: OpenAI reads in steps of this size."""
_EXACT_PART, _ESTIMATED_PART = 20, 4
"""A read that lacks less than this part of what was expected is as expected."""


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
        request = Request(sent, usage, rules)
        read = usage.cache_read_tokens
        end, losses = held_losses(request, memory)
        expected = 0
        if end:
            expected, exact = request.size(end, memory.held[request.numbers[end - 1]])
            reason = 'the prefix was cached and the provider did not read it'
            losses.append(Loss('provider', expected - read, reason, exact=exact))
        if usage.input_tokens - read > NOISE_TOKENS:
            losses += change_losses(request, memory)
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


def _counts(loss: Loss, read: int) -> bool:
    """Whether a loss is more than noise."""
    part = _EXACT_PART if loss.exact else _ESTIMATED_PART
    return loss.tokens > NOISE_TOKENS and loss.tokens * part > loss.tokens + read


def _remember(request: Request, memory: Memory, hit: int) -> None:
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
