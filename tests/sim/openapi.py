"""The providers' OpenAPI documents: what of an answer they do not allow.

They lie beside the repository; tests that use them skip where they are not.
"""

import base64
import functools
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

SPECS = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'specs'

needed = pytest.mark.skipif(not SPECS.is_dir(), reason=f'no OpenAPI documents at {SPECS}')

SCHEMAS = {
    'messages': ('anthropic', 'Message', 'MessageStreamEvent'),
    'messages/count_tokens': ('anthropic', 'BetaCountMessageTokensResponse', None),
    'chat/completions': (
        'openai', 'CreateChatCompletionResponse', 'CreateChatCompletionStreamResponse',
    ),
    'responses': ('openai', 'Response', 'ResponseStreamEvent'),
    'embeddings': ('openai', 'CreateEmbeddingResponse', None),
}  # fmt: skip

# Known false alarms: keys that the document calls required and the real answers leave out...
LEFT_OUT = {
    'messages': {
        'message': {'container': None},
        'text': {'citations': None},
        'usage': {'server_tool_use': None},
        'delta': {'container': None},
    },
    'messages/count_tokens': {'count': {'context_management': None}},
    'responses': {
        'response.function_call_arguments.done': {'name': ''},
        'web_search_call': {'action': {'type': 'search', 'query': ''}},
    },
}
# ... and keys whose null the document forbids and the real answers send.
NULL_ALTHOUGH_FORBIDDEN = {
    'chat/completions': ('usage',),
    'responses': ('usage', 'user', 'description'),
}


def errors(api: str, part: dict) -> Iterator[tuple[str, str]]:
    """Where a part of an answer is not as its API's document says, and why."""
    provider, whole, event = SCHEMAS[api]
    streamed = event and (part.get('object') == 'chat.completion.chunk' or _is_event(api, part))
    yield from faults_of(provider, event if streamed else whole, _without_false_alarms(api, part))


def faults_of(provider: str, schema: str, value: dict) -> Iterator[tuple[str, str]]:
    """Where a value is not as a schema of a provider's document says, and why."""
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - only where it is installed

    for error in _validator(provider, schema).iter_errors(value):
        closest = best_match([error])
        yield '/'.join(map(str, closest.absolute_path)), closest.message[:200]


def _is_event(api: str, part: dict) -> bool:
    return api != 'chat/completions' and part.get('type', 'message') != 'message'


def _without_false_alarms(api: str, part: dict) -> dict:
    if api == 'embeddings':
        return part | {'data': [_decoded(item) for item in part['data']]}
    if api == 'messages/count_tokens':
        return part | LEFT_OUT[api]['count']
    return _repaired(part, LEFT_OUT.get(api, {}), NULL_ALTHOUGH_FORBIDDEN.get(api, ()), '')


def _decoded(item: dict) -> dict:
    """A vector in base64 is told of in the document's text, not in its schema."""
    if isinstance(item['embedding'], list):
        return item
    packed = base64.b64decode(item['embedding'])
    return item | {'embedding': list(struct.unpack(f'<{len(packed) // 4}f', packed))}


def _repaired(value, left_out, nulls, key):
    if isinstance(value, list):
        return [_repaired(item, left_out, nulls, '') for item in value]
    if not isinstance(value, dict):
        return value
    if key == 'tools':
        return value
    kind = value.get('type', '')
    message_delta = key == 'delta' and 'stop_reason' in value
    name = key if key == 'usage' or message_delta else kind
    kept = {k: v for k, v in value.items() if v is not None or k not in nulls}
    repaired = {k: _repaired(v, left_out, nulls, k) for k, v in kept.items()}
    return left_out.get(name, {}) | repaired


@functools.cache
def _validator(provider: str, schema: str):
    import jsonschema  # noqa: PLC0415 - only where it is installed

    pointer = {'$ref': f'urn:{provider}#/components/schemas/{schema}'}
    return jsonschema.Draft202012Validator(pointer, registry=_registry(provider))


@functools.cache
def _registry(provider: str):
    import referencing  # noqa: PLC0415 - only where it is installed
    import yaml  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    with (SPECS / f'{provider}-openapi.yaml').open() as file:
        document = _json_schema(yaml.load(file, loader))  # noqa: S506 - a safe loader
    resource = referencing.Resource(document, DRAFT202012)
    return referencing.Registry().with_resource(f'urn:{provider}', resource)


def _json_schema(value):
    """OpenAPI 3.0's `nullable` in the words of JSON schema."""
    if isinstance(value, list):
        return [_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: _json_schema(item) for key, item in value.items() if key != 'nullable'}
    if value.get('nullable') is True:
        return {'anyOf': [schema, {'type': 'null'}]}
    return schema
