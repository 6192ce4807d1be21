"""OpenAI's SDK and the simulated Files."""

import json

import httpx
import openai
import pytest

from .batched import chat, create, upload

DAY_S = 86_400


@pytest.fixture
def client(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


def counted(batch):
    counts = batch.request_counts
    return counts.total, counts.completed, counts.failed


def test_files_are_kept_listed_and_deleted(sim, client):
    first, second = (upload(client, [chat(0)], name=f'{i}.jsonl') for i in range(2))
    data = client.files.create(file=('d.txt', b'data'), purpose='user_data')

    assert (len(json.dumps(chat(0))), 'batch', '0.jsonl') == (
        first.bytes, first.purpose, first.filename,
    )  # fmt: skip
    assert (30 * DAY_S, None) == (first.expires_at - first.created_at, data.expires_at)
    assert [second.id, first.id] == [file.id for file in client.files.list(purpose='batch')]
    assert [first.id, second.id, data.id] == [f.id for f in client.files.list(order='asc', limit=2)]
    assert b'data' == client.files.content(data.id).read()
    assert client.files.delete(data.id).deleted
    for asked in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=data.id):
            asked(data.id)
    with openai.OpenAI(base_url=sim.openai_url, api_key='other', max_retries=0) as other:
        assert [] == other.files.list().data


def test_files_of_batches_expire(clock, client):
    soon = create(client, 1, output_expires_after={'anchor': 'created_at', 'seconds': 3_600})
    done = client.batches.retrieve(soon.id)
    clock.advance(3_600)
    with pytest.raises(openai.NotFoundError):
        client.files.content(done.output_file_id)
    client.files.retrieve(done.input_file_id)
    clock.advance(30 * DAY_S)

    assert [] == client.files.list().data


def test_a_large_file_is_kept_as_it_came(client):
    lines = b'\n'.join(b'%d %s' % (i, b'x' * 1_000) for i in range(3_000))
    file = client.files.create(file=('large.jsonl', lines), purpose='batch')

    assert len(lines) == file.bytes
    assert lines == client.files.content(file.id).read()


@pytest.mark.parametrize(
    ('given', 'told'),
    [({'files': {'purpose': (None, 'batch')}}, 'file'),
     ({'files': {'file': b'x'}, 'data': {'purpose': 'fun'}}, 'fun'),
     ({'content': b'x'}, 'multipart')],
)  # fmt: skip
def test_an_upload_that_is_none_is_refused(sim, given, told):
    headers = {'authorization': 'Bearer any'}
    refused = httpx.post(f'{sim.openai_url}/files', **given, headers=headers)

    assert 400 == refused.status_code
    assert told in refused.json()['error']['message']
