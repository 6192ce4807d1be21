"""Reads LangChain's usage objects, as plain mappings, where no HTTP answer was seen.

`UsageMetadata` is inclusive, but its details have quirks: langchain-anthropic sets
`cache_creation` to 0 where lifetimes are given, langchain-openai puts the tier before the names of
details (`flex_cache_read`) and adds the rest under the tier's own name, which still holds writes.
The provider's own usage object is preferred where `response_metadata` carries it.
"""

from collections.abc import Iterable, Mapping
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
_TIERED = frozenset({'cache_creation', 'cache_read', 'reasoning'})


def _with_tiers(fields: Mapping[str, str]) -> Mapping[str, str]:
    tiered = {f'{t}_{name}': fields[name] for t in _TIERS for name in _TIERED & fields.keys()}
    return {**fields, **tiered}


# LangChain's names of details, and our fields.
_READ = _with_tiers(
    {
        'cache_creation': 'cache_write_tokens',
        'cache_read': 'cache_read_tokens',
        'ephemeral_5m_input_tokens': 'cache_write_5m_tokens',
        'ephemeral_1h_input_tokens': 'cache_write_1h_tokens',
        'audio': 'input_audio_tokens',
        'image': 'input_image_tokens',
    }
)
_MADE = _with_tiers(
    {
        'reasoning': 'reasoning_tokens',
        'audio': 'output_audio_tokens',
        'image': 'output_image_tokens',
    }
)
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


_USAGE = frozenset(
    {'input_tokens', 'output_tokens', 'total_tokens', 'input_token_details', 'output_token_details'}
)
_SAID = ('model_provider', 'model_name', 'model', 'service_tier')
_MOST = 10**12


def plainly(usage_metadata: Words, response_metadata: Words) -> dict[str, Any] | None:
    """What `answer` needs of the metadata, where these two say all that there is to say.

    `None` where the provider's own usage object lies there, or a count is lost or no number.
    """
    if 'token_usage' in response_metadata or 'usage' in response_metadata:
        return None
    prompt, output = usage_metadata.get('input_tokens'), usage_metadata.get('output_tokens')
    if not (type(prompt) is type(output) is int and 0 < prompt <= _MOST and output <= _MOST):
        return None
    if not usage_metadata.keys() <= _USAGE:
        return None
    return {name: response_metadata[name] for name in _SAID if name in response_metadata}


def told(usage_metadata: Words, said: Words) -> tuple[Usage | None, str | None, str | None]:
    """The counts, the model and the tier of what `plainly` let through, as `answer` reads them.

    Raises:
        UsageError: The counts contradict each other.
    """
    used, tier = _usage(usage_metadata, text(said, 'model_provider'))
    if tier is None:
        tier = openai.terms(said).tier
    return used, text(said, 'model_name') or text(said, 'model'), tier


def _usage(words: Words, provider: str | None) -> tuple[Usage | None, str | None]:
    """The counts, `None` where they were lost, and the tier that their names tell."""
    prompt, output = needed(words, 'input_tokens'), needed(words, 'output_tokens')
    parts: dict[str, int] = {}
    tier = None
    if read := inner(words, 'input_token_details'):
        _add(parts, read, _READ)
        _join_writes(parts, provider)
        tier = _tier(read)
    if made := inner(words, 'output_token_details'):
        _add(parts, made, _MADE)
        tier = _tier((*read, *made))
    used = Usage(input_tokens=prompt, output_tokens=output, **parts)  # type: ignore[arg-type]
    if words.get('total_tokens') != prompt + output:
        _check_total(words, used)
    return used if prompt else None, tier


def _add(parts: dict[str, int], details: Words, fields: Mapping[str, str]) -> None:
    """Add the details that are given, by our names; a tier's name in front makes no difference."""
    for key, value in details.items():
        field = fields.get(key)
        if field is not None and value is not None:
            number = value if type(value) is int and value >= 0 else count(details, key)
            parts[field] = parts[field] + number if field in parts else number


def _join_writes(parts: dict[str, int], provider: str | None) -> None:
    """Make `cache_write_tokens` the sum of its parts and of what has no lifetime."""
    split = parts.get('cache_write_5m_tokens', 0) + parts.get('cache_write_1h_tokens', 0)
    unsplit = parts.get('cache_write_tokens', 0)
    # Equal counts are the same tokens said twice: older releases kept the total beside its parts.
    unsplit = 0 if unsplit == split else unsplit
    if unsplit or split:
        parts['cache_write_tokens'] = unsplit + split
        if unsplit and provider in _OPENAI:
            parts['cache_write_30m_tokens'] = unsplit


def _tier(details: Iterable[str]) -> str | None:
    """The one tier whose name the details carry; sums over several tiers have none."""
    tiers = _TIERS.intersection(details)
    return next(iter(tiers)) if len(tiers) == 1 else None


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
