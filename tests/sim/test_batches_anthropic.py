"""Anthropic's SDK and the simulated Message Batches: states, limits, charges."""

import json
from collections import Counter

import anthropic
import httpx
import pytest

from farthing_sim import BatchRules

from .batched import billed, counted, kinds, message
from .prompts import MODEL

DAY_S = 86_400
KEY = {'x-api-key': 'any'}


# --- states -----------------------------------------------------------------------------------


def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client, batches, create):
    batch = create(3)
    assert ('in_progress', {'processing': 3}) == (batch.processing_status, counted(batch))

    ended = batches.retrieve(batch.id)
    for _ in range(2):
        results = {line.custom_id: line.result.message for line in batches.results(batch.id)}

    assert ('ended', {'succeeded': 3}) == (ended.processing_status, counted(ended))
    called = client.messages.create(**message(0)['params'])
    assert called.content == results['r-0'].content
    assert ('batch', 'standard') == (results['r-0'].usage.service_tier, called.usage.service_tier)
    # The call comes first, because charges list the log before the batches.
    assert [None, 'r-0', 'r-1', 'r-2'] == [charge['custom_id'] for charge in sim.charges()]
    assert [{batch.id}, {MODEL}] == [
        {charge[key] for charge in sim.charges()[1:]} for key in ('batch_id', 'model')
    ]
    assert results['r-0'].usage.model_dump(exclude_none=True) == sim.charges()[1]['usage']


def test_counts_stay_at_processing_until_all_has_ended_by_the_clock(sim, clock, batches, create):
    sim.reset(batches=BatchRules(processing_s=100))
    clock.set(1_800_000_000)
    batch = create(10)
    seen = []
    for _ in range(3):
        now = batches.retrieve(batch.id)
        seen.append((now.processing_status, counted(now), len(billed(sim))))
        clock.advance(50)

    assert [
        ('in_progress', {'processing': 10}, 0),
        ('in_progress', {'processing': 10}, 5),
        ('ended', {'succeeded': 10}, 10),
    ] == seen
    assert 100 == (now.ended_at - now.created_at).total_seconds()
    assert now.results_url == f'{sim.url}/v1/messages/batches/{batch.id}/results'


def test_results_cannot_be_read_before_the_end(sim, batches, create):
    sim.reset(batches=BatchRules(processing_s=100))
    batch = create(1)

    with pytest.raises(anthropic.AnthropicError, match='in_progress'):
        batches.results(batch.id)
    refused = httpx.get(f'{sim.url}/v1/messages/batches/{batch.id}/results', headers=KEY)
    assert (400, 'invalid_request_error') == (refused.status_code, refused.json()['error']['type'])


def test_what_a_batch_does_not_answer_in_a_day_expires_and_is_not_billed(
    sim, clock, batches, create
):
    sim.fault(on='anthropic_batches.create', stalls_after=2)
    batch = create(5)
    clock.advance(DAY_S - 1)
    assert 'in_progress' == batches.retrieve(batch.id).processing_status
    clock.advance(1)
    ended = batches.retrieve(batch.id)

    assert ('ended', {'succeeded': 2, 'expired': 3}) == (ended.processing_status, counted(ended))
    assert ended.ended_at == ended.expires_at
    assert {'succeeded': 2, 'expired': 3} == kinds(batches, batch)
    assert ['r-0', 'r-1'] == billed(sim)


@pytest.mark.parametrize(('more', 'succeeded'), [(0, 5), (2, 7), (20, 10)])
def test_a_cancelled_batch_keeps_what_was_answered_and_may_answer_more(
    sim, clock, batches, create, more, succeeded
):
    sim.reset(batches=BatchRules(processing_s=100, cancelling_s=30))
    clock.set(1_800_000_000)
    sim.fault(on='anthropic_batches.create', cancel_completes=more)
    batch = create(10)
    clock.advance(50)
    for _ in range(2):
        canceling = batches.cancel(batch.id)
        clock.advance(15)
    ended = batches.retrieve(batch.id)

    assert ('canceling', {'processing': 10}) == (canceling.processing_status, counted(canceling))
    assert (50, 80) == tuple(
        (at - ended.created_at).total_seconds()
        for at in (ended.cancel_initiated_at, ended.ended_at)
    )
    assert 'ended' == ended.processing_status
    assert Counter(succeeded=succeeded, canceled=10 - succeeded) == Counter(counted(ended))
    assert succeeded == len(billed(sim))
    with pytest.raises(anthropic.BadRequestError, match='has ended'):
        batches.cancel(batch.id)


def test_a_batch_is_deleted_only_after_its_end_and_stays_billed(sim, clock, batches, create):
    sim.reset(batches=BatchRules(processing_s=100))
    clock.set(1_800_000_000)
    batch = create(1)
    with pytest.raises(anthropic.BadRequestError, match='before it has ended'):
        batches.delete(batch.id)
    clock.advance(100)

    assert 'message_batch_deleted' == batches.delete(batch.id).type
    with pytest.raises(anthropic.NotFoundError, match=batch.id):
        batches.retrieve(batch.id)
    assert [] == batches.list().data
    assert ['r-0'] == billed(sim)


def test_results_are_archived_after_29_days(clock, batches, create):
    batch = create(1)
    clock.advance(29 * DAY_S - 1)
    before = batches.retrieve(batch.id)
    clock.advance(1)
    after = batches.retrieve(batch.id)

    assert (None, None) == (before.archived_at, after.results_url)
    assert 29 == (after.archived_at - after.created_at).days


async def test_the_asynchronous_client_reads_the_same(sim, create, batches):
    batch = create(3)
    async with anthropic.AsyncAnthropic(base_url=sim.url, api_key='any') as client:
        lines = [line async for line in await client.messages.batches.results(batch.id)]

    assert lines == list(batches.results(batch.id))


