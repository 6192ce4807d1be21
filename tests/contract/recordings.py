"""The recorded exchanges, and what each of them billed, in the providers' own words.

The expectation shares nothing with the readers under test: it is written down here from the
recorded usage object, answer and request. Real recordings live beside the repository.
"""

import functools
import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from farthing import Terms, Usage

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
CASSETTES = SHARED / 'data' / 'cassettes'

_APIS = (
    (re.compile(r'POST /v1/messages'), 'anthropic_messages'),
    (re.compile(r'POST /v1/chat/completions'), 'openai_chat'),
    (re.compile(r'POST /v1/responses(?:/compact)?'), 'openai_responses'),
    (re.compile(r'GET /v1/responses/resp_\w+'), 'openai_responses'),
    (re.compile(r'POST /v1/embeddings'), 'openai_embeddings'),
)  # fmt: skip

# Recordings hold models that the SDKs call deprecated, answers that their types do not know, and
# calls of tools that our simple question does not offer.
KNOWN_WARNINGS = [
    pytest.mark.filterwarnings('ignore:The model .* is deprecated:DeprecationWarning'),
    pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning'),
    pytest.mark.filterwarnings('ignore:Received unexpected tool content block:UserWarning'),
]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One recorded request and its answer.

    Attributes:
        name: File and position.
        method: HTTP method.
        target: Path and query.
        api: The protocol, in our words.
        request: JSON body; empty for a GET.
        answer: The answer's bytes.
        content_type: Of the answer.
        usage: The usage object in the answer; empty where there is none.
        earlier: The exchanges that a GET follows: the request that began the answer in the
            background, and further looks at it.
    """

    name: str
    method: str
    target: str
    api: str
    request: dict[str, Any] = field(repr=False)
    answer: bytes = field(repr=False)
    content_type: str
    usage: dict[str, Any] = field(repr=False)
    earlier: tuple['Exchange', ...] = field(default=(), repr=False)

    @property
    def streamed(self) -> bool:
        return 'text/event-stream' in self.content_type

    @property
    def beta(self) -> bool:
        return 'beta=true' in self.target

    @property
    def model_requested(self) -> str | None:
        return (self.earlier[0] if self.earlier else self).request.get('model')

    @property
    def call_type(self) -> str:
        return 'embeddings' if self.api == 'openai_embeddings' else 'chat'

    @property
    def fetched(self) -> list[str]:
        """The response ids to ask for after the request, until the answer is there."""
        return [self.whole['id'] for _ in self.earlier]

    def marks(self) -> list[dict[str, Any]]:
        """The distinct cache marks of the request."""
        found = {json.dumps(mark, sort_keys=True) for mark in _cache_marks(self.request)}
        return [json.loads(one) for one in sorted(found)]

    @functools.cached_property
    def parts(self) -> list[dict[str, Any]]:
        """The answer's JSON, or that of each of its events."""
        if not self.streamed:
            return [json.loads(self.answer)]
        return [one for one in _library().sse(self.answer) if isinstance(one, dict)]

    @property
    def whole(self) -> dict[str, Any]:
        """The answer as one object: of a stream, the response that its last event repeats."""
        last = self.parts[-1]
        return last.get('response') or last


@dataclass(frozen=True, kw_only=True)
class Billed:
    """What the provider bills for one exchange; one that ran several models bills several.

    Attributes:
        id: The answer's id; `None` where it has none.
        model: The model that served; `None` where the answer does not say.
        usage: Inclusive counts.
        terms: Tier and geography, as the answer says.
        purpose: `user`, or `compaction`.
    """

    id: str | None
    model: str | None
    usage: Usage
    terms: Terms
    purpose: str = 'user'


def _cache_marks(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get('cache_control'), dict):
            yield value['cache_control']
        for inner in value.values():
            yield from _cache_marks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _cache_marks(inner)


@functools.cache
def _library() -> Any:
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        return importlib.import_module('cassette_lib')
    finally:
        sys.path.pop(0)


@functools.cache
def _answered() -> tuple[Exchange, ...]:
    """Every 2xx exchange with one of the four APIs, in order of file and position."""
    found = []
    for file in sorted(CASSETTES.rglob('*.yaml*')):
        begun: dict[str, tuple[Exchange, ...]] = {}
        for position, recorded in enumerate(_library().load(file)):
            address = urlsplit(recorded['uri'])
            called = f'{recorded["method"]} {address.path}'
            api = next((api for form, api in _APIS if form.fullmatch(called)), None)
            if api is None or recorded['status'] // 100 != 2:
                continue
            exchange = Exchange(
                name=f'{file.name.partition(".yaml")[0]}-{position}',
                method=recorded['method'],
                target=address.path + (f'?{address.query}' if address.query else ''),
                api=api,
                request=json.loads(recorded['req']) if recorded['method'] == 'POST' else {},
                answer=recorded['res'],
                content_type=recorded['res_headers']['content-type'],
                usage=_library().usage_of(recorded['res']) or {},
            )
            if api == 'openai_responses':
                key = exchange.whole['id']
                if exchange.method == 'GET':
                    exchange = replace(exchange, earlier=begun[key])
                begun[key] = (*begun.get(key, ()), exchange)
            found.append(exchange)
    return tuple(found)


def billed_exchanges(label: str = '', *, beta: bool | None = None, every: int = 1) -> list[Any]:
    """A test parameter for each exchange whose answer carries usage.

    Args:
        label: Goes into the names, for a test that plays an exchange once more.
        beta: Only those of Anthropic's beta endpoints, or only the others.
        every: Take one of so many.
    """
    return _parameters(lambda one: bool(one.usage) and beta in {None, one.beta}, label)[::every]


