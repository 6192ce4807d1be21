"""Anthropic's cache marks: a payload as blocks, and marks set on a copy of it.

A mark is `cache_control` on a tool, a system block or a content block; text that is a plain string
becomes one text block on the copy. Which blocks refuse a mark: thinking, empty text, what is tied
to code execution (https://github.com/langchain-ai/langchain/issues/34542), deferred tools and
messages of the role `system`, where a mark is taken but its entry is never found again
(https://github.com/anthropics/claude-code/issues/96101). What context control repeats at the end of
one prompt would take a mark, and no later prompt could read it: a mark stands before it.

Every block counts as one towards the lookback. Whether a run of tool blocks counts once is
disputed; counting each is safe (https://github.com/strands-agents/harness-sdk/issues/3348).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from farthing.caching.block import Block, Lifetime, Path, Prompt, Tier
from farthing.caching.plan import Plan
from farthing.context.writing import RECALLED
from farthing.wire.digest import bytes_of, digest_of, text_digest
from farthing.wire.fields import text
from farthing.wire.prompt import chars_of, unmarked
from farthing.wire.structure import altered, without

Words = Mapping[str, Any]

_MARK = 'cache_control'
_QUESTION = 'diagnostics'
_FOREIGN = 'prompt_cache_breakpoint'
_TEXT = frozenset({'type', 'text', _MARK})
_THINKING = frozenset({'thinking', 'redacted_thinking'})
# Prose cannot tell how many tokens these are; Anthropic bills a full-size image as about 1,600.
_MEDIA = frozenset({'image', 'document'})
_MEDIA_CHARS = 4_000
# Parameters on which the messages' part of the cache depends, and the system's.
_BEFORE_MESSAGES = ('tool_choice', 'thinking', 'output_config')
_BEFORE_SYSTEM = ('speed',)


def prompt(payload: Words, *, provider: str = 'anthropic', model: str | None = None) -> Prompt:
    """The payload as a prompt cache sees it; what cannot be read is told in `malformed`."""
    fault, blocks = _fault(payload), tuple[Block, ...]()
    if fault is None:
        try:
            blocks = tuple(_blocks(payload))
        except TypeError as error:
            fault = f'the payload is no JSON: {error}'
    choice = payload.get('tool_choice')
    forced = isinstance(choice, dict) and str(choice.get('type')) in {'tool', 'any', 'none'}
    messages = payload.get('messages')
    return Prompt(
        family='anthropic',
        provider=provider,
        model=model or text(payload, 'model') or 'unknown',
        blocks=blocks,
        automatic=_life(payload),
        agent=bool(payload.get('tools')) and not forced,
        answered=not fault and any(one.get('role') == 'assistant' for one in messages or ()),
        malformed=fault,
    )


def marked(payload: Words, made: Plan) -> dict[str, Any]:
    """A copy of the payload that carries the plan's marks; what they do not touch is shared."""
    copy: Any = stripped(payload)
    for mark in made.marks:
        copy = altered(copy, mark.path, partial(_marked, life=mark.lifetime))
    return dict(copy)


def _marked(block: dict[str, Any], *, life: Lifetime) -> dict[str, Any]:
    return {**block, _MARK: {'type': 'ephemeral'} | ({'ttl': life} if life == '1h' else {})}


def asking(payload: dict[str, Any], previous: str | None) -> dict[str, Any]:
    """The payload with the question why its cache was missed; itself where the user asks."""
    if _QUESTION in payload:
        return payload
    return {**payload, _QUESTION: {'previous_message_id': previous}}


def stripped(payload: Words) -> dict[str, Any]:
    """A copy without OpenAI's marks and options, which Anthropic refuses."""
    kept = {key: value for key, value in payload.items() if not key.startswith('prompt_cache_')}
    for name in ('system', 'messages'):
        if name in kept:
            kept[name] = without(kept[name], _FOREIGN)
    return kept


def _fault(payload: Words) -> str | None:
    """What keeps the payload from being read; `None` if nothing does."""
    for name in ('tools', 'messages'):
        value = payload.get(name)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(one, dict) for one in value)
        ):
            return f'`{name}` is {type(value).__name__}: expected a list of objects'
    if not isinstance(payload.get('system'), str | list | None):
        return '`system` is neither text nor a list of blocks'
    return None


def _blocks(payload: Words) -> Iterator[Block]:
    for at, tool in enumerate(payload.get('tools') or ()):
        data = bytes_of('tool', unmarked(tool) if _MARK in tool else tool)
        free = not tool.get('defer_loading')
        yield Block(('tools', at), 'tools', digest_of(data), len(data), free, _life(tool))
    params = _params(payload, _BEFORE_SYSTEM)
    for block in _content(('system',), 'system', 'system', payload.get('system'), params):
        yield block
        params = b''
    params += _params(payload, _BEFORE_MESSAGES)
    for at, message in enumerate(payload.get('messages') or ()):
        path, role = ('messages', at, 'content'), str(message.get('role'))
        for block in _content(path, 'messages', role, message.get('content'), params):
            yield block
            params = b''


def _content(path: Path, tier: Tier, role: str, content: Any, params: bytes) -> Iterator[Block]:
    """The blocks of a system prompt or of one message."""
    free = tier == 'system' or role != 'system'
    if type(content) is str:
        # Most messages of a long history.
        digest = text_digest(role, content, params)
        yield Block((*path, 0), tier, digest, len(content), free and _is_kept(content))
        return
    for at, one in enumerate(content if isinstance(content, list) else (content,)):
        if one is None:
            continue
        block = {'type': 'text', 'text': one} if isinstance(one, str) else one
        digest = _digest(role, block, params)
        params = b''
        if not isinstance(block, dict):
            yield Block((*path, at), tier, digest, chars_of(block), markable=False)
            continue
        kind, words = block.get('type'), block.get('text')
        if kind == 'text' and isinstance(words, str):
            chars = len(words)
        else:
            chars = _MEDIA_CHARS if kind in _MEDIA else chars_of(block)
        markable = free and _takes_mark(block)
        yield Block((*path, at), tier, digest, chars, markable, _life(block))


def _takes_mark(block: Words) -> bool:
    kind = block.get('type')
    if kind == 'text':
        words = block.get('text')
        return isinstance(words, str) and _is_kept(words)
    if kind in _THINKING or 'code_execution' in str(kind) or kind == 'server_tool_use':
        return False
    caller = block.get('caller')
    return not (isinstance(caller, dict) and 'code_execution' in str(caller.get('type')))


def _is_kept(words: str) -> bool:
    """Whether a text is any, and one that later prompts hold as well."""
    return words != '' and not words.isspace() and not words.startswith(RECALLED)


def _life(words: Words) -> Lifetime | None:
    mark = words.get(_MARK)
    if not isinstance(mark, dict):
        return None
    return '1h' if mark.get('ttl') == '1h' else '5m'


def _params(payload: Words, names: tuple[str, ...]) -> bytes:
    said = {name: payload[name] for name in names if payload.get(name) is not None}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS) if said else b''


def _digest(role: str, block: Any, params: bytes) -> bytes:
    """A block's digest without its marks; that of a bare text is the text's."""
    if isinstance(block, dict):
        bare = block.keys() <= _TEXT and block.get('type') == 'text'
        if bare and isinstance(block.get('text'), str):
            return text_digest(role, block['text'], params)
        if _MARK in block or 'content' in block:
            block = unmarked(block)
    return digest_of(params + bytes_of(role, block))
