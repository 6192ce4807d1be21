"""The only place where a provider's own words live: what it sends becomes a `Reading`.

Readers are pure: mappings and bytes in, values with inclusive counts out. What contradicts itself
raises `UsageError`; what is not said stays `None`.
"""

from collections.abc import Mapping
from typing import Any

from farthing.errors import InputError
from farthing.wire import anthropic, openai
from farthing.wire.endpoints import Endpoint, endpoint, model_of, region_of
from farthing.wire.reading import Part, Reader, Reading, Request, Stream

READERS: Mapping[str, Reader] = {
    'anthropic_messages': anthropic.MESSAGES,
    'openai_chat': openai.CHAT,
    'openai_responses': openai.RESPONSES,
    'openai_embeddings': openai.EMBEDDINGS,
}


def for_api(api: str) -> Reader:
    """The reader of an API.

    Raises:
        InputError: No API has this name.
    """
    if api not in READERS:
        raise InputError(f'unknown api {api!r}: expected one of {", ".join(sorted(READERS))}')
    return READERS[api]


def usage_from(api: str, payload: Mapping[str, Any]) -> Reading:
    """What a usage object says, as the provider sent it: counts, terms, what is billed apart.

    Raises:
        InputError: No API has this name.
        UsageError: A count is missing, wrong, or contradicts another.
    """
    return for_api(api).usage(payload)


__all__ = [
    'READERS',
    'Endpoint',
    'Part',
    'Reader',
    'Reading',
    'Request',
    'Stream',
    'endpoint',
    'for_api',
    'model_of',
    'region_of',
    'usage_from',
]
