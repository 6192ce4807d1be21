"""Reads what LlamaIndex keeps of an answer, where no HTTP answer was seen.

`ChatResponse.raw` is the provider's own object, as a mapping or a model, or only a stream's last
event. Which provider's words it holds is told by the words.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from farthing.wire import anthropic, gemini, openai
from farthing.wire.fields import text
from farthing.wire.reading import Reading

Words = Mapping[str, Any]

_CACHED = ('cache_read_input_tokens', 'cache_creation_input_tokens')


def answer(raw: object, additional_kwargs: Words | None = None) -> Reading:
    """What a `ChatResponse` or `CompletionResponse` says about its own bill.

    A streamed Anthropic answer may lack its cache counts, and its input then lacks the tokens
    too: such a reading is in doubt about `cache`.

    Args:
        raw: The response's `raw`.
        additional_kwargs: The `additional_kwargs` of the response, or of its message.

    Raises:
        UsageError: Its counts contradict each other.
    """
    body = _mapping(raw)
    # The last event of a Responses stream holds the answer; its own fields come first.
    body = {**_mapping(body.get('response')), **body}
    found = [_mapping(body.get(name)) for name in ('usage', 'usageMetadata', 'usage_metadata')]
    found.append(_mapping((additional_kwargs or {}).get('usage')))
    words = next((one for one in found if one), None)
    return replace(
        Reading(usage=None) if words is None else _read(words, body),
        model=text(body, 'model') or text(body, 'model_version') or text(body, 'modelVersion'),
        response_id=text(body, 'id') or text(body, 'response_id') or text(body, 'responseId'),
    )


def _read(words: Words, body: Words) -> Reading:
    if 'promptTokenCount' in words or 'prompt_token_count' in words:
        return gemini.read_usage(words)
    whole = {**body, 'usage': words}
    if 'prompt_tokens' in words:
        return openai.chat_answer(whole)
    if 'total_tokens' in words:
        return openai.responses_answer(whole)
    if not words.get('input_tokens') and not any(words.get(name) for name in _CACHED):
        # The stream's first event held the input, and it is gone.
        return Reading(usage=None)
    reading = anthropic.answer(whole)
    if any(words.get(name) is None for name in _CACHED):
        return replace(reading, doubts=(*reading.doubts, 'cache'))
    return reading


def _mapping(value: object) -> Words:
    """`value` as a mapping: itself with its models as mappings, a model's fields, or empty."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    plain = _plain(value)
    return plain if isinstance(plain, Mapping) else {}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    dump = getattr(value, 'model_dump', None)
    return dump(warnings=False) if callable(dump) else value
