"""OpenAI's SDK and the simulated Files and Batches: states, limits, faults, charges."""

import json

import openai
import pytest


@pytest.fixture
def client(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


def request(position, url='/v1/chat/completions', **body):
    said = [{'role': 'user', 'content': f'Hello {position}'}]
    asked = {'model': 'gpt-4o-mini', 'messages': said} | body
    return {'custom_id': f'r-{position}', 'method': 'POST', 'url': url, 'body': asked}


def uploaded(client, requests, name='in.jsonl'):
    lines = '\n'.join(map(json.dumps, requests)).encode()
    return client.files.create(file=(name, lines), purpose='batch')


def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client):
    file = uploaded(client, [request(i) for i in range(3)])
    batch = client.batches.create(
        input_file_id=file.id, endpoint='/v1/chat/completions', completion_window='24h',
        metadata={'job': 'nightly'},
    )  # fmt: skip
    assert ('validating', {'job': 'nightly'}) == (batch.status, batch.metadata)

    done = client.batches.retrieve(batch.id)
    lines = client.files.content(done.output_file_id).text.splitlines()
    results = {line['custom_id']: line['response'] for line in map(json.loads, lines)}

    assert ('completed', 3, None) == (done.status, done.request_counts.completed, done.errors)
    called = client.chat.completions.create(**request(0)['body']).model_dump(exclude={'id'})
    answered = results['r-0']['body']
    assert called['choices'][0]['message']['content'] == answered['choices'][0]['message']['content']
    assert ('default', 200) == (answered['service_tier'], results['r-0']['status_code'])
    assert [None, 'r-0', 'r-1', 'r-2'] == [charge['custom_id'] for charge in sim.charges()]
