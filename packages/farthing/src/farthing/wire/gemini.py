"""Reads Gemini's generateContent, of the Gemini API and of Vertex AI.

The prompt's count holds what was read from a cache; results of tools that Google ran are input
beside it; thoughts are output beside the candidates. A stream repeats cumulative counts in every
chunk, so its last one counts.
https://docs.cloud.google.com/python/docs/reference/aiplatform/latest/google.cloud.aiplatform_v1beta1.types.UsageMetadata
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from farthing.caching.fingerprint import Piece
from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire.fields import count, inner, maybe, needed, objects, text
from farthing.wire.prompt import chars_of, piece, pieces_of
from farthing.wire.reading import Reader, Reading, Request
from farthing.wire.sse import EventStream, string_bytes, strings

Words = Mapping[str, Any]

# Vertex AI's words for a tier; the Gemini API says `standard`, `flex` or `priority` itself.
_TRAFFIC = {
    'ON_DEMAND': 'standard',
    'ON_DEMAND_FLEX': 'flex',
    'ON_DEMAND_PRIORITY': 'priority',
    'PROVISIONED_THROUGHPUT': 'provisioned',
}
_DELTA = strings('text')
_SNAKE = re.compile(r'_([a-z])')


def usage(words: Words) -> Usage:
    """Inclusive counts of a `usageMetadata` object, in JSON's or in the SDK's spelling.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    words = _camel(words)
    prompt, tools = needed(words, 'promptTokenCount'), count(words, 'toolUsePromptTokenCount')
    thoughts = maybe(words, 'thoughtsTokenCount')
    output = count(words, 'candidatesTokenCount') + (thoughts or 0)
    total = maybe(words, 'totalTokenCount')
    if total is not None and total != prompt + tools + output:
        raise UsageError(
            f'`totalTokenCount` is {total}, but its parts add up to {prompt + tools + output}: '
            'which of them was billed is unknown'
        )
    asked = _modes(words, 'promptTokensDetails', 'toolUsePromptTokensDetails')
    made = _modes(words, 'candidatesTokensDetails')
    itemised = words.get('cacheTokensDetails') is not None
    cached = _modes(words, 'cacheTokensDetails')
    return Usage(
        input_tokens=prompt + tools,
        output_tokens=output,
        cache_read_tokens=count(words, 'cachedContentTokenCount'),
        reasoning_tokens=thoughts,
        input_audio_tokens=asked.get('AUDIO', 0),
        input_image_tokens=asked.get('IMAGE', 0),
        cache_read_audio_tokens=cached.get('AUDIO', 0) if itemised else None,
        cache_read_image_tokens=cached.get('IMAGE', 0) if itemised else None,
        output_audio_tokens=made.get('AUDIO', 0),
        output_image_tokens=made.get('IMAGE', 0),
    )


def terms(words: Words) -> Terms:
    """The tier that a `usageMetadata` object echoes; absent, it stays unknown."""
    words = _camel(words)
    tier = text(words, 'serviceTier')
    if tier is not None and (tier := tier.lower()) != 'unspecified':
        return Terms(tier=tier)
    traffic = text(words, 'trafficType')
    return Terms(tier=None if traffic is None else _TRAFFIC.get(traffic))