def silent_streams() -> list[Any]:
    """A test parameter for each stream of a chat that was not asked to say its usage."""
    return _parameters(lambda one: one.streamed and not one.usage)


def _parameters(wanted: Callable[[Exchange], bool], label: str = '') -> list[Any]:
    if not CASSETTES.is_dir():
        skip = pytest.mark.skip(reason=f'no recorded traffic at {CASSETTES}')
        return [pytest.param(None, id='no recordings', marks=skip)]
    found = (replace(one, name=one.name + label) for one in _answered() if wanted(one))
    return [pytest.param(one, id=one.name) for one in found]


# --- what was billed --------------------------------------------------------------------------


def billed(exchange: Exchange) -> list[Billed]:
    """What an exchange billed: the answer's own usage, then what was billed apart inside it."""
    if exchange.api == 'anthropic_messages':
        return _anthropic(exchange)
    return [_openai(exchange)]


def _anthropic(exchange: Exchange) -> list[Billed]:
    first = exchange.parts[0]
    message = first.get('message') or first
    words = exchange.usage
    tier, geo = words.get('service_tier'), words.get('inference_geo')
    terms = Terms(tier=tier, batch=False, geo=None if geo == 'not_available' else geo)
    rounds = words.get('iterations') or [words]
    own = [one for one in rounds if one.get('type', 'message') == 'message']
    apart = [one for one in rounds if one not in own]
    uses = words.get('server_tool_use') or {}
    usage = functools.reduce(Usage.__add__, (_disjoint(one, exchange) for one in own))
    answer = Billed(
        id=message['id'],
        model=message['model'],
        usage=replace(
            usage,
            reasoning_tokens=(words.get('output_tokens_details') or {}).get('thinking_tokens'),
            tool_uses={name.removesuffix('_requests'): n for name, n in uses.items() if n},
        ),
        terms=terms,
    )
    return [answer] + [
        replace(
            answer,
            usage=_disjoint(one, exchange),
            model=one.get('model') or message['model'],
            purpose='compaction' if one['type'] == 'compaction' else 'user',
        )
        for one in apart
    ]


def _disjoint(words: dict[str, Any], exchange: Exchange) -> Usage:
    """Anthropic's counts, in which cached tokens are no part of the input."""
    read = words.get('cache_read_input_tokens') or 0
    written = words.get('cache_creation_input_tokens') or 0
    split = words.get('cache_creation')
    if written and not split:
        # Older answers do not say how long a write lives: its request does.
        (life,) = {mark.get('ttl', '5m') for mark in exchange.marks()} or {'5m'}
        split = {f'ephemeral_{life}_input_tokens': written}
    split = split or {}
    return Usage(
        input_tokens=words['input_tokens'] + read + written,
        output_tokens=words['output_tokens'],
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_5m_tokens=split.get('ephemeral_5m_input_tokens') or 0,
        cache_write_1h_tokens=split.get('ephemeral_1h_input_tokens') or 0,
    )


_TIERS = {'default': 'standard', 'auto': None}


def _openai(exchange: Exchange) -> Billed:
    words = exchange.usage
    asked, answered = ('prompt_tokens', 'completion_tokens')
    if exchange.api == 'openai_responses':
        asked, answered = ('input_tokens', 'output_tokens')
    read = words.get(f'{asked}_details') or {}
    made = words.get(f'{answered}_details') or {}
    written = read.get('cache_write_tokens') or 0
    usage = Usage(
        input_tokens=words[asked],
        output_tokens=words.get(answered) or 0,
        cache_read_tokens=read.get('cached_tokens') or 0,
        cache_write_tokens=written,
        cache_write_30m_tokens=written,
        reasoning_tokens=made.get('reasoning_tokens'),
        input_audio_tokens=read.get('audio_tokens') or 0,
        input_image_tokens=read.get('image_tokens') or 0,
        output_audio_tokens=made.get('audio_tokens') or 0,
        output_image_tokens=made.get('image_tokens') or 0,
        tool_uses=_openai_tools(exchange),
    )
    heads = [one.get('response') or one for one in exchange.parts]
    tiers = [head['service_tier'] for head in heads if head.get('service_tier')]
    tier = tiers[-1] if tiers else None
    return Billed(
        id=None if exchange.api == 'openai_embeddings' else heads[0]['id'],
        model=heads[0].get('model'),
        usage=usage,
        terms=Terms(tier=_TIERS.get(tier, tier), batch=False),
        purpose='compaction' if heads[0].get('object') == 'response.compaction' else 'user',
    )


def _openai_tools(exchange: Exchange) -> dict[str, int]:
    """Uses of OpenAI's own tools, which its usage object leaves out."""
    if exchange.api == 'openai_chat':
        # A search model searches once for every request.
        return {'web_search_preview': 1} if '-search-' in exchange.whole['model'] else {}
    output = [one for one in exchange.whole.get('output') or [] if isinstance(one, dict)]
    asked = [tool['type'] for tool in exchange.whole.get('tools') or []]
    search = 'web_search_preview' if 'web_search_preview' in asked else 'web_search'
    uses: Counter[str] = Counter()
    containers = set()
    for item in output:
        match item['type']:
            case 'web_search_call':
                action = (item.get('action') or {}).get('type') or 'search'
                uses[search if action == 'search' else f'web_search_{action}'] += 1
            case 'code_interpreter_call':
                containers.add(item['container_id'])
            case 'file_search_call' | 'image_generation_call':
                uses[item['type'].removesuffix('_call')] += 1
    if containers:
        uses['code_interpreter'] = len(containers)
    return dict(uses)
