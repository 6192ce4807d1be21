"""OpenAI's SDK and the simulated Files and Batches: states, limits, faults, charges."""

import json
from collections import Counter

import httpx
import openai
import pytest

from farthing_sim import BatchRules

DAY_S = 86_400
CHAT = '/v1/chat/completions'
BODIES = {
    CHAT: {'model': 'gpt-4o-mini', 'messages': [{'role': 'user', 'content': 'Hello'}]},
    '/v1/responses': {'model': 'gpt-4o-mini', 'input': 'Hello'},
    '/v1/embeddings': {'model': 'text-embedding-3-small', 'input': ['Hello', 'you']},
}


@pytest.fixture
def client(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


def request(position, url=CHAT, **body):
    said = {'body': BODIES[url] | body}
    return {'custom_id': f'r-{position}', 'method': 'POST', 'url': url} | said


def upload(client, requests, name='in.jsonl'):
    lines = '\n'.join(map(json.dumps, requests)).encode()
    return client.files.create(file=(name, lines), purpose='batch')


@pytest.fixture
def create(client):
    def creating(requests, endpoint=CHAT, **more):
        requests = [request(i) for i in range(requests)] if isinstance(requests, int) else requests
        return client.batches.create(
            input_file_id=upload(client, requests).id,
            endpoint=endpoint,
            completion_window='24h',
            **more,
        )

    return creating


def lines_of(client, file_id):
    if file_id is None:
        return []
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def counted(batch):
    counts = batch.request_counts
    return counts.total, counts.completed, counts.failed


def billed(sim):
    return [charge['custom_id'] for charge in sim.charges() if charge['batch_id']]


# --- states -----------------------------------------------------------------------------------


@pytest.mark.parametrize('endpoint', BODIES)
def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client, create, endpoint):
    batch = create([request(i, endpoint) for i in range(3)], endpoint, metadata={'job': 'night'})
    assert ('validating', {'job': 'night'}, None) == (batch.status, batch.metadata, batch.model)

    done = client.batches.retrieve(batch.id)
    lines = lines_of(client, done.output_file_id)

    assert ('completed', (3, 3, 0), None) == (done.status, counted(done), done.error_file_id)
    assert {'r-0', 'r-1', 'r-2'} == {line['custom_id'] for line in lines}
    assert [(200, None)] * 3 == [(line['response']['status_code'], line['error']) for line in lines]
    called = httpx.post(
        f'{sim.url}{endpoint}', json=BODIES[endpoint], headers={'authorization': 'Bearer any'}
    ).json()
    answered = lines[0]['response']['body']
    assert called['usage'] == answered['usage']
    assert called.get('choices', called.get('data')) == answered.get(
        'choices', answered.get('data')
    )
    # Nothing in the body tells that a batch answered it.
    assert called.get('service_tier') == answered.get('service_tier') != 'batch'
    assert ['r-0', 'r-1', 'r-2'] == billed(sim)
    assert done.usage.total_tokens == sum(c['usage']['total_tokens'] for c in sim.charges()[1:])


def test_a_batch_goes_through_its_states_by_the_clock(sim, clock, client, create):
    sim.reset(batches=BatchRules(validating_s=10, processing_s=100, finalizing_s=10))
    clock.set(1_800_000_000)
    batch = create(10)
    seen = []
    for wait_s in (5, 5, 50, 50, 10):
        clock.advance(wait_s)
        now = client.batches.retrieve(batch.id)
        seen.append((now.status, counted(now), len(billed(sim)), now.output_file_id is None))

    assert [
        ('validating', (0, 0, 0), 0, True),
        ('in_progress', (10, 0, 0), 0, True),
        ('in_progress', (10, 5, 0), 5, True),
        ('finalizing', (10, 10, 0), 10, True),
        ('completed', (10, 10, 0), 10, False),
    ] == seen
    assert [10, 110, 120, DAY_S] == [
        at - now.created_at
        for at in (now.in_progress_at, now.finalizing_at, now.completed_at, now.expires_at)
    ]
    assert 120 == client.files.retrieve(now.output_file_id).created_at - now.created_at


