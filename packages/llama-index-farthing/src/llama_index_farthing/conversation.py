"""LlamaIndex's messages as context control sees them, and the messages that a plan sends."""

import json
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from farthing.context import CLEARED, Part
from farthing.context.values import Kind
from farthing.run.talk import Prepared
from farthing.wire.prompt import chars_of
from llama_index_farthing.facts import last_text

PICTURE_TOKENS = 1_600
"""About what a picture or a page takes: Anthropic's most for one that it does not shrink."""
_KINDS: dict[MessageRole, Kind] = {
    MessageRole.SYSTEM: 'system',
    MessageRole.DEVELOPER: 'system',
    MessageRole.ASSISTANT: 'assistant',
    MessageRole.CHATBOT: 'assistant',
    MessageRole.MODEL: 'assistant',
    MessageRole.TOOL: 'tool_result',
    MessageRole.FUNCTION: 'tool_result',
}


def part_of(message: ChatMessage) -> Part:
    """One message: all that is sent of it, thoughts and arguments of tools included."""
    extra = message.additional_kwargs
    said: list[str] = []
    ids: list[str] = []
    others = 0
    calls = False
    for block in message.blocks:
        if isinstance(block, ToolCallBlock):
            calls = True
            said.append(block.tool_name + _written(block.tool_kwargs))
            ids += [block.tool_call_id] if block.tool_call_id else []
        elif (text := _text(block)) is None:
            others += PICTURE_TOKENS
        else:
            said.append(text)
    # The older form of calls, before they were blocks.
    older = [] if calls else extra.get('tool_calls') or []
    for call in older:
        calls = True
        words = call if isinstance(call, dict) else call.model_dump()
        said.append(json.dumps(words, default=str))
        ids += [words['id']] if isinstance(words.get('id'), str) else []
    kind = _KINDS.get(message.role, 'user')
    if kind == 'tool_result':
        ids = [extra['tool_call_id']] if extra.get('tool_call_id') else []
    if kind == 'assistant' and calls:
        kind = 'tool_call'
    return Part(kind=kind, text=''.join(said), call_ids=tuple(ids), other_tokens=others)


def sent(messages: Sequence[ChatMessage], prepared: Prepared) -> list[ChatMessage]:
    """The messages that a plan sends; those that are not cleared are the very objects."""
    view = prepared.view
    found = [messages[at] for at in view.head]
    if prepared.summary is not None:
        found.append(ChatMessage(prepared.summary))
    found += [_cleared(messages[at]) if at in view.cleared else messages[at] for at in view.rest]
    if prepared.retrieved is not None:
        found.append(ChatMessage(prepared.retrieved))
    return found


def last_requests(messages: Sequence[ChatMessage]) -> tuple[str, str]:
    """The text of the user's last message that has one, and with those right before it.

    The tap reads the one or the other: some providers are sent neighbours of one side as one.
    """
    last = joined = ''
    for message in reversed(messages):
        if message.role == MessageRole.USER:
            text = last_text([message])
            last, joined = last or text, text + joined
        elif last and message.role != MessageRole.TOOL:
            break
    return last, joined


def _text(block: ContentBlock) -> str | None:
    """What a block says; `None` where it is no text."""
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, ThinkingBlock):
        return block.content or ''
    if isinstance(block, CachePoint):
        return ''
    words = block.model_dump(mode='json')
    return 'x' * chars_of(words) if block.block_type in {'citable', 'citation'} else None


def _cleared(message: ChatMessage) -> ChatMessage:
    return message.model_copy(update={'blocks': [TextBlock(text=CLEARED)]})


def _written(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