def read_usage(words: Words) -> Reading:
    """What a `usageMetadata` object says; not which of Google's tools ran, and how often.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    ran = count(_camel(words), 'toolUsePromptTokenCount')
    return Reading(usage=usage(words), terms=terms(words), doubts=('grounding',) if ran else ())


def answer(body: Words) -> Reading:
    """What a whole answer, or a stream's last chunk, says.

    Raises:
        UsageError: Its counts contradict each other.
    """
    words = inner(body, 'usageMetadata')
    candidates = objects(body.get('candidates'))
    ends = [end for one in candidates if (end := text(one, 'finishReason')) is not None]
    blocked = text(inner(body, 'promptFeedback'), 'blockReason')
    reading = Reading(
        usage=usage(words) if words else None,
        model=text(body, 'modelVersion'),
        response_id=text(body, 'responseId'),
        terms=terms(words),
        finish=ends[0] if ends else blocked,
        complete=bool(ends) or blocked is not None,
        output_chars=sum(chars_of(inner(one, 'content')) for one in candidates),
    )
    return _grounded(reading, candidates)


class Stream(EventStream):
    """Reads a streamed answer: its last chunk with counts, and those that name searches."""

    __slots__ = ('_chars', '_grounds', '_last')

    def __init__(self) -> None:
        super().__init__()
        self._last = b''
        self._grounds: list[Words] = []
        self._chars = 0

    def event(self, name: bytes, data: bytes) -> None:  # noqa: ARG002 - Gemini names no events
        """Take one chunk; it is kept unparsed until a later one replaces it."""
        self._chars += string_bytes(data, _DELTA)
        if b'"usageMetadata"' in data or not self._last:
            self._last = data
        if b'"groundingMetadata"' in data:
            self._grounds += objects(self.parse(data).get('candidates'))

    def reading(self) -> Reading:
        """What the stream has said so far."""
        self.end()
        reading = answer(self.parse(self._last) if self._last else {})
        reading = replace(reading, output_chars=self._chars)
        if not reading.complete and reading.usage is not None:
            # Counts of a chunk that is not the last are only those so far.
            return reading
        return _grounded(reading, self._grounds)


def request(body: Words) -> Request:
    """What a request says about itself; its address names the model and asks for the stream."""
    limit = inner(body, 'generationConfig').get('maxOutputTokens')
    tier = text(body, 'serviceTier')
    tools: list[str] = []
    for tool in objects(body.get('tools')):
        for kind in tool:
            declared = objects(tool[kind]) if kind == 'functionDeclarations' else []
            tools += [str(one.get('name')) for one in declared] or [kind]
    return Request(
        model=text(body, 'model'),
        terms=Terms(tier=None if tier is None else tier.lower()),
        max_tokens=limit if type(limit) is int else None,
        tools=tuple(tools),
    )


def refine(reading: Reading, body: Words) -> Reading:  # noqa: ARG001 - one signature for all
    """The reading as it is: Gemini's answers say all that their requests know."""
    return reading


def blocks(body: Words) -> Iterator[Piece]:
    """The pieces of the prefix: tools, system instruction, contents."""
    for number, tool in enumerate(objects(body.get('tools'))):
        yield piece('t', number, 'tool', tool)
    yield from pieces_of('s', None, 'system', _parts(body.get('systemInstruction')))
    for number, content in enumerate(objects(body.get('contents'))):
        yield from pieces_of('m', number, str(content.get('role', 'user')), _parts(content))


def chars(body: Words) -> int:
    """Characters of all texts in a request."""
    return sum(chars_of(body.get(part)) for part in ('tools', 'systemInstruction', 'contents'))


def last_text(body: Words) -> str:
    """The text of the last user content that has one."""
    for content in reversed(objects(body.get('contents'))):
        if content.get('role', 'user') == 'user':
            found = ''.join(text(part, 'text') or '' for part in objects(_parts(content)))
            if found:
                return found
    return ''


def _parts(content: object) -> object:
    return content.get('parts') if isinstance(content, Mapping) else content


def _camel(words: Words) -> Words:
    if any('_' in name for name in words):
        return {_SNAKE.sub(lambda found: found[1].upper(), name): words[name] for name in words}
    return words


def _modes(words: Words, *names: str) -> dict[str, int]:
    """Tokens by modality over the named lists."""
    modes: dict[str, int] = {}
    for one in (_camel(one) for name in names for one in objects(words.get(name))):
        mode = str(getattr(one.get('modality'), 'value', one.get('modality')))
        modes[mode] = modes.get(mode, 0) + count(one, 'tokenCount')
    return modes


def _grounded(reading: Reading, candidates: list[Words]) -> Reading:
    """Count searches: newer models bill each query, older ones each grounded prompt.

    A daily or monthly allowance is free, so what one search costs stays in doubt.
    https://ai.google.dev/gemini-api/docs/pricing
    """
    queries: set[str] = set()
    for one in candidates:
        asked = inner(one, 'groundingMetadata').get('webSearchQueries')
        queries |= {query for query in asked or [] if isinstance(query, str) and query}
    if reading.usage is None or not queries:
        return reading
    uses = {'grounding': 1, 'grounding_query': len(queries)}
    used = replace(reading.usage, tool_uses=uses)
    return replace(reading, usage=used, doubts=('grounding',))


GENERATE_CONTENT = Reader(
    answer=answer,
    usage=read_usage,
    stream=Stream,
    request=request,
    refine=refine,
    blocks=blocks,
    chars=chars,
    last_text=last_text,
)
