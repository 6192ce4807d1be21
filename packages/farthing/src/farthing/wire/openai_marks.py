"""OpenAI's cache marks, from GPT-5.6 on: a payload as blocks, and marks set on a copy of it.

A mark is `prompt_cache_breakpoint` on a content part; tools, instructions and calls carry none.
`prompt_cache_key` is taken by every model, the others are refused before GPT-5.6: a plan has marks
and a mode only where writes have a price, which is the same line.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from farthing.caching.block import Block, Path, Prompt, Tier
from farthing.caching.plan import Plan
from farthing.wire.digest import bytes_of, digest_of, text_digest
from farthing.wire.fields import text
from farthing.wire.prompt import chars_of
from farthing.wire.structure import altered, without

Words = Mapping[str, Any]

_MARK = 'prompt_cache_breakpoint'
_FOREIGN = 'cache_control'
_MARKS = frozenset({_MARK, _FOREIGN})
_TEXT = frozenset({'type', 'text'})
_INSTRUCTIONS = frozenset({'system', 'developer'})
_PARTS = frozenset(
    {
        'text', 'image_url', 'input_audio', 'file',
        'input_text', 'input_image', 'input_file',
    }
)  # fmt: skip
_MEDIA_CHARS = 4_000
_PLAIN = frozenset({'role', 'content', 'id', 'status', _FOREIGN})


def prompt(payload: Words, *, provider: str = 'openai', model: str | None = None) -> Prompt:
    """The payload as a prompt cache sees it; what cannot be read is told in `malformed`."""
    fault, blocks = _fault(payload), tuple[Block, ...]()
    if fault is None:
        try:
            blocks = tuple(_blocks(payload))
        except TypeError as error:
            fault = f'the payload is no JSON: {error}'
    choice = payload.get('tool_choice')
    forced = isinstance(choice, dict) or str(choice) in {'required', 'none'}
    options = payload.get('prompt_cache_options')
    chosen = {'key'} if payload.get('prompt_cache_key') is not None else set()
    if isinstance(options, dict) and 'mode' in options:
        chosen.add('mode')
    return Prompt(
        family='openai',
        provider=provider,
        model=model or text(payload, 'model') or 'unknown',
        blocks=blocks,
        chosen=frozenset(chosen),
        agent=bool(payload.get('tools')) and not forced,
        answered=not fault and any(_answer(one) for one in _messages(payload)),
        malformed=fault,
    )


def marked(payload: Words, made: Plan) -> dict[str, Any]:
    """A copy of the payload with the plan's marks and options; what they leave is shared."""
    copy: Any = stripped(payload)
    kind = 'input_text' if 'input' in payload else 'text'
    words = {'mode': 'explicit'}
    for mark in made.marks:
        copy = altered(copy, mark.path, lambda block: {**block, _MARK: words}, text=kind)
    if made.mode is not None:
        copy['prompt_cache_options'] = {
            **(payload.get('prompt_cache_options') or {}),
            'mode': made.mode,
        }
    if made.key is not None:
        copy['prompt_cache_key'] = made.key
    return dict(copy)


def stripped(payload: Words) -> dict[str, Any]:
    """A copy without Anthropic's `cache_control`, which OpenAI refuses."""
    return {key: without(value, _FOREIGN) for key, value in payload.items() if key != _FOREIGN}


def _fault(payload: Words) -> str | None:
    """What keeps the payload from being read; `None` if nothing does."""
    name = 'messages' if 'messages' in payload else 'input'
    value = payload.get(name)
    if not isinstance(value, str) and not (
        isinstance(value, list) and all(isinstance(one, dict) for one in value)
    ):
        return f'`{name}` is {type(value).__name__}: expected a list of objects'
    tools = payload.get('tools')
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(one, dict) for one in tools)
    ):
        return f'`tools` is {type(tools).__name__}: expected a list of objects'
    return None


def _messages(payload: Words) -> list[Words]:
    content = payload.get('messages', payload.get('input'))
    return [{'role': 'user', 'content': content}] if isinstance(content, str) else content or []


def _answer(message: Words) -> bool:
    return message.get('role') == 'assistant' or message.get('type') == 'function_call'


def _blocks(payload: Words) -> Iterator[Block]:
    for at, tool in enumerate(payload.get('tools') or ()):
        data = bytes_of('tool', tool)
        yield Block(('tools', at), 'tools', digest_of(data), len(data), markable=False)
    instructions = payload.get('instructions')
    if isinstance(instructions, str):
        digest = text_digest('system', instructions)
        yield Block(('instructions',), 'system', digest, len(instructions), markable=False)
    name = 'messages' if 'messages' in payload else 'input'
    listed = isinstance(payload.get(name), list)
    leading = True
    for at, message in enumerate(_messages(payload)):
        role = str(message.get('role') or message.get('type'))
        leading = leading and role in _INSTRUCTIONS
        path: Path = (name, at, 'content') if listed else (name,)
        tier: Tier = 'system' if leading else 'messages'
        # Plain text at the top of a request is no message that could hold a part.
        holds = listed and role != 'assistant' and 'output' not in message
        content = message.get('content')
        if type(content) is str:
            # Most messages of a long history.
            digest = text_digest(role, content)
            yield Block((*path, 0), tier, digest, len(content), holds and content != '')
        else:
            yield from _parts(path, tier, role, content, holds=holds)
        extra = {key: value for key, value in message.items() if key not in _PLAIN}
        if extra:
            digest = digest_of(bytes_of(role, extra))
            yield Block(path[:-1], tier, digest, chars_of(extra), markable=False)


def _parts(path: Path, tier: Tier, role: str, content: Any, *, holds: bool) -> Iterator[Block]:
    """The parts of a message; `holds` is whether they can hold a mark."""
    for at, part in enumerate(content if isinstance(content, list | tuple) else (content,)):
        if part is None:
            continue
        said = part.get('text') if isinstance(part, dict) else None
        yield Block(
            (*path, at),
            tier,
            _digest(role, part),
            len(said) if isinstance(said, str) else _part_chars(part),
            holds and _is_part(part) and said != '',
            '30m' if isinstance(part, dict) and _MARK in part else None,
        )


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get('type') in _PARTS


def _part_chars(part: Any) -> int:
    return _MEDIA_CHARS if _is_part(part) else chars_of(part)


def _digest(role: str, part: Any) -> bytes:
    """A part's digest without its marks; that of a text is the same however it is wrapped."""
    if isinstance(part, dict):
        words = part.get('text')
        part = {key: value for key, value in part.items() if key not in _MARKS}
        if isinstance(words, str):
            if part.keys() <= _TEXT:
                return text_digest(role, words)
            part.pop('type', None)
    return digest_of(bytes_of(role, part))
