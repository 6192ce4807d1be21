"""Reads recorded conversations in the format of OpenAI's chat API, which most tools write."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from farthing.context.parts import Part
from farthing.context.values import Kind
from farthing.errors import InputError
from farthing.wire.fields import objects, text

_KINDS: Mapping[str, Kind] = {
    'system': 'system',
    'developer': 'system',
    'user': 'user',
    'assistant': 'assistant',
    'tool': 'tool_result',
    'function': 'tool_result',
}
_TEXTS = ('text', 'refusal')
_THOUGHTS = ('reasoning_content', 'reasoning', 'refusal')


def parts(messages: object) -> Iterator[Part]:
    """The messages of one conversation.

    Raises:
        InputError: One is no message, or holds what has no text to count: an image, a sound.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise InputError(f'`messages` is a {type(messages).__name__}: expected a list')
    for number, message in enumerate(messages, 1):
        try:
            yield _part(message)
        except InputError as error:
            raise InputError(f'message {number}: {error}') from error


def _part(message: object) -> Part:
    if not isinstance(message, Mapping) or message.get('role') not in _KINDS:
        role = message.get('role') if isinstance(message, Mapping) else message
        raise InputError(f'the role is {role!r:.40}: expected one of {", ".join(_KINDS)}')
    kind = _KINDS[message['role']]
    said = [*(text(message, name) or '' for name in _THOUGHTS), _text(message.get('content'))]
    if kind == 'tool_result':
        answered = text(message, 'tool_call_id')
        return Part(kind=kind, text=''.join(said), call_ids=() if answered is None else (answered,))
    calls = objects(message.get('tool_calls'))
    functions = [call.get('function') or call.get('custom') or {} for call in calls]
    functions += objects([message.get('function_call')])
    for function in functions:
        said += [text(function, name) or '' for name in ('name', 'arguments', 'input')]
    return Part(
        kind='tool_call' if functions else kind,
        text=''.join(said),
        call_ids=tuple(call['id'] for call in calls if isinstance(call.get('id'), str)),
    )


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ''
    blocks = content if isinstance(content, list) else [content]
    said = []
    for block in blocks:
        if isinstance(block, str):
            said.append(block)
        elif isinstance(block, Mapping) and block.get('type') in _TEXTS:
            said.append(text(block, str(block['type'])) or '')
        else:
            kind = block.get('type') if isinstance(block, Mapping) else type(block).__name__
            raise InputError(f'content of the type {kind!r} cannot be counted: expected text')
    return ''.join(said)
