"""The only place where a provider's own words live: what it sends becomes a `Reading`.

Readers are pure: mappings and bytes in, values with inclusive counts out. What contradicts itself
raises `UsageError`; what is not said stays `None`.
"""

from collections.abc import Mapping
from typing import Any

from farthing.errors import InputError
from farthing.wire import anthropic, gemini, langchain, openai
from farthing.wire.endpoints import Endpoint, by_sdk, endpoint, model_of, region_of
from farthing.wire.reading import Part, Reader, Reading, Request, Stream

READERS: Mapping[str, Reader] = {
    'anthropic_messages': anthropic.MESSAGES,
    'openai_chat': openai.CHAT,
    'openai_responses': openai.RESPONSES,
    'openai_embeddings': openai.EMBEDDINGS,
    'gemini': gemini.GENERATE_CONTENT,
}
_LANGCHAIN = 'langchain_usage_metadata'
APIS = (*READERS, _LANGCHAIN)


def for_api(api: str) -> Reader:
    """The reader of an API that is spoken over HTTP.

    Raises:
        InputError: No such API has this name.
    """
    if api not in READERS:
        raise InputError(f'unknown api {api!r}: expected one of {", ".join(READERS)}')
    return READERS[api]


def usage_from(api: str, payload: Mapping[str, Any], *, provider: str | None = None) -> Reading:
    """What a usage object says, as it was sent: counts, terms, what is billed apart.

    Args:
        api: One of `APIS`.
        payload: The usage object, in the words of that API.
        provider: Who billed it; a framework's usage object does not say.

    Raises:
        InputError: No API has this name.
        UsageError: A count is missing, wrong, or contradicts another.
    """
    if api not in APIS:
        raise InputError(f'unknown api {api!r}: expected one of {", ".join(APIS)}')
    if not isinstance(payload, Mapping):
        raise InputError(f'usage is a {type(payload).__name__}: expected an object')
    if api == _LANGCHAIN:
        return langchain.read_usage(payload, provider=provider)
    return READERS[api].usage(payload)


__all__ = [
    'APIS',
    'READERS',
    'Endpoint',
    'Part',
    'Reader',
    'Reading',
    'Request',
    'Stream',
    'by_sdk',
    'endpoint',
    'for_api',
    'model_of',
    'region_of',
    'usage_from',
]
