"""Reads OpenAI's Chat Completions, Responses (and their compaction) and Embeddings.

Counts are inclusive already. A tool that OpenAI runs is counted from the answer's output items,
for the usage object does not say: each use costs, whatever the tokens.
https://platform.openai.com/docs/guides/tools-web-search
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from farthing.caching.fingerprint import Part, Piece
from farthing.errors import UsageError
from farthing.prices.quote import UNSAID, Terms
from farthing.usage import Usage
from farthing.wire.fields import count, inner, maybe, needed, objects, text
from farthing.wire.prompt import chars_of, parameters, piece, pieces_of, text_of
from farthing.wire.reading import Reader, Reading, Request
from farthing.wire.sse import EventStream, string_bytes, strings

Words = Mapping[str, Any]

# The tier of an answer. `fast` is the newer name of `priority`; answers echo `priority` for both.
# `auto` is what was asked for: the answer is not served yet, or does not say.
_TIERS = {'default': 'standard', 'fast': 'priority', 'auto': None}
# A chat chunk worth parsing: it has usage, or says why it ended.
_TELLING = re.compile(rb'"usage"\s*:\s*\{|"finish_reason"\s*:\s*"')
_TYPE = re.compile(rb'"type"\s*:\s*"(response\.[a-z_.]+)"')
_CHAT_DELTA = strings('content', 'reasoning_content', 'arguments', 'text')
_DELTA = strings('delta')
_LAST = frozenset({b'response.completed', b'response.incomplete', b'response.failed'})
_ENDED = frozenset({'completed', 'incomplete', 'failed', 'cancelled', 'complete'})


def chat_usage(words: Words) -> Usage:
    """Inclusive counts of a Chat Completions `usage` object, also of the older Completions.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    return _usage(words, 'prompt_tokens', 'completion_tokens')


def responses_usage(words: Words) -> Usage:
    """Inclusive counts of a Responses `usage` object.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    return _usage(words, 'input_tokens', 'output_tokens')


def embeddings_usage(words: Words) -> Usage:
    """Counts of an Embeddings `usage` object: there is no output.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    used = Usage(input_tokens=needed(words, 'prompt_tokens'), output_tokens=0)
    _check_total(words, used.input_tokens)
    return used


def _usage(words: Words, asked: str, answered: str) -> Usage:
    read = inner(words, f'{asked}_details')
    made = inner(words, f'{answered}_details')
    cached = inner(read, 'cached_tokens_details')
    reasoning = maybe(made, 'reasoning_tokens')
    prompt, output = needed(words, asked), needed(words, answered)
    if reasoning and maybe(words, 'total_tokens') == prompt + output + reasoning:
        # Some compatible servers (xAI) count reasoning beside the output; their total says so.
        output += reasoning
    _check_total(words, prompt + output)
    written = count(read, 'cache_write_tokens')
    kept = count(inner(read, 'cache_write_tokens_details'), 'ttl_12h_tokens')
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=count(read, 'cached_tokens'),
        cache_write_tokens=written,
        # At least 30 minutes (GPT-5.6 and later), unless the answer says twelve hours of a part.
        cache_write_30m_tokens=written - kept,
        reasoning_tokens=reasoning,
        input_audio_tokens=count(read, 'audio_tokens'),
        input_image_tokens=count(read, 'image_tokens'),
        cache_read_audio_tokens=maybe(cached, 'audio_tokens'),
        cache_read_image_tokens=maybe(cached, 'image_tokens'),
        output_audio_tokens=count(made, 'audio_tokens'),
        output_image_tokens=count(made, 'image_tokens'),
    )


def _check_total(words: Words, added: int) -> None:
    total = maybe(words, 'total_tokens')
    if total is not None and total != added:
        raise UsageError(
            f'`total_tokens` is {total}, but input and output add up to {added}: '
            'which of them was billed is unknown'
        )


def terms(words: Words) -> Terms:
    """The tier that an answer echoes as `service_tier`; absent, it stays unknown."""
    tier = text(words, 'service_tier')
    return UNSAID if tier is None else Terms(tier=_TIERS.get(tier, tier))


def chat_answer(body: Words) -> Reading:
    """What a whole chat answer says.

    Raises:
        UsageError: Its counts contradict each other.
    """
    choices = objects(body.get('choices'))
    ends = [end for choice in choices if (end := text(choice, 'finish_reason')) is not None]
    reading = Reading(
        usage=_maybe_usage(body, chat_usage),
        model=text(body, 'model'),
        response_id=text(body, 'id'),
        terms=terms(body),
        finish=ends[0] if ends else None,
        complete=bool(ends),
        output_chars=sum(
            chars_of(inner(choice, 'message')) + chars_of(choice.get('text')) for choice in choices
        ),
    )
    return searched(reading)