def test_what_a_batch_does_not_answer_in_a_day_expires(sim, clock, client, create):
    sim.fault(on='openai_batches.create', stalls_after=2)
    batch = create(5)
    clock.advance(DAY_S - 1)
    assert 'in_progress' == client.batches.retrieve(batch.id).status
    clock.advance(1)
    expired = client.batches.retrieve(batch.id)

    assert ('expired', (5, 2, 0)) == (expired.status, counted(expired))
    assert expired.expires_at == expired.expired_at
    assert {'r-0', 'r-1'} == {
        line['custom_id'] for line in lines_of(client, expired.output_file_id)
    }
    assert Counter({('batch_expired', None): 3}) == Counter(
        (line['error']['code'], line['response'])
        for line in lines_of(client, expired.error_file_id)
    )
    assert ['r-0', 'r-1'] == billed(sim)


@pytest.mark.parametrize(('more', 'completed'), [(0, 5), (2, 7), (20, 10)])
def test_a_cancelled_batch_keeps_what_was_answered_and_may_answer_more(
    sim, clock, client, create, more, completed
):
    sim.reset(batches=BatchRules(processing_s=100, cancelling_s=600))
    clock.set(1_800_000_000)
    sim.fault(on='openai_batches.create', cancel_completes=more)
    batch = create(10)
    clock.advance(50)
    cancelling = client.batches.cancel(batch.id)
    clock.advance(600)
    cancelled = client.batches.retrieve(batch.id)

    assert ('cancelling', 'cancelled') == (cancelling.status, cancelled.status)
    assert (50, 650) == tuple(
        at - batch.created_at for at in (cancelled.cancelling_at, cancelled.cancelled_at)
    )
    assert (10, completed, 0) == counted(cancelled)
    assert completed == len(lines_of(client, cancelled.output_file_id)) == len(billed(sim))
    assert ['batch_cancelled'] * (10 - completed) == [
        line['error']['code'] for line in lines_of(client, cancelled.error_file_id)
    ]
    with pytest.raises(openai.ConflictError, match="with status 'cancelled'"):
        client.batches.cancel(batch.id)


def test_a_batch_is_cancelled_before_it_was_checked(sim, clock, client, create):
    sim.reset(batches=BatchRules(validating_s=60))
    clock.set(1_800_000_000)
    batch = create(2)
    client.batches.cancel(batch.id)
    cancelled = client.batches.retrieve(batch.id)

    assert ('cancelled', None, (2, 0, 0)) == (
        cancelled.status, cancelled.output_file_id, counted(cancelled),
    )  # fmt: skip
    assert [] == billed(sim)


def test_two_batches_of_one_file_are_billed_twice(sim, client, create):
    first = create(1)
    second = client.batches.create(
        input_file_id=first.input_file_id, endpoint=CHAT, completion_window='24h'
    )

    assert {first.id, second.id} == {charge['batch_id'] for charge in sim.charges()}


# --- files ------------------------------------------------------------------------------------


def test_files_are_kept_listed_and_deleted(sim, client):
    first, second = (upload(client, [request(0)], name=f'{i}.jsonl') for i in range(2))
    data = client.files.create(file=('d.txt', b'data'), purpose='user_data')

    assert (len(json.dumps(request(0))), 'batch', '0.jsonl') == (
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


def test_files_of_batches_expire(clock, client, create):
    soon = create(1, output_expires_after={'anchor': 'created_at', 'seconds': 3_600})
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


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('wrong', 'param'),
    [({'endpoint': '/v1/fun'}, 'endpoint'), ({'completion_window': '1h'}, 'completion_window'),
     ({'input_file_id': 'file-none'}, 'input_file_id'),
     ({'metadata': {str(i): '' for i in range(17)}}, 'metadata'),
     ({'metadata': {'k' * 65: ''}}, 'metadata'), ({'metadata': {'k': 'v' * 513}}, 'metadata')],
)  # fmt: skip
def test_a_batch_that_is_none_is_refused_when_it_is_made(client, wrong, param):
    asked = {'endpoint': CHAT, 'completion_window': '24h'}
    asked['input_file_id'] = upload(client, [request(0)]).id
    with pytest.raises(openai.BadRequestError) as caught:
        client.batches.create(**(asked | wrong))

    assert param == caught.value.param
    assert [] == client.batches.list().data


