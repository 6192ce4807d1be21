"""A message as it enters: what kind it is and what is sent of it; blocks are made of these."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from farthing.context.values import Block, Kind

MESSAGE_TOKENS = 4
"""What any chat format adds to a message, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One message, with its text.

    Attributes:
        kind: What it is.
        text: All that is sent of it: its text, then names and arguments of the tools it calls.
        call_ids: Ids of the tool calls it makes, or that its results answer.
        other_tokens: About what is no text in it takes: images, files.
    """

    kind: Kind
    text: str
    call_ids: tuple[str, ...] = ()
    other_tokens: int = 0


def blocks(parts: Iterable[Part], count: Callable[[str], int], *, key: bytes) -> tuple[Block, ...]:
    """The messages as policies see them: counted, and fingerprinted with `key`."""
    return tuple(
        Block(
            kind=part.kind,
            tokens=count(part.text) + part.other_tokens + MESSAGE_TOKENS,
            digest=blake2b(_content(part), digest_size=16, key=key).hexdigest(),
            call_ids=part.call_ids,
        )
        for part in parts
    )


def _content(part: Part) -> bytes:
    return '\0'.join((part.kind, *part.call_ids, part.text)).encode('utf-8', 'surrogatepass')
