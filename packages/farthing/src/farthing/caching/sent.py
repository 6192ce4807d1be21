"""A call as explaining takes it: whose it was, what it sent, and what the provider counted."""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import accumulate

from farthing.caching.fingerprint import Prefix
from farthing.caching.memory import Held, prefixes
from farthing.caching.minimum import minimum
from farthing.caching.rules import LIFETIMES_US, Rules
from farthing.usage import Usage


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


class Request:
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


def block_ends(prefix: Prefix, input_tokens: int) -> list[int]:
    """Estimated tokens up to the end of each block; the last one is all of the input."""
    sizes = [block.size for block in prefix.blocks]
    whole = sum(sizes)
    return [input_tokens * size // whole if whole else 0 for size in accumulate(sizes)]


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
