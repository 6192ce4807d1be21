"""Which requests are billed model calls, by the address that they go to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MESSAGES = 'anthropic_messages'
_CHAT = 'openai_chat'
_RESPONSES = 'openai_responses'
_EMBEDDINGS = 'openai_embeddings'
_GEMINI = 'gemini'

# What the address of a billed call ends with. Token counts, batches, files and models do not bill
# here. A GET of one response is how an answer made in the background is fetched.
_TAILS = (
    (re.compile(r'/messages$'), _MESSAGES),
    (re.compile(r'/(?:chat/)?completions$'), _CHAT),
    (re.compile(r'/responses(?:/compact)?$'), _RESPONSES),
    (re.compile(r'/embeddings$'), _EMBEDDINGS),
    (re.compile(r':(?:generateContent|streamGenerateContent)$'), _GEMINI),
    (re.compile(r'/publishers/anthropic/models/[^/]+:(?:streamRawPredict|rawPredict)$'), _MESSAGES),
    (re.compile(r'/model/[^/]*anthropic\.[^/]+/invoke(?:-with-response-stream)?$'), _MESSAGES),
)  # fmt: skip
_FETCHED = re.compile(r'/responses/resp_[^/]+$')

_HOSTS = (
    (re.compile(r'api\.anthropic\.com'), 'anthropic'),
    (re.compile(r'(?:us\.|eu\.)?api\.openai\.com'), 'openai'),
    (re.compile(r'[^.]+\.openai\.azure\.com'), 'azure'),
    (re.compile(r'[^.]+\.(?:cognitiveservices|services\.ai)\.azure\.com'), 'azure'),
    (re.compile(r'generativelanguage\.googleapis\.com'), 'google'),
    (re.compile(r'(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com'), 'google-vertex'),
    (re.compile(r'aiplatform\.(?:us|eu)\.rep\.googleapis\.com'), 'google-vertex'),
    (re.compile(r'bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com'), 'aws-bedrock'),
)
_OWNERS = {
    _MESSAGES: 'anthropic',
    _CHAT: 'openai',
    _RESPONSES: 'openai',
    _EMBEDDINGS: 'openai',
    _GEMINI: 'google',
}
_OPENAI_REGION = re.compile(r'(us|eu)\.api\.openai\.com')
_BEDROCK_REGION = re.compile(r'bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com')
_VERTEX_REGION = re.compile(
    r'(?:([a-z0-9-]+)-)?aiplatform\.googleapis\.com|aiplatform\.(us|eu)\.rep\.googleapis\.com'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a billed call goes.

    Attributes:
        provider: Who bills it, as in a price book.
        api: The name of the reader for its payloads.
    """

    provider: str
    api: str


def endpoint(
    host: str, path: str, *, method: str = 'POST', listed: bool = False
) -> Endpoint | None:
    """The billed call at an address, `None` where it is none of a known provider.

    Args:
        host: Host name in lower case, without port.
        path: Path, without query.
        method: HTTP method.
        listed: Whether the user listed this address; then the path alone decides, and the
            provider is the one whose API it speaks.
    """
    provider = _provider(host)
    if provider is None and not listed:
        return None
    api = _api(path, method)
    return None if api is None else Endpoint(provider=provider or _OWNERS[api], api=api)


def by_sdk(headers: Mapping[str, str]) -> bool:
    """Whether an SDK of Anthropic or OpenAI sends a request: both are made by one generator."""
    return 'x-stainless-lang' in headers


def region_of(host: str) -> str | None:
    """The region that a host stands for; `None` where it says nothing.

    OpenAI's plain domain and Vertex's are `global`; a regional domain costs more.
    """
    if host == 'api.openai.com':
        return 'global'
    if found := _OPENAI_REGION.fullmatch(host) or _BEDROCK_REGION.fullmatch(host):
        return found[1]
    if found := _VERTEX_REGION.fullmatch(host):
        return found[1] or found[2] or 'global'
    return None


def model_of(path: str) -> str | None:
    """The model that an address names, where the request's body does not.

    Azure's deployments are names of the user's and no models.
    """
    found = re.search(r'/models?/([^/:]+(?::[0-9]+)?)(?:/invoke|:[a-zA-Z]+$)', path)
    return found[1] if found else None


def _provider(host: str) -> str | None:
    for pattern, provider in _HOSTS:
        if pattern.fullmatch(host):
            return provider
    return None


def _api(path: str, method: str) -> str | None:
    if method == 'GET':
        return _RESPONSES if _FETCHED.search(path) else None
    if method != 'POST':
        return None
    for pattern, api in _TAILS:
        if pattern.search(path):
            return api
    return None