def responses_answer(body: Words) -> Reading:
    """What a whole Responses answer, or a compaction of its kind, says.

    Raises:
        UsageError: Its counts contradict each other.
    """
    compaction = body.get('object') == 'response.compaction'
    status = text(body, 'status')
    uses, doubts = _tool_uses(body)
    used = _maybe_usage(body, responses_usage)
    output = objects(body.get('output'))
    return Reading(
        usage=None if used is None else replace(used, tool_uses=uses),
        model=text(body, 'model'),
        response_id=text(body, 'id'),
        terms=terms(body),
        finish=text(inner(body, 'incomplete_details'), 'reason') or status,
        complete=compaction or status in _ENDED,
        purpose='compaction' if compaction else 'user',
        doubts=doubts,
        output_chars=sum(chars_of(item.get('content')) for item in output)
        + sum(chars_of(item.get('arguments')) for item in output),
    )


def embeddings_answer(body: Words) -> Reading:
    """What an Embeddings answer says; it carries no id.

    Raises:
        UsageError: Its counts contradict each other.
    """
    return Reading(
        usage=_maybe_usage(body, embeddings_usage),
        model=text(body, 'model'),
        response_id=text(body, 'id'),
        terms=terms(body),
    )


def _maybe_usage(body: Words, read: Any) -> Usage | None:
    words = inner(body, 'usage')
    used: Usage | None = read(words) if words else None
    return used


def searched(reading: Reading) -> Reading:
    """Count the search that a search model makes for every chat request.

    The answer does not report it, so it stays in doubt how many were made.
    https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat
    """
    model = reading.model or ''
    if reading.usage is None or '-search-' not in model:
        return reading
    tool = 'web_search_preview' if '-search-preview' in model else 'web_search'
    used = replace(reading.usage, tool_uses={tool: 1})
    return replace(reading, usage=used, doubts=('web_search',))


def _tool_uses(body: Words) -> tuple[dict[str, int], tuple[str, ...]]:
    """Uses of OpenAI's own tools, and what the answer leaves open about their bill.

    Of a web search only the action `search` costs; pages opened in it are counted by their own
    names. The tool's generation decides its price, and the answer repeats the request's tools.
    """
    kinds = {text(tool, 'type') or '' for tool in objects(body.get('tools'))}
    preview = any(kind.startswith('web_search_preview') for kind in kinds)
    search = 'web_search_preview' if preview else 'web_search'
    uses: dict[str, int] = {}
    doubts: set[str] = set()
    containers: set[object] = set()
    for item in objects(body.get('output')):
        kind = text(item, 'type') or ''
        if kind == 'web_search_call':
            action = inner(item, 'action')
            done = text(action, 'type') or 'search'
            name = search if done == 'search' else f'web_search_{done}'
            uses[name] = uses.get(name, 0) + 1
            several = len(queries) > 1 if isinstance(queries := action.get('queries'), list) else 0
            if several or item.get('status') == 'failed':
                # Whether several queries of one action cost as one is not documented.
                doubts.add('web_search')
        elif kind == 'code_interpreter_call':
            containers.add(item.get('container_id'))
        elif kind in _COSTLY:
            uses[_COSTLY[kind]] = uses.get(_COSTLY[kind], 0) + 1
    if containers:
        # A container is billed when it starts, and it may have started with an earlier answer.
        uses['code_interpreter'] = len(containers)
        doubts.add('code_interpreter')
    return uses, tuple(sorted(doubts))


_COSTLY = {
    'file_search_call': 'file_search',
    'image_generation_call': 'image_generation',
    'shell_call': 'shell',
}


class ChatStream(EventStream):
    """Reads a streamed chat answer; usage comes in the last chunk, if it was asked for at all."""

    __slots__ = ('_chars', '_done', '_finish', '_first', '_head', '_words')

    def __init__(self) -> None:
        super().__init__()
        self._first = b''
        self._head: Words = {}
        self._words: dict[str, Any] = {}
        self._finish: str | None = None
        self._done = False
        self._chars = 0

    def event(self, name: bytes, data: bytes) -> None:  # noqa: ARG002 - chat events have no names
        """Take one chunk; only those that tell usage or an end are parsed."""
        if data == b'[DONE]':
            self._done = True
            return
        if not self._first:
            self._first = data
        self._chars += string_bytes(data, _CHAT_DELTA)
        if _TELLING.search(data) is None:
            return
        words = self.parse(data)
        self._head = {**self._head, **{key: words[key] for key in _HEAD if words.get(key)}}
        for choice in objects(words.get('choices')):
            self._finish = self._finish or text(choice, 'finish_reason')
        if isinstance(words.get('usage'), Mapping):
            self._words.update(words['usage'])

    def reading(self) -> Reading:
        """What the stream has said so far."""
        self.end()
        if not self._head and self._first:
            words = self.parse(self._first)
            self._head = {key: words[key] for key in _HEAD if words.get(key)}
        reading = Reading(
            usage=chat_usage(self._words) if self._words else None,
            model=text(self._head, 'model'),
            response_id=text(self._head, 'id'),
            terms=terms(self._head),
            finish=self._finish,
            complete=self._done or (self._finish is not None and bool(self._words)),
            output_chars=self._chars,
        )
        return searched(reading)


_HEAD = ('id', 'model', 'service_tier')


