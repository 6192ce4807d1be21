"""Messages that one provider's model made, as another provider's model takes them.

LlamaIndex keeps each provider's own form of tool calls and reasoning beside what is common.
"""

from collections.abc import Mapping, Sequence
from json import loads
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, ThinkingBlock, ToolCallBlock

from farthing.wire.options import Family

_TOOL_CALLS = 'tool_calls'
_KNOWN_BY: Mapping[Family | None, str] = {'anthropic': 'signature', 'openai': 'id'}
"""What a provider knows its own reasoning by: it is signed, or stored."""


def for_family(messages: Sequence[ChatMessage], family: Family | None) -> list[ChatMessage]:
    """Copies of messages that any provider's model made, as those of one family take them.

    Cache points are for Anthropic's models only: others refuse them.
    """
    return [_for_family(one, family) for one in messages]


def arguments_of(call: ToolCallBlock) -> Mapping[str, object] | None:
    """A tool call's arguments; `None` where they are no JSON object."""
    if not isinstance(call.tool_kwargs, str):
        return call.tool_kwargs
    try:
        found = loads(call.tool_kwargs or '{}')
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _for_family(message: ChatMessage, family: Family | None) -> ChatMessage:
    blocks = [_block(one, family) for one in message.blocks if not _foreign(one, family)]
    own = message.additional_kwargs
    if any(isinstance(one, ToolCallBlock) for one in blocks):
        own = {name: value for name, value in own.items() if name != _TOOL_CALLS}
    return message.model_copy(update={'blocks': blocks, 'additional_kwargs': own})


def _foreign(block: object, family: Family | None) -> bool:
    """Whether a family's models refuse the block."""
    if isinstance(block, ThinkingBlock):
        known_by = _KNOWN_BY.get(family)
        return known_by is not None and not block.additional_information.get(known_by)
    return isinstance(block, CachePoint) and family != 'anthropic'


def _block(block: Any, family: Family | None) -> Any:
    """The block with what the family reads: OpenAI's tool calls have a text of JSON."""
    if family != 'anthropic' or not isinstance(block, ToolCallBlock):
        return block
    arguments = arguments_of(block)
    return block if arguments is None else block.model_copy(update={'tool_kwargs': arguments})
