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

_TIERS = frozenset({'flex', 'priority'})
_TIERED = ('cache_creation', 'cache_read', 'reasoning')
_PLAIN = ('ephemeral_5m_input_tokens', 'ephemeral_1h_input_tokens', 'audio', 'image')
_NAMES = {name: name for name in (*_TIERED, *_PLAIN)} | {
    f'{tier}_{name}': name for tier in _TIERS for name in _TIERED
}
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
    used, tier = _usage(words, provider)
    return Reading(usage=used, terms=Terms(tier=tier))


def answer(usage_metadata: Words | None, response_metadata: Words) -> Reading:
    """What a message says about its own bill.

    Args:
        usage_metadata: The message's `usage_metadata`, `None` where it has none.
        response_metadata: The message's `response_metadata`.

    Raises:
        UsageError: Its counts contradict each other.
    """
    words = response_metadata
    provider = text(words, 'model_provider')
    model = text(words, 'model_name') or text(words, 'model')
    if provider == 'anthropic' and (raw := inner(words, 'usage')):
        # The provider's own usage object, where the framework kept it; so below.
        reading = anthropic.read_usage(raw, model=model)
        return replace(reading, model=model, response_id=text(words, 'id'))
    raw = inner(words, 'token_usage') if provider in _OPENAI else {}
    used, tier = None, None
    if raw.get('prompt_tokens') is not None:
        used = openai.chat_usage(raw)
    elif usage_metadata:
        used, tier = _usage(usage_metadata, provider)
    return Reading(
        usage=used,
        model=model,
        response_id=text(words, 'id'),
        terms=openai.terms(words) if tier is None else Terms(tier=tier),
    )


def _usage(words: Words, provider: str | None) -> tuple[Usage | None, str | None]:
    """The counts, `None` where they were lost, and the tier that their names tell."""
    read = inner(words, 'input_token_details')
    made = inner(words, 'output_token_details')
    given, shown = _by_name(read), _by_name(made)
    prompt, output = needed(words, 'input_tokens'), needed(words, 'output_tokens')
    write_5m = given.get('ephemeral_5m_input_tokens', 0)
    write_1h = given.get('ephemeral_1h_input_tokens', 0)
    unsplit, split = given.get('cache_creation', 0), write_5m + write_1h
    # Equal counts are the same tokens said twice: older releases kept the total beside its parts.
    unsplit = 0 if unsplit == split else unsplit
    used = Usage(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=given.get('cache_read', 0),
        cache_write_tokens=unsplit + split,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        cache_write_30m_tokens=unsplit if provider in _OPENAI else 0,
        reasoning_tokens=shown.get('reasoning'),
        input_audio_tokens=given.get('audio', 0),
        input_image_tokens=given.get('image', 0),
        output_audio_tokens=shown.get('audio', 0),
        output_image_tokens=shown.get('image', 0),
    )
    _check_total(words, used)
    return used if prompt else None, _tier(read, made)


def _by_name(details: Words) -> dict[str, int]:
    """The details that are given, those behind a tier's name added to their own."""
    counts: dict[str, int] = {}
    for key, value in details.items():
        name = _NAMES.get(key)
        if name is not None and value is not None:
            counts[name] = counts.get(name, 0) + count(details, key)
    return counts


def _tier(read: Words, made: Words) -> str | None:
    """The one tier whose name the details carry; sums over several tiers have none."""
    if _TIERS.isdisjoint(read) and _TIERS.isdisjoint(made):
        return None
    tiers = _TIERS.intersection((*read, *made))
    return next(iter(tiers)) if len(tiers) == 1 else None


def _check_total(words: Words, used: Usage) -> None:
    total = maybe(words, 'total_tokens')
    added = used.input_tokens + used.output_tokens
    if total == added:
        return
    # Bedrock's own total, which langchain-aws passes on, may leave out cached tokens.
    cached = used.cache_read_tokens + used.cache_write_tokens
    if total is not None and total not in {added, added - cached}:
        raise UsageError(
            f'`total_tokens` is {total}, but input and output add up to {added}: '
            'which of them was billed is unknown'
        )
