"""The simulator beside the real providers: it takes their clients' requests and answers alike.

Every recorded request that got a 2xx answer is sent to the simulator. Real recordings and the
providers' OpenAPI documents live beside the repository; without them these tests skip.
"""

import functools
import importlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import farthing_sim

from . import openapi

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
CASSETTES = SHARED / 'data' / 'cassettes'
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


@openapi.needed
@pytest.mark.parametrize('api', APIS)
def test_answers_are_valid_by_the_providers_openapi_document(api):
    pytest.importorskip('jsonschema', reason='jsonschema is not installed')
    wrong = defaultdict(int)
    for _, name, _, status, body in replayed():
        if name == api and status == 200:
            for part in _parts(body):
                for error in openapi.errors(api, part):
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