def test_requests_that_are_answered_together_do_not_read_each_others_cache(sim, batches):
    sim.reset(batches=BatchRules(at_once=2))
    system = [{'type': 'text', 'text': 'word ' * 2_000, 'cache_control': {'type': 'ephemeral'}}]
    batches.create(requests=[message(i, system=system) for i in range(4)])
    usages = [charge['usage'] for charge in sim.charges()]

    writes = [usage['cache_creation_input_tokens'] > 0 for usage in usages]
    assert [True, True, False, False] == writes
    assert [0, 0, 1, 1] == [usage['cache_read_input_tokens'] > 0 for usage in usages]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('requests', 'told'),
    [
        ([], 'from 1 to 100000 items, not 0'),
        ([message(1), message(1)], "requests.1.custom_id: 'r-1' is not unique"),
        ([message(1) | {'custom_id': 'a.b'}], 'should match pattern'),
        ([message(1) | {'custom_id': ''}], 'should match pattern'),
        ([message(1) | {'custom_id': 'x' * 65}], 'should match pattern'),
        ([message(1) | {'custom_id': 7}], 'custom_id'),
        ([message(1) | {'metadata': {}}], 'requests.0.metadata: Extra inputs'),
        ([{'custom_id': 'a'}], 'params: Field required'),
        ([7], 'expected an array of objects'),
        ('all of them', 'requests'),
    ],
)
def test_a_batch_that_is_none_is_refused_when_it_is_made(sim, batches, requests, told):
    body = json.dumps({'requests': requests})
    refused = httpx.post(f'{sim.url}/v1/messages/batches', content=body, headers=KEY)

    assert (400, 'invalid_request_error') == (refused.status_code, refused.json()['error']['type'])
    assert told in refused.json()['error']['message']
    assert [] == batches.list().data


@pytest.mark.parametrize('body', ['', '[]', '{"requests": [{}', '{"requests": [{},]}', '{"a": 1}'])
def test_a_body_that_is_not_complete_is_refused(sim, body):
    refused = httpx.post(f'{sim.url}/v1/messages/batches', content=body, headers=KEY)

    assert 400 == refused.status_code


def test_more_than_a_hundred_thousand_requests_are_refused(sim):
    lines = ','.join(f'{{"custom_id": "{i}", "params": {{}}}}' for i in range(100_001))
    body = f'{{"requests": [{lines}]}}'
    refused = httpx.post(f'{sim.url}/v1/messages/batches', content=body, headers=KEY, timeout=60)

    assert 'from 1 to 100000 items, not 100001' in refused.json()['error']['message']


def test_a_body_that_is_too_long_is_refused(sim, create):
    assert 256_000_000 == BatchRules().anthropic_bytes
    sim.reset(batches=BatchRules(anthropic_bytes=1_000))
    create(1)
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(100)

    assert (413, 'request_too_large') == (
        caught.value.status_code, caught.value.body['error']['type'],
    )  # fmt: skip


@pytest.mark.parametrize(
    ('wrong', 'told'),
    [({'stream': True}, 'stream'), ({'max_tokens': 0}, 'max_tokens'),
     ({'max_tokens': -1}, 'at least 0'), ({'messages': []}, 'at least one message')],
)  # fmt: skip
def test_a_request_that_is_none_is_errored_at_the_end_and_not_billed(sim, batches, wrong, told):
    batch = batches.create(requests=[message(0, **wrong), message(1)])
    results = {line.custom_id: line.result for line in batches.results(batch.id)}

    assert {'succeeded': 1, 'errored': 1} == counted(batches.retrieve(batch.id))
    assert 'invalid_request_error' == results['r-0'].error.error.type
    assert told in results['r-0'].error.error.message
    assert ['r-1'] == billed(sim)


def test_the_list_is_cut_into_pages_and_each_key_sees_its_own(sim, batches, create):
    made = [create(1).id for _ in range(5)][::-1]
    with anthropic.Anthropic(base_url=sim.url, api_key='other', max_retries=0) as other:
        assert [] == other.messages.batches.list().data
        with pytest.raises(anthropic.NotFoundError):
            other.messages.batches.retrieve(made[0])
    first = batches.list(limit=2)
    last = batches.list(limit=2, after_id=made[3])
    back = batches.list(limit=2, before_id=made[3])

    assert (made[:2], True) == ([batch.id for batch in first.data], first.has_more)
    assert (made[4:], False) == ([batch.id for batch in last.data], last.has_more)
    assert (made[1:3], True) == ([batch.id for batch in back.data], back.has_more)
    assert made == [batch.id for batch in batches.list(limit=2)]
    assert {'ended'} == {batch.processing_status for batch in first.data}
    with pytest.raises(anthropic.BadRequestError, match='from 1 to 1000'):
        batches.list(limit=1_001)
    with pytest.raises(anthropic.NotFoundError, match='msgbatch_none'):
        batches.list(after_id='msgbatch_none')


def test_a_reset_forgets_batches_and_takes_new_rules(sim, batches, create):
    create(1)
    sim.reset(batches=BatchRules(processing_s=10))
    assert ([], []) == (batches.list().data, sim.charges())
    batch = create(1)
    assert 'in_progress' == batches.retrieve(batch.id).processing_status
    sim.reset()
    batch = create(1)

    assert 'ended' == batches.retrieve(batch.id).processing_status


def test_a_batch_too_large_for_one_look_is_worked_on_in_the_background(sim, batches, create):
    batch = create(3_000)
    while batches.retrieve(batch.id).processing_status == 'in_progress':
        pass

    assert {'succeeded': 3_000} == kinds(batches, batch)
    assert 3_000 == len(set(billed(sim)))
