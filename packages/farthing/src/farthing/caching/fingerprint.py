"""What the ledger keeps of a request for its prompt cache: keyed digests and numbers, no content.

A request's `prefix` is a tuple of short texts in the order in which a cache reads the request:

    4f0c9a12b7d3e586s1.2048*1h   a block: digest, part and index, size in bytes, mark
    4f0c9a12b7d3e586ptool_choice a parameter that is part of the prefix, where its part begins
    *5m                          the provider was asked to mark the last block by itself
    *explicit                    the provider was asked to cache at explicit marks alone
    !system_changed.1234         why the provider says that it missed, and how many tokens
    4f0c9a12b7d3e586             a block as older ledgers hold it: its place and size are unknown

Parts are `t`ools, `s`ystem and `m`essages. A size leaves out binary content.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

Part = Literal['t', 's', 'm']

PARTS = {'t': 'tools', 's': 'system', 'm': 'messages'}
_ITEM = re.compile(
    r'(?P<digest>[0-9a-f]+)(?:(?P<part>[tsm])(?P<index>\d+)\.(?P<size>\d+)(?:\*(?P<mark>\w+))?'
    r'|p(?P<name>\w+))'
)
_SAID = re.compile(r'!(\w+?)(?:\.(\d+))?')


class Piece(NamedTuple):
    """One piece of a request's prefix, before it is made a fingerprint.

    Attributes:
        data: Canonical bytes to be digested; empty where `place` says all.
        place: Where it stands, how large it is and how it is marked; see above.
    """

    data: bytes
    place: str


class Block(NamedTuple):
    """One block or parameter of a request, as its fingerprint tells it.

    Attributes:
        digest: Keyed digest of its content.
        part: `t`, `s` or `m`; `p` for a parameter; empty where it is unknown.
        path: Such as `system[1]`, or the name of a parameter.
        size: Its bytes; 0 for a parameter, which stands for no tokens of its own.
        mark: The lifetime of its cache mark; `None` without one.
    """

    digest: str
    part: str
    path: str
    size: int = 0
    mark: str | None = None


class Prefix(NamedTuple):
    """A request's prefix.

    Attributes:
        blocks: In the order of the cache.
        automatic: The lifetime of the mark that the provider was asked to set on the last block.
        explicit: Whether the provider was asked to cache at explicit marks alone.
        said: Why the provider says that it missed; `None` where it does not.
        said_tokens: How many tokens it says that it missed; `None` where it does not.
    """

    blocks: tuple[Block, ...]
    automatic: str | None = None
    explicit: bool = False
    said: str | None = None
    said_tokens: int | None = None

    @property
    def placed(self) -> bool:
        """Whether places and sizes are known; an older ledger has digests alone."""
        return bool(self.blocks) and all(block.part for block in self.blocks)


def place(part: Part, index: int, size: int, mark: str | None) -> str:
    """The place of a block."""
    return f'{part}{index}.{size}*{mark}' if mark else f'{part}{index}.{size}'


def diagnosis(reason: str, tokens: int | None) -> str:
    """What the provider says of its miss."""
    return f'!{reason}' if tokens is None else f'!{reason}.{tokens}'


def read(items: Sequence[str]) -> Prefix:
    """The prefix that fingerprints tell; what has another form is a bare digest."""
    blocks: list[Block] = []
    automatic, explicit, said, said_tokens = None, False, None, None
    for item in items:
        if item.startswith('*'):
            explicit = explicit or item == '*explicit'
            automatic = automatic if item == '*explicit' else item[1:]
        elif item.startswith('!') and (found := _SAID.fullmatch(item)):
            said, said_tokens = found[1], int(found[2]) if found[2] else None
        else:
            blocks.append(_block(item))
    return Prefix(tuple(blocks), automatic, explicit, said, said_tokens)


def digests(items: Sequence[str]) -> tuple[str, ...]:
    """The digests of the content's blocks: equal prompts have equal ones, however marked."""
    return tuple(block.digest for block in read(items).blocks if block.part != 'p')


@lru_cache(maxsize=65_536)  # A conversation sends its blocks again with each turn.
def _block(item: str) -> Block:
    found = _ITEM.fullmatch(item)
    if found is None:
        return Block(item, '', '')
    digest, part, index, size, mark, name = found.groups()
    if name is not None:
        return Block(digest, 'p', name)
    return Block(digest, part, f'{PARTS[part]}[{index}]', int(size), mark)
