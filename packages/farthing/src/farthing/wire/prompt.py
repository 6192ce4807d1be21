"""A request's texts and blocks, found without knowing whose they are.

Blocks are for fingerprints: the same prompt gives the same bytes whether it was written as a
string or as a list of one text block, and with or without cache marks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

_MARK = 'cache_control'
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
    if _MARK not in block and not nested:
        return block
    kept = {key: value for key, value in block.items() if key != _MARK}
    if nested and isinstance(content, list):
        kept['content'] = [unmarked(one) if isinstance(one, Mapping) else one for one in content]
    return kept


def canonical(kind: str, block: object) -> bytes:
    """The bytes of a block: what it is, then its JSON with sorted keys."""
    value = unmarked(block) if isinstance(block, Mapping) else block
    return kind.encode() + b'\0' + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def blocks_of(kind: str, content: object) -> Iterator[bytes]:
    """The bytes of each block of a content that is a string, a list of blocks or one block."""
    if content is None:
        return
    if isinstance(content, str):
        yield canonical(kind, {'type': 'text', 'text': content})
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, str):
                yield canonical(kind, {'type': 'text', 'text': block})
            else:
                yield canonical(kind, block)
    else:
        yield canonical(kind, content)


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
