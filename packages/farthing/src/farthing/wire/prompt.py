"""A request's texts and blocks, found without knowing whose they are.

Blocks are for fingerprints: the same prompt gives the same bytes whether it was written as a
string or as a list of one text block, and with or without cache marks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from farthing.caching.fingerprint import Part, Piece, place

_MARKS = frozenset({'cache_control', 'prompt_cache_breakpoint'})
_LARGE = 4_096  # bytes; a smaller block holds no binary content worth leaving out
# Fields whose strings are no prose: binary content, addresses, seals and ids.
_OPAQUE = frozenset(
    {
        'cache_control', 'call_id', 'data', 'encrypted_content', 'file_data', 'file_id', 'file_url',
        'id', 'image_url', 'media_type', 'mime_type', 'mimeType', 'role', 'signature',
        'thoughtSignature', 'tool_call_id', 'tool_use_id', 'type', 'url',
    }
)  # fmt: skip


def unmarked(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """The block without cache marks, its content's blocks included."""
    content = block.get('content')
    nested = isinstance(content, list) and any(isinstance(one, Mapping) for one in content)
    if _MARKS.isdisjoint(block) and not nested:
        return block
    kept = {key: value for key, value in block.items() if key not in _MARKS}
    if nested and isinstance(content, list):
        kept['content'] = [unmarked(one) if isinstance(one, Mapping) else one for one in content]
    return kept


def canonical(kind: str, block: object) -> bytes:
    """The bytes of a block: what it is, then its JSON with sorted keys."""
    value = unmarked(block) if isinstance(block, Mapping) else block
    return kind.encode() + b'\0' + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def piece(part: Part, index: int, kind: str, block: object) -> Piece:
    """A block with its place: its size in bytes without binary content, and its cache mark."""
    data = canonical(kind, block)
    size = len(data)
    if size >= _LARGE:
        size -= _binary(block)
    return Piece(data, place(part, index, size, mark_of(block)))


def pieces_of(part: Part, index: int | None, kind: str, content: object) -> Iterator[Piece]:
    """Each block of a content that is a string, a list of blocks or one block.

    Args:
        part: What the content is of.
        index: The index that all blocks have, such as their message's; `None` counts them.
        kind: What a block is, such as its role: part of its bytes.
        content: The content.
    """
    if content is None:
        return
    blocks = content if isinstance(content, list) else [content]
    for number, block in enumerate(blocks):
        whole = {'type': 'text', 'text': block} if isinstance(block, str) else block
        yield piece(part, number if index is None else index, kind, whole)


def parameters(body: Mapping[str, Any], names: Sequence[str]) -> Iterator[Piece]:
    """Each of these parameters that a request sets: another value of it is another prefix."""
    for name in names:
        value = body.get(name)
        if value is not None:
            yield Piece(canonical(name, value), f'p{name}')


def mark_of(block: object) -> str | None:
    """The lifetime that a block's cache mark asks for; a mark inside it marks the block."""
    if not isinstance(block, Mapping):
        return None
    mark = block.get('cache_control')
    if isinstance(mark, Mapping):
        return '1h' if mark.get('ttl') == '1h' else '5m'
    if block.get('prompt_cache_breakpoint') is not None:
        return '30m'
    content = block.get('content')
    inner = content if isinstance(content, list) else ()
    return next((mark for one in inner if (mark := mark_of(one))), None)


def _binary(value: object) -> int:
    """Bytes of the binary content in `value`: base64, one byte a character."""
    if isinstance(value, str):
        return len(value) if value.startswith('data:') else 0
    if isinstance(value, Mapping):
        return sum(
            len(inner) if key in _OPAQUE and isinstance(inner, str) else _binary(inner)
            for key, inner in value.items()
        )
    return sum(map(_binary, value)) if isinstance(value, list) else 0


def chars_of(value: object) -> int:
    """Characters of all prose in `value`: strings that are no binary content, address or id."""
    if isinstance(value, str):
        return 0 if value.startswith('data:') else len(value)
    if isinstance(value, Mapping):
        return sum(chars_of(inner) for key, inner in value.items() if key not in _OPAQUE)
    if isinstance(value, list):
        return sum(chars_of(inner) for inner in value)
    return 0


def text_of(content: object, kinds: Sequence[str] = ('text', 'input_text')) -> str:
    """The text of a content that is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ''
    return ''.join(
        block['text']
        for block in content
        if isinstance(block, Mapping)
        and block.get('type', 'text') in kinds
        and isinstance(block.get('text'), str)
    )


class Shape(NamedTuple):
    """What tells a request from its neighbours at a glance, whoever's protocol it speaks."""

    model: str | None
    messages: int
    tools: int


def shape_of(body: Mapping[str, Any]) -> Shape:
    """The shape of a request's body."""
    said, tools, model = (
        body.get('messages', body.get('input')),
        body.get('tools'),
        body.get('model'),
    )
    return Shape(
        model if isinstance(model, str) else None,
        len(said) if isinstance(said, list) else 0,
        len(tools) if isinstance(tools, list) else 0,
    )
