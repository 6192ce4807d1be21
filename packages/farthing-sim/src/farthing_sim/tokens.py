"""A tokenizer of our own: deterministic, offline, and the same for every API and model.

Its counts are not any provider's counts. What matters to a test is that the same text counts
the same everywhere (plain, streamed, as input, as output), that pieces join up to the text
again, and that about four letters of English make a token.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

IMAGE_TOKENS = 1_000
DOCUMENT_TOKENS = 1_500
AUDIO_TOKENS = 250
SEARCH_TOKENS = 400
"""Input that the results of one web search add."""

MESSAGE_TOKENS = 3
"""What a message costs beside its text, as every chat format adds some framing."""

_PIECE = re.compile(r' ?[A-Za-z]{1,7}| ?[0-9]{1,3}| ?[^\sA-Za-z0-9]|\s')

# Keys whose strings never reach the model as text: names of kinds, ids, encrypted state, marks.
_UNREAD = frozenset({
    'cache_control', 'prompt_cache_breakpoint', 'type', 'id', 'tool_use_id', 'tool_call_id',
    'call_id', 'signature', 'encrypted_content', 'encrypted_index', 'media_type', 'detail',
    'status', 'role', 'url', 'file_id', 'filename',
})  # fmt: skip


def pieces(text: str) -> list[str]:
    """Cut a text into tokens; joined together they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Number of tokens of a text; 0 for an empty one."""
    return sum(1 for _ in _PIECE.finditer(text))


def count_json(value: object) -> int:
    """Tokens of a definition (a tool, a response format) that is sent as JSON; marks are free."""
    return count(written(value))


def json_pieces(value: object) -> list[str]:
    """The tokens of a definition that is sent as JSON, as `count_json` counts them."""
    return pieces(written(value))


def count_form(schema: Mapping[str, Any] | None) -> int:
    """Tokens of the schema that an answer must follow; 0 without one."""
    return count_json(schema) if schema else 0


def count_content(content: Any) -> int:
    """Tokens of a message's content: a string, or blocks of any of the providers' kinds."""
    return len(content_pieces(content))


def content_pieces(content: Any) -> list[str]:
    """The tokens of a message's content, in their order.

    What is no text (an image, a sound, a document) has as many tokens as it counts, which are
    those of the same thing only.
    """
    if content is None:
        return []
    if isinstance(content, Mapping):
        return _block_pieces(content)
    if isinstance(content, list | tuple):
        return [piece for part in content for piece in content_pieces(part)]
    return pieces(str(content))


def read_values(block: Mapping[str, Any]) -> list[Any]:
    """The values of a block or an item that reach the model as text."""
    return [value for key, value in block.items() if key not in _UNREAD]


def written(value: object) -> str:
    """A value as JSON in the order of its keys, without cache marks."""
    return json.dumps(_unmarked(value), ensure_ascii=False, separators=(',', ':'))


def _block_pieces(block: Mapping[str, Any]) -> list[str]:
    size = _opaque_tokens(block)
    if size is not None:
        digest = hashlib.sha256(written(block).encode('utf-8', 'replace')).hexdigest()
        return [f'{digest}:{i}' for i in range(size)]
    if isinstance(block.get('input'), Mapping):
        return pieces(str(block.get('name', ''))) + json_pieces(block['input'])
    return content_pieces(read_values(block))


def _opaque_tokens(block: Mapping[str, Any]) -> int | None:
    """What a block counts that is no text."""
    kind = block.get('type')
    if kind in {'image', 'image_url', 'input_image'}:
        return IMAGE_TOKENS
    if kind == 'input_audio':
        return AUDIO_TOKENS
    source = block.get('source')
    if kind in {'file', 'input_file'} or (
        kind == 'document' and isinstance(source, Mapping) and source.get('type') in _OPAQUE
    ):
        return DOCUMENT_TOKENS
    return None


_OPAQUE = frozenset({'base64', 'url', 'file'})
_MARKS = frozenset({'cache_control', 'prompt_cache_breakpoint'})


def _unmarked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _unmarked(item) for key, item in value.items() if key not in _MARKS}
    if isinstance(value, list | tuple):
        return [_unmarked(item) for item in value]
    return value
