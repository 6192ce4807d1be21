"""A request as a prompt cache sees it: blocks in order, and a digest of each prefix that they end.

A provider's cache knows exact prefixes only, in the order tools, system, messages. Two requests
share what has equal prefix digests. `wire/` makes prompts of payloads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from types import MappingProxyType
from typing import Literal, NamedTuple

from farthing import estimate

Lifetime = Literal['5m', '30m', '1h']
Family = Literal['anthropic', 'openai']
Tier = Literal['tools', 'system', 'messages']
Path = tuple[str | int, ...]

SECONDS: Mapping[Lifetime, int] = MappingProxyType({'5m': 300, '30m': 1_800, '1h': 3_600})


class Block(NamedTuple):
    """One block; a tuple, because a request has hundreds.

    Attributes:
        path: Where it stands in the payload; text that is no list is element 0 of one.
        tier: The part of the prompt.
        digest: Of its canonical bytes without marks, and of parameters that its tier depends on.
        chars: Characters that become tokens.
        markable: Whether the provider takes a mark on it.
        mark: The lifetime of the user's own mark.
    """

    path: Path
    tier: Tier
    digest: bytes
    chars: int
    markable: bool
    mark: Lifetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the planner must know of a request.

    Attributes:
        family: Whose cache it meets.
        provider: Who bills.
        model: As the request names it.
        blocks: In cache order.
        automatic: Lifetime of a mark that the user has the provider set on the last block.
        chosen: Neutral names of what the user set himself: `key`, `mode`.
        agent: Whether tools are offered that the model may choose, so that a next turn is likely.
        answered: Whether it holds an earlier answer: a conversation in progress.
        malformed: Why it cannot be read; `None` if it can.
    """

    family: Family
    provider: str
    model: str
    blocks: tuple[Block, ...]
    automatic: Lifetime | None = None
    chosen: frozenset[str] = frozenset()
    agent: bool = False
    answered: bool = False
    malformed: str | None = None


def prefixes(prompt: Prompt, *, key: bytes = b'') -> list[bytes]:
    """A digest of the prefix that each block ends; prefixes of two models are never equal.

    Args:
        prompt: The request.
        key: Makes the digests useless to whoever lacks it (up to 64 bytes).
    """
    digest = blake2b(f'{prompt.provider}\0{prompt.model}'.encode(), digest_size=16, key=key)
    found = []
    for block in prompt.blocks:
        digest.update(block.digest)
        found.append(digest.digest())
    return found


def sizes(prompt: Prompt, tokens_per_char: float | None = None) -> list[int]:
    """Estimated tokens of the prefix that each block ends."""
    if tokens_per_char is None:
        tokens_per_char = estimate.tokens(26_000, prompt.provider) / 26_000
    return [int(chars * tokens_per_char) for chars in accumulate([b.chars for b in prompt.blocks])]


def root(blocks: Sequence[Block]) -> int | None:
    """Index of the last block of tools and system; `None` where there are none."""
    first = next((at for at, block in enumerate(blocks) if block.tier == 'messages'), len(blocks))
    return first - 1 if first else None


def static_end(blocks: Sequence[Block]) -> int | None:
    """Index of the last block of tools and system that takes a mark; `None` where none does."""
    last = root(blocks)
    return None if last is None else tail(blocks[: last + 1])


def tail(blocks: Sequence[Block]) -> int | None:
    """Index of the last block that takes a mark; `None` where none does."""
    return next((at for at in range(len(blocks) - 1, -1, -1) if blocks[at].markable), None)
