"""The simulator beside the real providers: it takes their clients' requests and answers alike.

Every recorded request that got a 2xx answer is sent to the simulator. Real recordings and the
providers' OpenAPI documents live beside the repository; without them these tests skip.
"""

import base64
import functools
import importlib
import json
import struct
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import farthing_sim

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
CASSETTES = SHARED / 'data' / 'cassettes'
SPECS = SHARED / 'data' / 'specs'
APIS = ('messages', 'messages/count_tokens', 'chat/completions', 'responses', 'embeddings')

GOES_ON_FROM_AN_UNRECORDED_ANSWER = [
    'openai-pydantic-ai-test_openai_previous_response_id_auto_mode-b421f0.yaml'
]

pytestmark = [
    pytest.mark.skipif(not CASSETTES.is_dir(), reason=f'no recorded traffic at {CASSETTES}'),
    pytest.mark.xdist_group('recordings'),
]


def test_the_simulator_answers_every_recorded_request_that_was_answered():
    refused = [file for file, _, _, status, _ in replayed() if status != 200]

    print(f'{len(replayed()) - len(refused)} of {len(replayed())} recorded requests answered')  # noqa: T201
    assert GOES_ON_FROM_AN_UNRECORDED_ANSWER == refused


@pytest.mark.parametrize('api', APIS)
def test_answers_have_no_key_and_no_type_that_the_provider_does_not_send(api):
    recorded, simulated = defaultdict(set), defaultdict(set)
    for _, name, answer, status, body in replayed():
        if name == api and status == 200:
            _add_shapes(answer, recorded)
            _add_shapes(body, simulated)

    strange = {key: kinds for key, kinds in simulated.items() if not kinds <= recorded[key]}

    assert simulated
    assert {} == strange


@pytest.mark.skipif(not SPECS.is_dir(), reason=f'no OpenAPI documents at {SPECS}')
@pytest.mark.parametrize('api', APIS)
def test_answers_are_valid_by_the_providers_openapi_document(api):
    pytest.importorskip('jsonschema', reason='jsonschema is not installed')
    wrong = defaultdict(int)
    for _, name, _, status, body in replayed():
        if name == api and status == 200:
            for part in _parts(body):
                for error in _errors(api, _without_false_alarms(api, part)):
                    wrong[error] += 1

    assert {} == wrong


@functools.cache
def replayed():
    """(file, api, recorded answer, status, simulated answer) of each 2xx exchange."""
    cassettes = _cassettes()
    done = []
    with (
        farthing_sim.serving(seed='replayed') as sim,
        httpx.Client(base_url=sim.openai_url, headers={'authorization': 'Bearer any'}) as client,
    ):
        for file in sorted(CASSETTES.rglob('*.yaml*')):
            ids = {}
            for exchange in cassettes.load(file):
                api = urlsplit(exchange['uri']).path.partition('/v1/')[2]
                if api not in APIS or exchange['status'] >= 400:
                    continue
                request = json.loads(exchange['req'])
                # Answers to go on from have other ids here.
                if earlier := request.get('previous_response_id'):
                    request['previous_response_id'] = ids.get(earlier, earlier)
                response = client.post(f'/{api}', json=request)
                ids[_id(exchange['res'])] = _id(response.content)
                done.append(
                    (file.name, api, exchange['res'], response.status_code, response.content)
                )
    return done


def _cassettes():
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        return importlib.import_module('cassette_lib')
    finally:
        sys.path.pop(0)


def _parts(body: bytes) -> list[dict]:
    """The JSON of an answer, or of each event of a streamed one."""
    try:
        return [json.loads(body)]
    except ValueError:
        return list(_cassettes().sse(body))


def _id(body: bytes) -> str | None:
    first = next(iter(_parts(body)), {})
    return first.get('response', first).get('id')


# --- shapes -----------------------------------------------------------------------------------

# Values that repeat the request or follow a schema of the caller's.
OPAQUE = frozenset({'arguments', 'input', 'input_schema', 'metadata', 'schema', 'tools'})


def _add_shapes(body: bytes, shapes: dict) -> None:
    for part in _parts(body):
        event = part.get('type', part.get('object', '')) if not body.startswith(b'{') else ''
        for path, kind in _walk(part, event, ''):
            shapes[path].add(kind)


def _walk(value, path, key):
    yield path, type(value).__name__
    if isinstance(value, dict) and key not in OPAQUE:
        for inner, item in value.items():
            yield from _walk(item, f'{path}.{inner}', inner)
    elif isinstance(value, list) and key not in OPAQUE:
        for item in value:
            kind = item.get('type', '') if isinstance(item, dict) else ''
            yield from _walk(item, f'{path}[{kind}]', '')


# --- OpenAPI ----------------------------------------------------------------------------------

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
    import referencing  # noqa: PLC0415
    import yaml  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    with (SPECS / f'{provider}-openapi.yaml').open() as file:
        document = _json_schema(yaml.load(file, loader))  # noqa: S506 - a safe loader
    registry = referencing.Registry().with_resource(
        f'urn:{provider}', referencing.Resource(document, DRAFT202012)
    )
    pointer = {'$ref': f'urn:{provider}#/components/schemas/{schema}'}
    return jsonschema.Draft202012Validator(pointer, registry=registry)


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


def _errors(api: str, part: dict):
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - only where it is installed

    provider, whole, event = SCHEMAS[api]
    streamed = event and (part.get('object') == 'chat.completion.chunk' or _is_event(api, part))
    for error in _validator(provider, event if streamed else whole).iter_errors(part):
        closest = best_match([error])
        yield '/'.join(map(str, closest.absolute_path)), closest.message[:200]


def _is_event(api: str, part: dict) -> bool:
    return api != 'chat/completions' and part.get('type', 'message') != 'message'
