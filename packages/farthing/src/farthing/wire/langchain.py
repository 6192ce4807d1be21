"""Reads LangChain's usage objects, as plain mappings, where no HTTP answer was seen.

`UsageMetadata` is inclusive, but its details have quirks: langchain-anthropic sets
`cache_creation` to 0 where lifetimes are given, langchain-openai puts the tier before the names of
details (`flex_cache_read`) and adds the rest under the tier's own name, which still holds writes.
The provider's own usage object is preferred where `response_metadata` carries it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import anthropic, openai
from farthing.wire.fields import count, inner, maybe, needed, text
from farthing.wire.reading import Reading

Words = Mapping[str, Any]

_TIERS = ('flex', 'priority')
_OPENAI = frozenset({'openai', 'azure', 'azure_openai'})


def read_usage(words: Words, *, provider: str | None = None) -> Reading:
    """What a `usage_metadata` mapping says.

    No model is asked with nothing: an input of 0 means that the framework lost the count, as
    langchain-anthropic does in streams that report input in their first event only. Such a
    reading has no usage.

    Args:
        words: The message's `usage_metadata`.
        provider: Who billed it, where known: OpenAI's cache writes have one lifetime.

    Raises:
        UsageError: A count is missing, wrong, or contradicts another.
    """
    read, made = inner(words, 'input_token_details'), inner(words, 'output_token_details')
    prompt, output = needed(words, 'input_tokens'), needed(words, 'output_tokens')
    write_5m = count(read, 'ephemeral_5m_input_tokens')
    write_1h = count(read, 'ephemeral_1h_input_tokens')
    unsplit, split = _tiered(read, 'cache_creation') or 0, write_5m + write_1h
    # Equal counts are the same tokens said twice: older releases kept the total beside its parts.
    unsplit = 0 if unsplit == split else unsplit
    used = Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=_tiered(read, 'cache_read') or 0,
        cache_write_tokens=unsplit + split,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        cache_write_30m_tokens=unsplit if provider in _OPENAI else 0,
        reasoning_tokens=_tiered(made, 'reasoning'),
        input_audio_tokens=count(read, 'audio'),
        input_image_tokens=count(read, 'image'),
        output_audio_tokens=count(made, 'audio'),
        output_image_tokens=count(made, 'image'),
    )
    _check_total(words, used)
    return Reading(usage=used if prompt else None, terms=Terms(tier=_tier(read, made)))


def answer(usage_metadata: Words | None, response_metadata: Words) -> Reading:
    """What a message says about its own bill.

    Args:
        usage_metadata: The message's `usage_metadata`, `None` where it has none.
        response_metadata: The message's `response_metadata`.

    Raises:
        UsageError: Its counts contradict each other.
    """
    provider = text(response_metadata, 'model_provider')
    reading = _raw(response_metadata, provider)
    if reading is None:
        reading = Reading(usage=None)
        if usage_metadata:
            reading = read_usage(usage_metadata, provider=provider)
        if reading.terms.tier is None:
            reading = replace(reading, terms=openai.terms(response_metadata))
    finish = text(response_metadata, 'stop_reason') or text(response_metadata, 'finish_reason')
    return replace(
        reading,
        model=text(response_metadata, 'model_name') or text(response_metadata, 'model'),
        response_id=text(response_metadata, 'id'),
        finish=finish or text(response_metadata, 'status'),
    )


def _raw(words: Words, provider: str | None) -> Reading | None:
    """The reading of the provider's own usage object, where the framework kept it."""
    if provider == 'anthropic' and (raw := inner(words, 'usage')):
        model = text(words, 'model_name') or text(words, 'model')
        return anthropic.read_usage(raw, model=model)
    raw = inner(words, 'token_usage')
    if provider in _OPENAI and raw.get('prompt_tokens') is not None:
        return Reading(usage=openai.chat_usage(raw), terms=openai.terms(words))
    return None


def _tiered(words: Words, name: str) -> int | None:
    """A detail under its own name and behind each tier's, added; `None` if none is given."""
    counts = [maybe(words, key) for key in (name, *(f'{tier}_{name}' for tier in _TIERS))]
    said = [number for number in counts if number is not None]
    return sum(said) if said else None


def _tier(read: Words, made: Words) -> str | None:
    """The one tier whose name the details carry; sums over several tiers have none."""
    tiers = [tier for tier in _TIERS if tier in read or tier in made]
    return tiers[0] if len(tiers) == 1 else None


def _check_total(words: Words, used: Usage) -> None:
    total = maybe(words, 'total_tokens')
    added = used.input_tokens + used.output_tokens
    # Bedrock's own total, which langchain-aws passes on, may leave out cached tokens.
    cached = used.cache_read_tokens + used.cache_write_tokens
    if total is not None and total not in {added, added - cached}:
        raise UsageError(
            f'`total_tokens` is {total}, but input and output add up to {added}: '
            'which of them was billed is unknown'
        )