@pytest.mark.parametrize(
    ('requests', 'problems'),
    [
        ([], [('empty_file', None)]),
        ([request(0), request(0)], [('duplicate_custom_id', 2)]),
        ([request(0), request(1, model='gpt-4o')], [('mismatched_model', 2)]),
        ([request(0, '/v1/embeddings')], [('invalid_url', 1)]),
        ([request(0) | {'method': 'GET'}], [('invalid_method', 1)]),
        ([request(0) | {'custom_id': 7}, 7],
         [('missing_required_parameter', 1), ('invalid_json_line', 2)]),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_fails_the_batch_afterwards(sim, client, create, requests, problems):
    batch = create(requests)
    assert 'validating' == batch.status
    failed = client.batches.retrieve(batch.id)

    assert ('failed', (0, 0, 0), None) == (failed.status, counted(failed), failed.output_file_id)
    assert failed.created_at == failed.failed_at
    assert problems == [(error.code, error.line) for error in failed.errors.data]
    assert [] == billed(sim)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_a_line_that_is_no_json_is_told_by_its_number(client):
    file = client.files.create(file=('in.jsonl', b'{}\n\n{"a"'), purpose='batch')
    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window='24h')
    [first, second] = client.batches.retrieve(batch.id).errors.data

    assert ('missing_required_parameter', 'custom_id') == (first.code, first.param)
    assert 'invalid_json_line' == second.code


@pytest.mark.parametrize(
    ('rules', 'code'),
    [({'openai_requests': 2}, 'too_many_tasks'), ({'openai_bytes': 400}, 'file_too_large')],
)
def test_a_file_that_is_too_large_fails_the_batch(sim, client, create, rules, code):
    assert (50_000, 200_000_000) == (BatchRules().openai_requests, BatchRules().openai_bytes)
    sim.reset(batches=BatchRules(**rules))
    small, large = create(2), create(3)

    assert 'completed' == client.batches.retrieve(small.id).status
    assert [code] == [error.code for error in client.batches.retrieve(large.id).errors.data]


def test_a_batch_embeds_no_more_than_fifty_thousand_texts(client, create):
    many = [request(0, '/v1/embeddings', input=['a'] * 50_001)]
    batch = create(many, '/v1/embeddings')

    [error] = client.batches.retrieve(batch.id).errors.data
    assert 'too_many_inputs' == error.code


def test_the_queue_of_a_model_takes_so_many_tokens_at_a_time(sim, clock, client, create):
    # `Hello` and its framing make 4 tokens, so each batch of two requests waits with 8.
    sim.reset(batches=BatchRules(processing_s=100, openai_queue={'gpt-4o-mini': 16}))
    clock.set(1_800_000_000)
    seen = [client.batches.retrieve(create(2).id) for _ in range(3)]
    other = client.batches.retrieve(create([request(0, model='gpt-4o')]).id)
    clock.advance(100)
    later = client.batches.retrieve(create(2).id)

    assert ['in_progress', 'in_progress', 'failed'] == [batch.status for batch in seen]
    assert ['in_progress'] * 2 == [other.status, later.status]
    [error] = seen[2].errors.data
    assert 'token_limit_exceeded' == error.code
    assert '16 enqueued tokens' in error.message


def test_requests_that_are_none_fail_one_by_one_and_are_not_billed(sim, client, create):
    batch = create([request(0, messages=[]), request(1, stream=True), request(2)])
    done = client.batches.retrieve(batch.id)
    failed = {line['custom_id']: line for line in lines_of(client, done.error_file_id)}

    assert ('completed', (3, 1, 2)) == (done.status, counted(done))
    assert {'r-0': 'messages', 'r-1': 'stream'} == {
        custom_id: line['response']['body']['error']['param'] for custom_id, line in failed.items()
    }
    assert [(400, None)] * 2 == [
        (line['response']['status_code'], line['error']) for line in failed.values()
    ]
    assert ['r-2'] == billed(sim)


def test_the_list_is_cut_into_pages_and_each_key_sees_its_own(sim, client, create):
    made = [create(1).id for _ in range(5)][::-1]
    with openai.OpenAI(base_url=sim.openai_url, api_key='other', max_retries=0) as other:
        assert [] == other.batches.list().data
        with pytest.raises(openai.NotFoundError):
            other.batches.retrieve(made[0])
    first = client.batches.list(limit=2)

    assert (made[:2], True) == ([batch.id for batch in first.data], first.has_more)
    assert made == [batch.id for batch in client.batches.list(limit=2)]
    with pytest.raises(openai.BadRequestError, match='from 1 to 100'):
        client.batches.list(limit=101)


# --- faults -----------------------------------------------------------------------------------


def test_a_batch_whose_answer_is_lost_is_found_by_its_metadata(sim, client, create):
    sim.fault(on='openai_batches.create', drop_after_events=0)
    with pytest.raises(openai.APIConnectionError):
        create(2, metadata={'sub': '1'})

    assert [{'sub': '1'}] == [batch.metadata for batch in client.batches.list()]
    assert ['r-0', 'r-1'] == billed(sim)


def test_a_file_whose_answer_is_lost_is_found_by_its_name(sim, client):
    sim.fault(on='openai_files.create', drop_after_events=0)
    with pytest.raises(openai.APIConnectionError):
        upload(client, [request(0)], name='mine.jsonl')

    assert ['mine.jsonl'] == [file.filename for file in client.files.list(purpose='batch')]


def test_files_and_batches_may_be_listed_late(sim, clock, client, create):
    sim.fault(on='openai_files.create', hidden_s=30)
    sim.fault(on='openai_batches.create', hidden_s=60)
    batch = create(1)
    seen = []
    for _ in range(3):
        files = client.files.list(purpose='batch').data
        seen.append((len(files), len(client.batches.list().data)))
        clock.advance(30)

    assert [(0, 0), (1, 0), (1, 1)] == seen
    assert batch.id == client.batches.retrieve(batch.id).id


def test_a_refused_creation_makes_no_batch(sim, client, create):
    sim.fault(on='openai_batches.create', status=500)
    with pytest.raises(openai.InternalServerError):
        create(1)

    assert [] == client.batches.list().data == billed(sim)


def test_the_queue_is_full_on_demand(sim, client, create):
    sim.fault(on='openai_batches.create', queue_full=True)
    failed = client.batches.retrieve(create(1).id)

    assert ('failed', 'token_limit_exceeded') == (failed.status, failed.errors.data[0].code)
    assert 'completed' == client.batches.retrieve(create(1).id).status


def test_a_batch_of_failures_has_no_output_file(sim, client, create):
    sim.fault(on='openai_batches.create', lines={'*': 500})
    done = client.batches.retrieve(create(3).id)

    assert ('completed', (3, 0, 3), None) == (done.status, counted(done), done.output_file_id)
    assert [500] * 3 == [
        line['response']['status_code'] for line in lines_of(client, done.error_file_id)
    ]
    assert [] == billed(sim)


def test_a_completed_batch_may_name_its_files_late(sim, clock, client, create):
    sim.fault(on='openai_batches.create', output_late_s=5)
    batch = create(1)
    early = client.batches.retrieve(batch.id)
    clock.advance(5)
    late = client.batches.retrieve(batch.id)

    assert ('completed', None) == (early.status, early.output_file_id)
    assert 1 == len(lines_of(client, late.output_file_id))


def test_results_may_lack_lines_repeat_them_or_hold_others(sim, client, create):
    fates = {'0': 'missing', '1': 'duplicate', '2': 'unknown', '3': 'expired', '4': 'blank',
             '5': 429}  # fmt: skip
    sim.fault(on='openai_batches.create', lines=fates)
    done = client.batches.retrieve(create(7).id)
    output = lines_of(client, done.output_file_id)
    found = Counter(line['custom_id'] for line in output)
    [unknown] = [custom_id for custom_id in found if custom_id.startswith('unknown-')]
    failed = {line['custom_id']: line for line in lines_of(client, done.error_file_id)}

    assert Counter({'r-1': 2, 'r-2': 1, 'r-4': 1, 'r-6': 1, unknown: 1}) == found
    assert [{'status_code': 0, 'request_id': '', 'body': {}}] == [
        line['response'] for line in output if line['custom_id'] == 'r-4'
    ]
    assert 'batch_expired' == failed['r-3']['error']['code']
    assert (429, 'rate_limit_exceeded') == (
        failed['r-5']['response']['status_code'],
        failed['r-5']['response']['body']['error']['code'],
    )
    assert (7, 5, 1) == counted(done)
    assert ['r-0', 'r-1', 'r-2', 'r-6'] == billed(sim)


def test_a_download_that_breaks_off_can_be_begun_again(sim, client, create):
    done = client.batches.retrieve(create(5).id)
    sim.fault(on='openai_files.content', drop_after_events=2)
    with pytest.raises(openai.APIConnectionError):
        client.files.content(done.output_file_id)

    assert 5 == len(lines_of(client, done.output_file_id))


def test_azures_paths_lead_to_the_same(sim, client, create):
    batch = create(1)
    headers = {'authorization': 'Bearer any'}
    for prefix in ('/openai', '/openai/v1'):
        answer = httpx.get(f'{sim.url}{prefix}/batches/{batch.id}', headers=headers)

        assert 'completed' == answer.json()['status']
