"""What goes wrong with simulated Files and Batches on demand, as OpenAI's SDK meets it."""

from collections import Counter

import openai
import pytest

from .batched import billed, chat, create, lines_of, upload


@pytest.fixture
def client(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


def counted(batch):
    counts = batch.request_counts
    return counts.total, counts.completed, counts.failed


def test_a_batch_whose_answer_is_lost_is_found_by_its_metadata(sim, client):
    sim.fault(on='openai_batches.create', drop_after_events=0)
    with pytest.raises(openai.APIConnectionError):
        create(client, 2, metadata={'sub': '1'})

    assert [{'sub': '1'}] == [batch.metadata for batch in client.batches.list()]
    assert ['r-0', 'r-1'] == billed(sim)


def test_a_file_whose_answer_is_lost_is_found_by_its_name(sim, client):
    sim.fault(on='openai_files.create', drop_after_events=0)
    with pytest.raises(openai.APIConnectionError):
        upload(client, [chat(0)], name='mine.jsonl')

    assert ['mine.jsonl'] == [file.filename for file in client.files.list(purpose='batch')]


def test_files_and_batches_may_be_listed_late(sim, clock, client):
    sim.fault(on='openai_files.create', hidden_s=30)
    sim.fault(on='openai_batches.create', hidden_s=60)
    batch = create(client, 1)
    seen = []
    for _ in range(3):
        files = client.files.list(purpose='batch').data
        seen.append((len(files), len(client.batches.list().data)))
        clock.advance(30)

    assert [(0, 0), (1, 0), (1, 1)] == seen
    assert batch.id == client.batches.retrieve(batch.id).id


def test_a_refused_creation_makes_no_batch(sim, client):
    sim.fault(on='openai_batches.create', status=500)
    with pytest.raises(openai.InternalServerError):
        create(client, 1)

    assert [] == client.batches.list().data == billed(sim)


def test_the_queue_is_full_on_demand(sim, client):
    sim.fault(on='openai_batches.create', queue_full=True)
    failed = client.batches.retrieve(create(client, 1).id)

    assert ('failed', 'token_limit_exceeded') == (failed.status, failed.errors.data[0].code)
    assert 'completed' == client.batches.retrieve(create(client, 1).id).status


def test_a_batch_of_failures_has_no_output_file(sim, client):
    sim.fault(on='openai_batches.create', lines={'*': 500})
    done = client.batches.retrieve(create(client, 3).id)

    assert ('completed', (3, 0, 3), None) == (done.status, counted(done), done.output_file_id)
    assert [500] * 3 == [
        line['response']['status_code'] for line in lines_of(client, done.error_file_id)
    ]
    assert [] == billed(sim)


def test_a_completed_batch_may_name_its_files_late(sim, clock, client):
    sim.fault(on='openai_batches.create', output_late_s=5)
    batch = create(client, 1)
    early = client.batches.retrieve(batch.id)
    clock.advance(5)
    late = client.batches.retrieve(batch.id)

    assert ('completed', None) == (early.status, early.output_file_id)
    assert 1 == len(lines_of(client, late.output_file_id))


def test_results_may_lack_lines_repeat_them_or_hold_others(sim, client):
    fates = {'0': 'missing', '1': 'duplicate', '2': 'unknown', '3': 'expired', '4': 'blank',
             '5': 429}  # fmt: skip
    sim.fault(on='openai_batches.create', lines=fates)
    done = client.batches.retrieve(create(client, 7).id)
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


def test_a_download_that_breaks_off_can_be_begun_again(sim, client):
    done = client.batches.retrieve(create(client, 5).id)
    sim.fault(on='openai_files.content', drop_after_events=2)
    with pytest.raises(openai.APIConnectionError):
        client.files.content(done.output_file_id)

    assert 5 == len(lines_of(client, done.output_file_id))
