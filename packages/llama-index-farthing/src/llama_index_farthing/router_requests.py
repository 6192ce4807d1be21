"""What a router is told of a LlamaIndex call, and of its answer."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from farthing.attribution import Attribution
from farthing.routing import Ability, Draft
from farthing.run.calls import Request
from farthing.wire.options import cut
from farthing.wire.prompt import chars_of
from llama_index_farthing.facts import last_text
from llama_index_farthing.router_asked import Asked
from llama_index_farthing.router_messages import arguments_of

Answer: TypeAlias = ChatResponse | CompletionResponse | BaseModel

ROUTE, RUN = 'farthing_route', 'farthing_run_id'
"""In an answer's `additional_kwargs`: which route gave it, in which run. A tag forces a route."""
_NEEDS: Mapping[str, Ability] = {'image': 'image', 'audio': 'audio', 'document': 'file'}
"""By the type of a message's block."""
_MEDIA_CHARS = 4_000
"""A picture or page is reckoned as a text of about so many characters."""
_TOOL_CHARS = 400
"""About so much a tool's schema has beside its name and description."""
_TOOL_ROLES = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})


def request_of(asked: Asked, *, who: Attribution, forced: str | None) -> Request:
    """What a router is told of a call."""
    messages, options = asked.messages, asked.options
    last = max(
        (n for n, one in enumerate(messages) if one.role == MessageRole.ASSISTANT), default=None
    )
    tokens, given = options.get('max_tokens'), options.get('tools') or ()
    return Request(
        text=last_text(messages),
        chars=sum(map(_chars, messages)) + sum(map(_tool_chars, asked.tools)) + chars_of(given),
        thread=None if last is None else thread(messages[: last + 1], who.session),
        who=who,
        needs=_needs(asked),
        output_tokens=tokens if isinstance(tokens, int) else None,
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
        (block.tool_name, arguments_of(block))
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    )
    return Draft(
        text=_text(message),
        tool_calls=calls,
        complete=not any(map(cut, _ends(answer))),
        answer=answer,
    )


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


def _needs(asked: Asked) -> frozenset[Ability]:
    kinds = {block.block_type for message in asked.messages for block in message.blocks}
    needs: set[Ability] = {ability for kind, ability in _NEEDS.items() if kind in kinds}
    if asked.tools or asked.options.get('tools'):
        needs.add('tools')
    if asked.method == 'structured_predict' or 'response_format' in asked.options:
        needs.add('structured_output')
    if 'thinking' in asked.options:
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
