"""What the simulated batches answer, beside the providers' OpenAPI documents."""

import functools
import json

import httpx
import pytest

from farthing_sim import BatchRules

from . import openapi
from .batched import chat, message

pytestmark = [openapi.needed, pytest.mark.xdist_group('recordings')]
pytest.importorskip('jsonschema', reason='jsonschema is not installed')

FATES = {'0': 'expired', '1': 'canceled', '2': 400, '3': 429, '4': 500, '5': 529}
RULES = BatchRules(validating_s=10, processing_s=100, finalizing_s=10, cancelling_s=10)


@pytest.fixture
def http(sim, clock):
    sim.reset(batches=RULES)
    clock.set(1_800_000_000)
    headers = {'authorization': 'Bearer any'}
    with httpx.Client(base_url=sim.openai_url, headers=headers, timeout=60) as client:
        yield client


def wrong(provider, schema, value):
    return list(openapi.faults_of(provider, schema, value))


def test_message_batches_are_as_documented_in_every_state(sim, clock, http):
    sim.fault(on='anthropic_batches.create', lines=FATES)
    invalid = functools.partial(wrong, 'anthropic')
    requests = [message(i) for i in range(8)]
    made = http.post('/messages/batches', json={'requests': requests}).json()
    cancelled = http.post('/messages/batches', json={'requests': requests}).json()
    canceling = http.post(f'/messages/batches/{cancelled["id"]}/cancel').json()
    clock.advance(110)
    listed = http.get('/messages/batches').json()
    lines = http.get(f'/messages/batches/{made["id"]}/results').text.splitlines()
    deleted = http.delete(f'/messages/batches/{made["id"]}').json()
    lost = http.get(f'/messages/batches/{made["id"]}').json()

    assert ['ended', 'ended'] == [batch['processing_status'] for batch in listed['data']]
    assert [] == [*invalid('MessageBatch', made), *invalid('MessageBatch', canceling)]
    assert [] == invalid('ListResponse_MessageBatch_', listed)
    assert [] == invalid('DeleteMessageBatchResponse', deleted)
    assert [] == invalid('ErrorResponse', lost)
    assert 8 == len(lines)
    for line in map(json.loads, lines):
        if answer := line['result'].get('message'):
            assert [] == list(openapi.errors('messages', answer))
            assert 'batch' == answer['usage']['service_tier']
        else:
            assert [] == invalid('MessageBatchIndividualResponse', line)


def told(value):
    """An object without its nulls: the document forbids what its own examples show."""
    return {key: item for key, item in value.items() if item is not None}


def test_files_and_batches_are_as_documented_in_every_state(sim, clock, http):
    invalid = functools.partial(wrong, 'openai')
    upload = {'file': ('in.jsonl', '\n'.join(json.dumps(chat(i)) for i in range(8)))}
    file = http.post('/files', files=upload, data={'purpose': 'batch'}).json()
    asked = {
        'input_file_id': file['id'], 'endpoint': '/v1/chat/completions',
        'completion_window': '24h', 'metadata': {'job': 'nightly'},
    }  # fmt: skip
    sim.fault(on='openai_batches.create', lines=FATES)
    sim.fault(on='openai_batches.create', queue_full=True)
    sim.fault(on='openai_batches.create', stalls_after=3)
    ids = [http.post('/batches', json=asked).json()['id'] for _ in range(4)]
    seen = {}
    for wait_s in (0, 10, 50, 55, 10, 86_400):
        clock.advance(wait_s)
        if wait_s == 10:
            http.post(f'/batches/{ids[-1]}/cancel')
        for batch in (http.get(f'/batches/{one}').json() for one in ids):
            seen[batch['status']] = batch
    listed = http.get('/batches').json()
    files = http.get('/files').json()

    assert {
        'validating', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling',
        'cancelled',
    } == seen.keys()  # fmt: skip
    for batch in (*seen.values(), *listed['data']):
        assert [] == invalid('Batch', told(batch))
    for one in files['data']:
        assert [] == invalid('OpenAIFile', told(one))
    assert [] == invalid('ListBatchesResponse', listed | {'data': []})
    assert [] == invalid('ListFilesResponse', files | {'data': []})
    assert [] == invalid('DeleteFileResponse', http.delete(f'/files/{file["id"]}').json())
    assert [] == invalid('ErrorResponse', http.get(f'/files/{file["id"]}').json())


def test_the_lines_of_openais_files_hold_documented_answers(sim, http):
    sim.reset()
    sim.fault(on='openai_batches.create', lines={'0': 500})
    upload = {'file': ('in.jsonl', '\n'.join(json.dumps(chat(i)) for i in range(3)))}
    asked = {'endpoint': '/v1/chat/completions', 'completion_window': '24h'}
    asked['input_file_id'] = http.post('/files', files=upload, data={'purpose': 'batch'}).json()[
        'id'
    ]
    made = http.post('/batches', json=asked).json()
    batch = http.get(f'/batches/{made["id"]}').json()
    output, failed = (
        [json.loads(line)['response']['body'] for line in text.splitlines()]
        for text in (
            http.get(f'/files/{batch[key]}/content').text
            for key in ('output_file_id', 'error_file_id')
        )
    )

    assert (2, 1) == (len(output), len(failed))
    assert [] == [error for body in output for error in openapi.errors('chat/completions', body)]
    assert [] == wrong('openai', 'ErrorResponse', failed[0])
