"""Reads the Anthropic Messages API.

Its counts are disjoint: `input_tokens` leaves out what was read from or written to the cache, so
they are added up here. Where `usage.iterations` is given it is the bill: the top level leaves out
compactions and models that the answer consulted, and may hold the first iteration's input only.
https://platform.claude.com/docs/en/build-with-claude/compaction
https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

from farthing.caching.fingerprint import Piece
from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire.fields import count, inner, maybe, needed, objects, text
from farthing.wire.prompt import chars_of, mark_of, parameters, piece, pieces_of, text_of
from farthing.wire.reading import CacheMiss, Part, Reader, Reading, Request
from farthing.wire.sse import EventStream, string_bytes, strings

Words = Mapping[str, Any]

# Kinds of iterations that the answer's own model ran for the user.
_OWN = frozenset({'message', 'fallback_message'})
_REQUESTS = '_requests'
_DELTA = strings('text', 'thinking', 'partial_json')
_SERVER = 'server_tool_use'
# Containers are billed by the hour beyond a free allowance, and no answer says for how long.
_CODE = 'code_execution'
_REASON = re.compile('[a-z_]{1,40}')


def usage(words: Words) -> Usage:
    """Inclusive counts of a `usage` object's top level, or of one of its iterations.

    Cache writes that are given without their lifetimes stay unsplit.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    read = count(words, 'cache_read_input_tokens')
    lifetimes = inner(words, 'cache_creation')
    write_5m = count(lifetimes, 'ephemeral_5m_input_tokens')
    write_1h = count(lifetimes, 'ephemeral_1h_input_tokens')
    written = maybe(words, 'cache_creation_input_tokens')
    if written is None:
        written = write_5m + write_1h
    return Usage(
        input_tokens=needed(words, 'input_tokens') + read + written,
        output_tokens=needed(words, 'output_tokens'),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=maybe(inner(words, 'output_tokens_details'), 'thinking_tokens'),
        tool_uses=_tool_uses(inner(words, 'server_tool_use')),
    )


def terms(words: Words) -> Terms:
    """The conditions that a `usage` object echoes.

    A batch is echoed as a service tier. `not_available` stands where a model has no choice of
    geography, which says nothing about where it ran.
    """
    tier = text(words, 'service_tier')
    batch = None if tier is None else tier == 'batch'
    if text(words, 'speed') == 'fast':
        tier = 'fast'
    elif tier == 'batch':
        tier = 'standard'
    geo = text(words, 'inference_geo')
    return Terms(tier=tier, batch=batch, geo=None if geo == 'not_available' else geo)


