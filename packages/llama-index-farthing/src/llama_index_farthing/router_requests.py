"""What a router is told of a LlamaIndex call and of its answer, and what each route is sent."""

from collections.abc import Hashable, Mapping, Sequence
from json import loads
from typing import Any, TypeAlias

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from farthing.attribution import Attribution
from farthing.routing import Ability, Draft
from farthing.run.calls import Request
from farthing.wire.options import Family, cut
from farthing.wire.prompt import chars_of
from llama_index_farthing.facts import last_text

Answer: TypeAlias = ChatResponse | CompletionResponse | BaseModel

ROUTE, RUN = 'farthing_route', 'farthing_run_id'
"""In an answer's `additional_kwargs`: which route gave it, in which run."""
_NEEDS: Mapping[str, Ability] = {'image': 'image', 'audio': 'audio', 'document': 'file'}
"""By the type of a message's block."""
_MEDIA_CHARS = 4_000
"""A picture or page is reckoned as a text of about so many characters."""
_TOOL_CHARS = 400
"""About so much a tool's schema has beside its name and description."""
_TOOL_ROLES = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})
_TOOL_CALLS = 'tool_calls'


def request_of(
    messages: Sequence[ChatMessage],
    tools: Sequence[Any],
    options: Mapping[str, Any],
    *,
    who: Attribution,
    structured: bool,
    forced: str | None,
) -> Request:
    """What a router is told of a call."""
    last = max(
        (n for n, one in enumerate(messages) if one.role == MessageRole.ASSISTANT), default=None
    )
    asked = options.get('max_tokens')
    given = options.get('tools') or ()
    return Request(
        text=last_text(messages),
        chars=sum(map(_chars, messages)) + sum(map(_tool_chars, tools)) + chars_of(given),
        thread=None if last is None else thread(messages[: last + 1], who.session),
        who=who,
        needs=_needs(messages, options, tools=bool(tools or given), structured=structured),
        output_tokens=asked if isinstance(asked, int) else None,
        forced=forced,
        pending=last is not None and any(one.role in _TOOL_ROLES for one in messages[last:]),
    )


def thread(messages: Sequence[ChatMessage], session: str | None) -> Hashable:
    """Names a conversation: by its session and instructions, else by all that was said.

    Agents that share a session have instructions of their own, and caches of their own.
    """
    if session is None:
        return hash(tuple(map(_digest, messages)))
    told = tuple(_digest(one) for one in messages if one.role == MessageRole.SYSTEM)
    return session, hash(told)


def said(answer: Answer) -> ChatMessage:
    """An answer as the message that a conversation goes on with."""
    if isinstance(answer, ChatResponse):
        return answer.message
    text = answer.text if isinstance(answer, CompletionResponse) else answer.model_dump_json()
    return ChatMessage(role=MessageRole.ASSISTANT, content=text)


def draft_of(answer: Answer) -> Draft:
    """An answer as checks and graders see it."""
    message = said(answer)
    calls = tuple(
        (block.tool_name, _parsed(block.tool_kwargs))
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    )
    return Draft(
        text=_text(message),
        tool_calls=calls,
        complete=not any(map(cut, _ends(answer))),
        answer=answer,
    )


def for_family(messages: Sequence[ChatMessage], family: Family | None) -> list[ChatMessage]:
    """Copies of messages that any provider's model made, as those of one family take them.

    LlamaIndex keeps each provider's own form of tool calls and reasoning beside what is common.
    Cache points are for Anthropic's models only: others refuse them.
    """
    return [_for_family(one, family) for one in messages]


def _for_family(message: ChatMessage, family: Family | None) -> ChatMessage:
    blocks = [_block(one, family) for one in message.blocks if not _foreign(one, family)]
    own = message.additional_kwargs
    if _TOOL_CALLS in own and any(isinstance(one, ToolCallBlock) for one in blocks):
        own = {name: value for name, value in own.items() if name != _TOOL_CALLS}
    return message.model_copy(update={'blocks': blocks, 'additional_kwargs': own})


def _foreign(block: object, family: Family | None) -> bool:
    """Whether a family's models refuse the block."""
    if isinstance(block, ThinkingBlock):  # signed, or stored under an id
        wanted = 'signature' if family == 'anthropic' else 'id'
        return not block.additional_information.get(wanted)
    return isinstance(block, CachePoint) and family != 'anthropic'


def _block(block: Any, family: Family | None) -> Any:
    """A tool call with arguments that the family reads: OpenAI's are a text of JSON."""
    if family != 'anthropic' or not isinstance(block, ToolCallBlock):
        return block
    arguments = _parsed(block.tool_kwargs)
    if arguments is None or not isinstance(block.tool_kwargs, str):
        return block
    return block.model_copy(update={'tool_kwargs': arguments})


def _parsed(arguments: Mapping[str, object] | str) -> Mapping[str, object] | None:
    """A tool call's arguments; `None` where they are no JSON object."""
    if not isinstance(arguments, str):
        return arguments
    try:
        found = loads(arguments or '{}')
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _ends(answer: Answer) -> list[object]:
    """How an answer ended, in the words of whichever provider."""
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return []
    raw = answer.raw
    choices = _field(raw, 'choices')
    choice = choices[0] if isinstance(choices, list) and choices else None
    extra = answer.message.additional_kwargs if isinstance(answer, ChatResponse) else {}
    return [
        _field(raw, 'stop_reason'),
        _field(_field(raw, 'delta'), 'stop_reason'),  # Anthropic's last piece
        _field(choice, 'finish_reason'),
        _field(raw, 'status'),
        extra.get('stop_reason'),
    ]


def _field(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _needs(
    messages: Sequence[ChatMessage], options: Mapping[str, Any], *, tools: bool, structured: bool
) -> frozenset[Ability]:
    kinds = {block.block_type for message in messages for block in message.blocks}
    needs: set[Ability] = {ability for kind, ability in _NEEDS.items() if kind in kinds}
    if tools:
        needs.add('tools')
    if structured or 'response_format' in options:
        needs.add('structured_output')
    if 'thinking' in options:
        needs.add('thinking')
    return frozenset(needs)


def _digest(message: ChatMessage) -> int:
    calls = tuple(one.tool_call_id for one in message.blocks if isinstance(one, ToolCallBlock))
    return hash((message.role.value, _text(message), calls))


def _text(message: ChatMessage) -> str:
    return ''.join(one.text for one in message.blocks if isinstance(one, TextBlock))


def _chars(message: ChatMessage) -> int:
    return sum(map(_block_chars, message.blocks))


def _block_chars(block: Any) -> int:
    if isinstance(block, TextBlock):
        return len(block.text)
    if isinstance(block, ToolCallBlock):
        return len(block.tool_name) + len(str(block.tool_kwargs))
    return _MEDIA_CHARS if block.block_type in _NEEDS else 0


def _tool_chars(tool: Any) -> int:
    told = tool.metadata
    return len(told.name or '') + len(told.description) + _TOOL_CHARS