class ResponsesStream(EventStream):
    """Reads a streamed Responses answer: its last event repeats it whole."""

    __slots__ = ('_chars', '_ended', '_first', '_last')

    def __init__(self) -> None:
        super().__init__()
        self._first = b''
        self._last: Words = {}
        self._ended = False
        self._chars = 0

    def event(self, name: bytes, data: bytes) -> None:
        """Take one event; only the last is parsed, and the first if no last comes."""
        if not name:
            named = _TYPE.search(data)
            name = named[1] if named else b''
        if name.endswith(b'.delta'):
            self._chars += string_bytes(data, _DELTA)
        elif name in _LAST:
            self._last = inner(self.parse(data), 'response')
            self._ended = True
        elif not self._first:
            self._first = data

    def reading(self) -> Reading:
        """What the stream has said so far; cut early, it has no usage."""
        self.end()
        if not self._ended and self._first and not self._last:
            self._last = inner(self.parse(self._first), 'response')
        reading = responses_answer(self._last)
        chars = reading.output_chars or self._chars
        return replace(reading, complete=self._ended, output_chars=chars)


def request(body: Words) -> Request:
    """What a request of any of these APIs says about itself."""
    tier = text(body, 'service_tier')
    tools = objects(body.get('tools'))
    names = [text(inner(tool, 'function') or tool, 'name') or text(tool, 'type') for tool in tools]
    limits = (body.get(name) for name in _LIMITS)
    limit = next((limit for limit in limits if type(limit) is int), None)
    n = body.get('n')
    choices = n if type(n) is int else 1  # the limit is each one's
    return Request(
        model=text(body, 'model'),
        stream=body.get('stream') is True,
        terms=Terms(tier=tier if tier is None else _TIERS.get(tier, tier)),
        max_tokens=None if limit is None else limit * choices,
        tools=tuple(name for name in names if name is not None),
    )


_LIMITS = ('max_output_tokens', 'max_completion_tokens', 'max_tokens')


def refine(reading: Reading, body: Words) -> Reading:  # noqa: ARG001 - one signature for all
    """The reading as it is: OpenAI's answers say all that their requests know."""
    return reading


# A key that routes, and a schema that stands before the first message: they part prefixes.
_PARAMETERS = ('prompt_cache_key', 'response_format', 'text')
_SYSTEM_ROLES = frozenset({'system', 'developer'})
_PLAIN = frozenset({'role', 'content', 'id', 'status'})


def blocks(body: Words) -> Iterator[Piece]:
    """The pieces of the prefix in the cache's order: tools, instructions, messages.

    System and developer messages before the first other one are the system's part.
    """
    yield from parameters(body, _PARAMETERS)
    for number, tool in enumerate(objects(body.get('tools'))):
        yield piece('t', number, 'tool', tool)
    yield from pieces_of('s', None, 'system', body.get('instructions'))
    part: Part = 's'
    for number, message in enumerate(_messages(body)):
        role = str(message.get('role') or message.get('type'))
        part = part if role in _SYSTEM_ROLES else 'm'
        yield from pieces_of(part, number, role, message.get('content'))
        extra = {key: message[key] for key in message if key not in _PLAIN}
        if extra:
            yield piece(part, number, role, extra)
    options = body.get('prompt_cache_options')
    if isinstance(options, Mapping) and options.get('mode') == 'explicit':
        yield Piece(b'', '*explicit')


def chars(body: Words) -> int:
    """Characters of all texts in a request."""
    parts = ('tools', 'instructions', 'messages', 'input', 'prompt')
    return sum(chars_of(body.get(part)) for part in parts)


def last_text(body: Words) -> str:
    """The text of the last user message that has one."""
    for message in reversed(_messages(body)):
        if message.get('role') == 'user' and (found := text_of(message.get('content'))):
            return found
    return ''


def _messages(body: Words) -> list[Words]:
    """Chat messages, Responses input or a bare prompt, as messages."""
    content = body.get('messages', body.get('input', body.get('prompt')))
    if isinstance(content, str):
        return [{'role': 'user', 'content': content}]
    if isinstance(content, list) and content and isinstance(content[0], str):
        return [{'role': 'user', 'content': one} for one in content]
    return objects(content)


def _chat_usage_reading(words: Words) -> Reading:
    return Reading(usage=chat_usage(words), terms=terms(words))


def _responses_usage_reading(words: Words) -> Reading:
    return Reading(usage=responses_usage(words), terms=terms(words))


def _embeddings_usage_reading(words: Words) -> Reading:
    return Reading(usage=embeddings_usage(words), terms=terms(words))


CHAT = Reader(
    answer=chat_answer,
    usage=_chat_usage_reading,
    stream=ChatStream,
    request=request,
    refine=refine,
    blocks=blocks,
    chars=chars,
    last_text=last_text,
)
RESPONSES = replace(
    CHAT, answer=responses_answer, usage=_responses_usage_reading, stream=ResponsesStream
)
EMBEDDINGS = replace(CHAT, answer=embeddings_answer, usage=_embeddings_usage_reading)
