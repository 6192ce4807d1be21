"""LangChain's messages as context control sees them, and the messages that a plan sends."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from farthing.context import CLEARED, Part
from farthing.context.values import Kind
from farthing.run.talk import Prepared

PICTURE_TOKENS = 1_600
"""About what a picture or a page takes: Anthropic's most for one that it does not shrink."""
_OPAQUE = frozenset({'image', 'image_url', 'input_image', 'document', 'file', 'audio', 'video'})
# Said again among the message's own calls.
_CALLS = frozenset({'tool_use', 'tool_call', 'function_call', 'input_json_delta'})
_TEXTS = ('text', 'thinking', 'reasoning', 'refusal')


def part_of(message: BaseMessage) -> Part:
    """One message: all that is sent of it, thoughts and arguments of tools included."""
    said: list[str] = []
    others = 0
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, str):
            said.append(block)
        elif block.get('type') in _OPAQUE:
            others += PICTURE_TOKENS
        elif block.get('type') not in _CALLS:
            texts = [block[name] for name in _TEXTS if isinstance(block.get(name), str)]
            said += texts or [json.dumps(block, default=str)]
    if isinstance(message, ToolMessage):
        return Part(
            kind='tool_result',
            text=''.join(said),
            call_ids=(message.tool_call_id,),
            other_tokens=others,
        )
    calls: list[Any] = []
    if isinstance(message, AIMessage):
        calls = [*message.tool_calls, *message.invalid_tool_calls]
        said += [f'{call["name"]}{_written(call["args"])}' for call in calls]
    return Part(
        kind=_kind(message, calls=bool(calls)),
        text=''.join(said),
        call_ids=tuple(call['id'] for call in calls if call['id']),
        other_tokens=others,
    )


def sent(messages: Sequence[BaseMessage], prepared: Prepared) -> list[BaseMessage]:
    """The messages that a plan sends; those that are not cleared are the very objects."""
    view = prepared.view
    found = [messages[at] for at in view.head]
    if prepared.summary is not None:
        found.append(HumanMessage(prepared.summary))
    found += [_cleared(messages[at]) if at in view.cleared else messages[at] for at in view.rest]
    if prepared.retrieved is not None:
        found.append(HumanMessage(prepared.retrieved))
    return found


def last_requests(messages: Sequence[BaseMessage]) -> tuple[str, str]:
    """The text of the user's last message that has one, and with those right before it.

    The tap reads the one or the other: some providers are sent neighbours of one side as one.
    """
    last = joined = ''
    for message in reversed(messages):
        if message.type == 'human':
            last, joined = last or message.text, message.text + joined
        elif last and message.type != 'tool':
            break
    return last, joined


def _kind(message: BaseMessage, *, calls: bool) -> Kind:
    if isinstance(message, SystemMessage):
        return 'system'
    if isinstance(message, AIMessage):
        return 'tool_call' if calls else 'assistant'
    if isinstance(message, FunctionMessage):
        return 'tool_result'
    if isinstance(message, ChatMessage) and message.role in {'assistant', 'system'}:
        return 'assistant' if message.role == 'assistant' else 'system'
    return 'user'


def _cleared(message: BaseMessage) -> BaseMessage:
    return message.model_copy(update={'content': CLEARED})


def _written(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
