"""Anthropic's SDK and the simulated Message Batches: states, limits, faults, charges."""

from .prompts import MODEL


def request(position, **params):
    asked = {'model': MODEL, 'max_tokens': 20}
    said = [{'role': 'user', 'content': f'Hello {position}'}]
    return {'custom_id': f'r-{position}', 'params': asked | {'messages': said} | params}


def test_a_batch_is_answered_as_calls_are_and_billed_once(sim, client):
    batch = client.messages.batches.create(requests=[request(i) for i in range(3)])
    assert ('in_progress', 3) == (batch.processing_status, batch.request_counts.processing)

    ended = client.messages.batches.retrieve(batch.id)
    results = {r.custom_id: r.result.message for r in client.messages.batches.results(batch.id)}

    assert ('ended', 3) == (ended.processing_status, ended.request_counts.succeeded)
    called = client.messages.create(**request(0)['params'])
    assert called.content == results['r-0'].content
    assert ('batch', 'standard') == (results['r-0'].usage.service_tier, called.usage.service_tier)
    assert [None, 'r-0', 'r-1', 'r-2'] == [charge['custom_id'] for charge in sim.charges()]