def read_usage(words: Words, *, model: str | None = None) -> Reading:
    """What a `usage` object says: counts, terms, and what is billed apart.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    doubts = ('fallback_credit',) if _redeemed(words) else ()
    reading = Reading(usage=usage(words), model=model, terms=terms(words), doubts=doubts)
    iterations = objects(words.get('iterations'))
    return _by_iteration(reading, iterations) if iterations else reading


def answer(body: Words) -> Reading:
    """What a whole answer says.

    Raises:
        UsageError: Its counts contradict each other.
    """
    words = inner(body, 'usage')
    model = text(body, 'model')
    reading = read_usage(words, model=model) if words else Reading(usage=None, model=model)
    finish = text(body, 'stop_reason')
    content = objects(body.get('content'))
    ran = any(_CODE in (text(one, 'name') or '') for one in content if one.get('type') == _SERVER)
    return replace(
        reading,
        response_id=text(body, 'id'),
        finish=finish,
        complete=finish is not None,
        doubts=(*reading.doubts, _CODE) if ran else reading.doubts,
        output_chars=chars_of(content),
        cache_miss=_cache_miss(body),
    )


class Stream(EventStream):
    """Reads a streamed answer.

    Counts in `message_delta` are cumulative: they replace those of `message_start` and are never
    added to them (https://github.com/langchain-ai/langchain/issues/32818). What a delta leaves
    out, such as cache writes by lifetime, tier and geography, keeps its first word.
    """

    __slots__ = ('_chars', '_finish', '_message', '_ran', '_stopped', '_words')

    def __init__(self) -> None:
        super().__init__()
        self._message: Words = {}
        self._words: dict[str, Any] = {}
        self._finish: str | None = None
        self._ran = False
        self._stopped = False
        self._chars = 0

    def event(self, name: bytes, data: bytes) -> None:
        """Take one event; only those that carry usage are parsed."""
        if name == b'content_block_delta':
            self._chars += string_bytes(data, _DELTA)
        elif name == b'content_block_start':
            self._ran = self._ran or (_SERVER.encode() in data and _CODE.encode() in data)
        elif name == b'message_start':
            self._message = inner(self.parse(data), 'message')
            self._hear(self._message)
        elif name == b'message_delta':
            words = self.parse(data)
            self._finish = text(inner(words, 'delta'), 'stop_reason') or self._finish
            self._hear(words)
        elif name == b'message_stop':
            self._stopped = True

    def _hear(self, words: Words) -> None:
        said = words.get('usage')
        if isinstance(said, Mapping):
            self._words.update({key: value for key, value in said.items() if value is not None})

    def reading(self) -> Reading:
        """What the stream has said so far; a stream cut early has its first counts."""
        self.end()
        model = text(self._message, 'model')
        known = bool(self._words)
        reading = read_usage(self._words, model=model) if known else Reading(usage=None)
        return replace(
            reading,
            model=model,
            response_id=text(self._message, 'id'),
            finish=self._finish,
            complete=self._stopped,
            doubts=(*reading.doubts, _CODE) if self._ran else reading.doubts,
            output_chars=self._chars,
            cache_miss=_cache_miss(self._message),
        )


def request(body: Words) -> Request:
    """What a request says about itself."""
    fast = text(body, 'speed') == 'fast'
    tools = [text(tool, 'name') or text(tool, 'type') for tool in objects(body.get('tools'))]
    betas = body.get('anthropic_beta') or body.get('betas')
    limit = body.get('max_tokens')
    return Request(
        model=text(body, 'model'),
        stream=body.get('stream') is True,
        terms=Terms(tier='fast' if fast else None, geo=text(body, 'inference_geo')),
        max_tokens=limit if type(limit) is int else None,
        tools=tuple(tool for tool in tools if tool is not None),
        betas=tuple(str(beta) for beta in betas) if isinstance(betas, list) else (),
    )


def refine(reading: Reading, body: Words) -> Reading:
    """Add what only the request knows: how long cache writes live, and that speed was asked for.

    Where every mark asks for one lifetime, all writes have it; the default is five minutes.
    """
    if text(body, 'speed') == 'fast' and reading.terms.tier != 'fast':
        reading = replace(reading, terms=replace(reading.terms, tier=None))
    found = reading.usage
    if found is None or not (found.cache_write_unsplit_tokens or reading.parts):
        return reading
    lifetimes = set(_lifetimes(body)) or {'5m'}
    if len(lifetimes) > 1:
        return reading
    lifetime = lifetimes.pop()
    parts = (replace(part, usage=_split(part.usage, lifetime)) for part in reading.parts)
    iterations = (_split(one, lifetime) for one in reading.iterations)
    return replace(
        reading,
        usage=_split(found, lifetime),
        parts=tuple(parts),
        iterations=tuple(iterations),
    )


# What is part of the prefix beside its blocks, where its part begins.
_SYSTEM_PARAMETERS = ('speed',)
_MESSAGE_PARAMETERS = ('tool_choice', 'thinking', 'output_config')


def blocks(body: Words) -> Iterator[Piece]:
    """The pieces of the prefix in the cache's order: tools, system, messages."""
    for number, tool in enumerate(objects(body.get('tools'))):
        yield piece('t', number, 'tool', tool)
    yield from parameters(body, _SYSTEM_PARAMETERS)
    yield from pieces_of('s', None, 'system', body.get('system'))
    yield from parameters(body, _MESSAGE_PARAMETERS)
    for number, message in enumerate(objects(body.get('messages'))):
        yield from pieces_of('m', number, str(message.get('role')), message.get('content'))
    if automatic := mark_of({'cache_control': body.get('cache_control')}):
        yield Piece(b'', f'*{automatic}')


def chars(body: Words) -> int:
    """Characters of all texts in a request."""
    return sum(chars_of(body.get(part)) for part in ('tools', 'system', 'messages'))


def last_text(body: Words) -> str:
    """The text of the last user message that has one."""
    for message in reversed(objects(body.get('messages'))):
        if message.get('role') == 'user' and (found := text_of(message.get('content'))):
            return found
    return ''


def _cache_miss(message: Words) -> CacheMiss | None:
    """Why the cache missed, where the request asked; a stream says so in its first event.

    https://platform.claude.com/docs/en/build-with-claude/cache-diagnostics
    """
    diagnostics = message.get('diagnostics')
    reason = diagnostics.get('cache_miss_reason') if isinstance(diagnostics, Mapping) else None
    if not isinstance(reason, Mapping):
        return None
    kind = text(reason, 'type')
    if kind is None or not _REASON.fullmatch(kind):
        return None
    missed = reason.get('cache_missed_input_tokens')
    return CacheMiss(reason=kind, tokens=missed if type(missed) is int and missed >= 0 else None)


def _tool_uses(words: Words) -> dict[str, int]:
    uses = {name.removesuffix(_REQUESTS): count(words, name) for name in sorted(words)}
    return {name: number for name, number in uses.items() if number}


def _redeemed(words: Words) -> bool:
    """Whether a fallback credit moved this answer's bill away from its counts."""
    status = inner(inner(words, 'fallback_credit'), 'status')
    return text(status, 'type') == 'redeemed'


def _by_iteration(whole: Reading, iterations: list[Words]) -> Reading:
    own: list[Usage] = []
    parts: list[Part] = []
    doubts: list[str] = []
    served = whole.model or _served(iterations)
    for words in iterations:
        kind, model, used = text(words, 'type'), text(words, 'model'), usage(words)
        if kind in _OWN and model in {None, served}:
            own.append(used)
        elif kind == 'compaction':
            parts.append(Part(usage=used, purpose='compaction', model=model))
        else:
            parts.append(Part(usage=used, purpose='user', model=model))
            if kind in _OWN and not used.output_tokens:
                doubts.append('refused_before_output')
            elif kind not in _OWN and kind != 'advisor_message':
                doubts.append(f'iteration_{kind}')
    _check_top(whole.usage, own)
    return replace(
        whole,
        usage=_own_usage(whole.usage, own),
        parts=tuple(parts),
        iterations=tuple(own) if len(own) > 1 else (),
        doubts=(*whole.doubts, *doubts),
    )


def _served(iterations: list[Words]) -> str | None:
    models = [text(words, 'model') for words in iterations if text(words, 'type') in _OWN]
    return models[-1] if models else None


def _check_top(top: Usage | None, own: list[Usage]) -> None:
    """The top level is the sum of the answer's own iterations, or one end of them."""
    if not own or top is None:
        return
    for name in ('input_tokens', 'output_tokens'):
        said = getattr(top, name)
        counts = [getattr(one, name) for one in own]
        if said not in {sum(counts), counts[0], counts[-1]}:
            raise UsageError(
                f'`{name}` adds up to {said} at the top level, but to {sum(counts)} over '
                f'{len(counts)} iterations: which of them was billed is unknown'
            )


def _own_usage(top: Usage | None, own: list[Usage]) -> Usage | None:
    """The iterations' sum, with what only the top level says: thinking and server tools."""
    if top is None or not own:
        return top
    total = reduce(add, own)
    return replace(total, reasoning_tokens=top.reasoning_tokens, tool_uses=top.tool_uses)


def _lifetimes(body: Words) -> Iterator[str]:
    """The lifetime of each cache mark in a request."""
    marked = [body, *objects(body.get('tools')), *objects(body.get('system'))]
    for message in objects(body.get('messages')):
        for block in objects(message.get('content')):
            marked += [block, *objects(block.get('content'))]
    for block in marked:
        mark = block.get('cache_control')
        if isinstance(mark, Mapping):
            yield text(mark, 'ttl') or '5m'


def _split(used: Usage, lifetime: str) -> Usage:
    rest = used.cache_write_unsplit_tokens
    if not rest or lifetime not in {'5m', '1h'}:
        return used
    if lifetime == '1h':
        return replace(used, cache_write_1h_tokens=used.cache_write_1h_tokens + rest)
    return replace(used, cache_write_5m_tokens=used.cache_write_5m_tokens + rest)


MESSAGES = Reader(
    answer=answer,
    usage=read_usage,
    stream=Stream,
    request=request,
    refine=refine,
    blocks=blocks,
    chars=chars,
    last_text=last_text,
)
