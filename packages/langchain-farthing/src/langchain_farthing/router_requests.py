"""What a router is told of a LangChain call, and of its answer."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from farthing.attribution import current
from farthing.routing import Ability, Draft
from farthing.run.calls import Request
from farthing.wire.options import cut
from langchain_farthing.facts import attribution_of
from langchain_farthing.router_options import STRUCTURED, TOOLS, WITH_TOOLS

ROUTE, RUN = 'farthing_route', 'farthing_run_id'
"""In an answer's `response_metadata`: which route gave it, in which run."""
_FORCED = 'route'
_TOOL_CHARS = 400
"""About so much a tool's schema has beside its name and description."""
_NEEDS: Mapping[str, Ability] = {
    'image': 'image',
    'image_url': 'image',
    'input_image': 'image',
    'audio': 'audio',
    'input_audio': 'audio',
    'file': 'file',
    'document': 'file',
    'input_file': 'file',
}
_MEDIA_CHARS = 4_000
"""A picture or page is reckoned as a text of about so many characters."""


def request_of(
    messages: Sequence[BaseMessage],
    options: Mapping[str, Any],
    config: RunnableConfig,
    *,
    forced: str | None,
) -> Request:
    """What a router is told of a call."""
    who = attribution_of(config.get('metadata') or {}, current())
    last = max((n for n, one in enumerate(messages) if isinstance(one, AIMessage)), default=None)
    answered = None if last is None else messages[last]
    pending = last is not None and any(isinstance(m, ToolMessage) for m in messages[last:])
    made_by = None if answered is None else answered.response_metadata.get(ROUTE)
    tokens = options.get('max_tokens')
    return Request(
        text=next((str(m.text) for m in reversed(messages) if isinstance(m, HumanMessage)), ''),
        chars=input_chars(messages, options.get(TOOLS) or ()),
        thread=None if last is None else thread(messages[: last + 1], who.session),
        who=who,
        needs=_needs(messages, options),
        output_tokens=tokens if isinstance(tokens, int) else None,
        forced=forced or (config.get('configurable') or {}).get(_FORCED),
        pending=pending,
        pending_route=made_by if pending else None,
    )


def input_chars(messages: Sequence[BaseMessage], tools: Sequence[Any]) -> int:
    """About how many characters a request has."""
    return sum(map(_chars, messages)) + sum(map(_tool_chars, tools))


def thread(messages: Sequence[BaseMessage], session: str | None) -> Hashable:
    """Names a conversation: by its session and instructions, else by all that was said.

    Agents that share a session have instructions of their own, and caches of their own.
    """
    if session is None:
        return hash(tuple(map(_digest, messages)))
    told = tuple(_digest(one) for one in messages if isinstance(one, SystemMessage))
    return session, hash(told)


def draft_of(answer: BaseMessage) -> Draft:
    """An answer as checks and graders see it."""
    calls: list[tuple[str, Mapping[str, object] | None]] = []
    complete = True
    if isinstance(answer, AIMessage):
        calls = [(call['name'], call['args']) for call in answer.tool_calls]
        calls += [(call['name'] or '', None) for call in answer.invalid_tool_calls]
        said = answer.response_metadata
        ends = (said.get('stop_reason'), said.get('finish_reason'), said.get('status'))
        complete = not any(map(cut, ends))
    return Draft(text=str(answer.text), tool_calls=tuple(calls), complete=complete, answer=answer)


def _digest(message: BaseMessage) -> int:
    calls: tuple[str | None, ...] = ()
    if isinstance(message, AIMessage):
        calls = tuple(call['id'] for call in message.tool_calls)
    kind = 'ai' if isinstance(message, AIMessage) else message.type
    return hash((kind, str(message.text), calls))


def _needs(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> frozenset[Ability]:
    needs: set[Ability] = {_NEEDS[kind] for kind in map(_kind, _blocks(messages)) if kind in _NEEDS}
    if options.get(TOOLS):
        needs.add('tools')
    if STRUCTURED in options or 'response_format' in {*options, *options.get(WITH_TOOLS, ())}:
        needs.add('structured_output')
    if 'thinking' in options:
        needs.add('thinking')
    return frozenset(needs)


def _blocks(messages: Sequence[BaseMessage]) -> list[Any]:
    return [
        block
        for message in messages
        if isinstance(message.content, list)
        for block in message.content
    ]


def _kind(block: Any) -> str:
    kind = block.get('type') if isinstance(block, Mapping) else None
    return kind if isinstance(kind, str) else ''


def _chars(message: BaseMessage) -> int:
    found = len(str(message.text))
    if isinstance(message, AIMessage):
        found += sum(len(call['name']) + len(str(call['args'])) for call in message.tool_calls)
    if isinstance(message.content, list):
        found += sum(_MEDIA_CHARS for block in message.content if _kind(block) in _NEEDS)
    return found


def _tool_chars(tool: Any) -> int:
    if isinstance(tool, Mapping):
        return len(str(tool))
    named = getattr(tool, 'name', None) or getattr(tool, '__name__', '')
    told = getattr(tool, 'description', None) or getattr(tool, '__doc__', None) or ''
    return len(str(named)) + len(str(told)) + _TOOL_CHARS
