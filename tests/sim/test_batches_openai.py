"""OpenAI's SDK and the simulated Batches: states, limits, charges."""

from collections import Counter

import httpx
import openai
import pytest

from farthing_sim import BatchRules

from .batched import BODIES, CHAT, billed, chat, create, lines_of, upload

DAY_S = 86_400


@pytest.fixture
def client(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


def counted(batch):
    counts = batch.request_counts
    return counts.total, counts.completed, counts.failed


@pytest.mark.parametrize('endpoint', BODIES)
def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client, endpoint):
    batch = create(
        client, [chat(i, endpoint) for i in range(3)], endpoint, metadata={'job': 'night'}
    )
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


def test_a_batch_goes_through_its_states_by_the_clock(sim, clock, client):
    sim.reset(batches=BatchRules(validating_s=10, processing_s=100, finalizing_s=10))
    clock.set(1_800_000_000)
    batch = create(client, 10)
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


def test_what_a_batch_does_not_answer_in_a_day_expires(sim, clock, client):
    sim.fault(on='openai_batches.create', stalls_after=2)
    batch = create(client, 5)
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
    sim, clock, client, more, completed
):
    sim.reset(batches=BatchRules(processing_s=100, cancelling_s=600))
    clock.set(1_800_000_000)
    sim.fault(on='openai_batches.create', cancel_completes=more)
    batch = create(client, 10)
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


def test_a_batch_is_cancelled_before_it_was_checked(sim, clock, client):
    sim.reset(batches=BatchRules(validating_s=60))
    clock.set(1_800_000_000)
    batch = create(client, 2)
    client.batches.cancel(batch.id)
    cancelled = client.batches.retrieve(batch.id)

    assert ('cancelled', None, (2, 0, 0)) == (
        cancelled.status, cancelled.output_file_id, counted(cancelled),
    )  # fmt: skip
    assert [] == billed(sim)


def test_two_batches_of_one_file_are_billed_twice(sim, client):
    first = create(client, 1)
    second = client.batches.create(
        input_file_id=first.input_file_id, endpoint=CHAT, completion_window='24h'
    )

    assert {first.id, second.id} == {charge['batch_id'] for charge in sim.charges()}


def test_azures_paths_lead_to_the_same(sim, client):
    batch = create(client, 1)
    headers = {'authorization': 'Bearer any'}
    for prefix in ('/openai', '/openai/v1'):
        answer = httpx.get(f'{sim.url}{prefix}/batches/{batch.id}', headers=headers)

        assert 'completed' == answer.json()['status']


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
    asked['input_file_id'] = upload(client, [chat(0)]).id
    with pytest.raises(openai.BadRequestError) as caught:
        client.batches.create(**(asked | wrong))

    assert param == caught.value.param
    assert [] == client.batches.list().data


@pytest.mark.parametrize(
    ('requests', 'problems'),
    [
        ([], [('empty_file', None)]),
        ([chat(0), chat(0)], [('duplicate_custom_id', 2)]),
        ([chat(0), chat(1, model='gpt-4o')], [('mismatched_model', 2)]),
        ([chat(0, '/v1/embeddings')], [('invalid_url', 1)]),
        ([chat(0) | {'method': 'GET'}], [('invalid_method', 1)]),
        ([chat(0) | {'custom_id': 7}, 7],
         [('missing_required_parameter', 1), ('invalid_json_line', 2)]),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_fails_the_batch_afterwards(sim, client, requests, problems):
    batch = create(client, requests)
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
def test_a_file_that_is_too_large_fails_the_batch(sim, client, rules, code):
    assert (50_000, 200_000_000) == (BatchRules().openai_requests, BatchRules().openai_bytes)
    sim.reset(batches=BatchRules(**rules))
    small, large = create(client, 2), create(client, 3)

    assert 'completed' == client.batches.retrieve(small.id).status
    assert [code] == [error.code for error in client.batches.retrieve(large.id).errors.data]


def test_a_batch_embeds_no_more_than_fifty_thousand_texts(client):
    many = [chat(0, '/v1/embeddings', input=['a'] * 50_001)]
    batch = create(client, many, '/v1/embeddings')

    [error] = client.batches.retrieve(batch.id).errors.data
    assert 'too_many_inputs' == error.code


def test_the_queue_of_a_model_takes_so_many_tokens_at_a_time(sim, clock, client):
    # `Hello` and its framing make 4 tokens, so each batch of two requests waits with 8.
    sim.reset(batches=BatchRules(processing_s=100, openai_queue={'gpt-4o-mini': 16}))
    clock.set(1_800_000_000)
    seen = [client.batches.retrieve(create(client, 2).id) for _ in range(3)]
    other = client.batches.retrieve(create(client, [chat(0, model='gpt-4o')]).id)
    clock.advance(100)
    later = client.batches.retrieve(create(client, 2).id)

    assert ['in_progress', 'in_progress', 'failed'] == [batch.status for batch in seen]
    assert ['in_progress'] * 2 == [other.status, later.status]
    [error] = seen[2].errors.data
    assert 'token_limit_exceeded' == error.code
    assert '16 enqueued tokens' in error.message


def test_requests_that_are_none_fail_one_by_one_and_are_not_billed(sim, client):
    batch = create(client, [chat(0, messages=[]), chat(1, stream=True), chat(2)])
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


def test_the_list_is_cut_into_pages_and_each_key_sees_its_own(sim, client):
    made = [create(client, 1).id for _ in range(5)][::-1]
    with openai.OpenAI(base_url=sim.openai_url, api_key='other', max_retries=0) as other:
        assert [] == other.batches.list().data
        with pytest.raises(openai.NotFoundError):
            other.batches.retrieve(made[0])
    first = client.batches.list(limit=2)

    assert (made[:2], True) == ([batch.id for batch in first.data], first.has_more)
    assert made == [batch.id for batch in client.batches.list(limit=2)]
    with pytest.raises(openai.BadRequestError, match='from 1 to 100'):
        client.batches.list(limit=101)
