"""What goes wrong with simulated Message Batches on demand, as Anthropic's SDK meets it."""

from collections import Counter

import anthropic
import pytest

from .batched import billed, counted, kinds, message

# The HTTP client's own error: httpx or httpx2.
BROKEN_OFF = 'peer closed connection'


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
        client.with_options(timeout=0.1).messages.batches.create(requests=[message(0)])

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
        client.messages.create(**message(0)['params'])
    client.messages.create(**message(0)['params'])
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
