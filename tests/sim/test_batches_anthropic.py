"""Anthropic's SDK and the simulated Message Batches: states, limits, faults, charges."""

import json
from collections import Counter

import anthropic
import httpx
import pytest

from farthing_sim import BatchRules

from .prompts import MODEL

DAY_S = 86_400
KEY = {'x-api-key': 'any'}
# The HTTP client's own error: httpx or httpx2.
BROKEN_OFF = 'peer closed connection'


def request(position, **params):
    asked = {'model': MODEL, 'max_tokens': 20}
    said = [{'role': 'user', 'content': f'Hello {position}'}]
    return {'custom_id': f'r-{position}', 'params': asked | {'messages': said} | params}


@pytest.fixture
def batches(client):
    return client.messages.batches


@pytest.fixture
def create(batches):
    def creating(count, **params):
        return batches.create(requests=[request(i, **params) for i in range(count)])

    return creating


def kinds(batches, batch):
    return Counter(line.result.type for line in batches.results(batch.id))


def counted(batch):
    return {kind: count for kind, count in batch.request_counts if count}


def billed(sim):
    return [charge['custom_id'] for charge in sim.charges() if charge['batch_id']]


# --- states -----------------------------------------------------------------------------------


def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client, batches, create):
    batch = create(3)
    assert ('in_progress', {'processing': 3}) == (batch.processing_status, counted(batch))

    ended = batches.retrieve(batch.id)
    for _ in range(2):
        results = {line.custom_id: line.result.message for line in batches.results(batch.id)}

    assert ('ended', {'succeeded': 3}) == (ended.processing_status, counted(ended))
    called = client.messages.create(**request(0)['params'])
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
    batches.create(requests=[request(i, system=system) for i in range(4)])
    usages = [charge['usage'] for charge in sim.charges()]

    writes = [usage['cache_creation_input_tokens'] > 0 for usage in usages]
    assert [True, True, False, False] == writes
    assert [0, 0, 1, 1] == [usage['cache_read_input_tokens'] > 0 for usage in usages]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('requests', 'told'),
    [
        ([], 'from 1 to 100000 items, not 0'),
        ([request(1), request(1)], "requests.1.custom_id: 'r-1' is not unique"),
        ([request(1) | {'custom_id': 'a.b'}], 'should match pattern'),
        ([request(1) | {'custom_id': ''}], 'should match pattern'),
        ([request(1) | {'custom_id': 'x' * 65}], 'should match pattern'),
        ([request(1) | {'custom_id': 7}], 'custom_id'),
        ([request(1) | {'metadata': {}}], 'requests.0.metadata: Extra inputs'),
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
    batch = batches.create(requests=[request(0, **wrong), request(1)])
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


# --- faults -----------------------------------------------------------------------------------


def test_a_batch_whose_answer_is_lost_is_there_all_the_same(sim, batches, create):
    sim.fault(on='anthropic_batches.create', drop_after_events=0)
    with pytest.raises(anthropic.APIConnectionError):
        create(2)

    assert [{'succeeded': 2}] == [counted(batch) for batch in batches.list()]
    assert ['r-0', 'r-1'] == billed(sim)
    assert [('anthropic_batches.create', 200, False)] == [
        (entry['api'], entry['status'], entry['delivered']) for entry in sim.log()[:1]
    ]


def test_the_answer_comes_too_late_for_a_client_that_does_not_wait(sim, client, batches):
    sim.fault(on='anthropic_batches.create', delay_s=0.3)
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.1).messages.batches.create(requests=[request(0)])

    assert 1 == len(batches.list().data)


def test_a_refused_creation_makes_no_batch(sim, batches, create):
    sim.fault(on='anthropic_batches.create', status=429, retry_after=3)
    with pytest.raises(anthropic.RateLimitError) as caught:
        create(1)

    assert '3' == caught.value.response.headers['retry-after']
    assert [] == batches.list().data == billed(sim)


def test_calls_leave_the_faults_of_batches_in_the_plan(sim, client, create):
    sim.fault(on='anthropic_batches.create', status=529)
    sim.fault(status=500)
    with pytest.raises(anthropic.APIStatusError) as called:
        client.messages.create(**request(0)['params'])
    client.messages.create(**request(0)['params'])
    with pytest.raises(anthropic.APIStatusError) as made:
        create(1)

    assert [500, 529] == [caught.value.status_code for caught in (called, made)]


def test_a_batch_may_be_listed_late(sim, clock, batches, create):
    sim.fault(on='anthropic_batches.create', hidden_s=60)
    batch = create(1)
    listed = [len(batches.list().data)]
    clock.advance(60)
    listed.append(len(batches.list().data))

    assert [0, 1] == listed
    assert batch.id == batches.retrieve(batch.id).id


def test_results_may_lack_lines_repeat_them_or_hold_others(sim, batches, create):
    sim.fault(
        on='anthropic_batches.create',
        lines={'0': 'missing', '1': 'duplicate', '2': 'unknown', '3': 'expired', '4': 'canceled'},
    )
    batch = create(6)
    found = Counter(line.custom_id for line in batches.results(batch.id))
    [unknown] = [custom_id for custom_id in found if custom_id.startswith('unknown-')]

    assert Counter({'r-1': 2, 'r-2': 1, 'r-3': 1, 'r-4': 1, 'r-5': 1, unknown: 1}) == found
    # What is missing was answered and billed, what is repeated is billed once.
    assert ['r-0', 'r-1', 'r-2', 'r-5'] == billed(sim)
    assert {'succeeded': 4, 'expired': 1, 'canceled': 1} == counted(batches.retrieve(batch.id))


@pytest.mark.parametrize(
    ('status', 'kind'),
    [(400, 'invalid_request_error'), (429, 'rate_limit_error'), (500, 'api_error'),
     (529, 'overloaded_error')],
)  # fmt: skip
def test_single_requests_fail_on_demand(sim, batches, create, status, kind):
    sim.fault(on='anthropic_batches.create', lines={'1': status}, message='Not today.')
    batch = create(2)
    [error] = [
        line.result.error.error
        for line in batches.results(batch.id)
        if line.result.type == 'errored'
    ]

    assert (kind, 'Not today.') == (error.type, error.message)
    assert ['r-0'] == billed(sim)


def test_a_download_that_breaks_off_can_be_begun_again(sim, batches, create):
    batch = create(5)
    sim.fault(on='anthropic_batches.results', drop_after_events=2)
    with pytest.raises(Exception, match=BROKEN_OFF):
        list(batches.results(batch.id))

    assert {'succeeded': 5} == kinds(batches, batch)
    assert 5 == len(billed(sim))


def test_usage_can_be_set_for_all_answers_of_a_batch(sim, batches, create):
    sim.fault(on='anthropic_batches.create', usage={'cache_read_input_tokens': 7})
    batch = create(2)

    assert [7, 7] == [
        line.result.message.usage.cache_read_input_tokens for line in batches.results(batch.id)
    ]


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
