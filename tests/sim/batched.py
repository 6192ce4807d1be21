"""Requests of batches that several tests make, and what they ask about them."""

import json
from collections import Counter

from .prompts import MODEL

CHAT = '/v1/chat/completions'
BODIES = {
    CHAT: {'model': 'gpt-4o-mini', 'messages': [{'role': 'user', 'content': 'Hello'}]},
    '/v1/responses': {'model': 'gpt-4o-mini', 'input': 'Hello'},
    '/v1/embeddings': {'model': 'text-embedding-3-small', 'input': ['Hello', 'you']},
}


def message(position, **params):
    """A request of a Message Batch."""
    asked = {'model': MODEL, 'max_tokens': 20}
    said = [{'role': 'user', 'content': f'Hello {position}'}]
    return {'custom_id': f'r-{position}', 'params': asked | {'messages': said} | params}


def kinds(batches, batch):
    """How many results of a batch of Anthropic there are of each kind."""
    return Counter(line.result.type for line in batches.results(batch.id))


def counted(batch):
    """The counts that a batch of Anthropic shows, without zeros."""
    return {kind: count for kind, count in batch.request_counts if count}


def chat(position, url=CHAT, **body):
    """A line of an OpenAI batch file."""
    asked = BODIES[url] | body
    return {'custom_id': f'r-{position}', 'method': 'POST', 'url': url, 'body': asked}


def upload(client, requests, name='in.jsonl'):
    """A file of requests, kept by OpenAI."""
    lines = '\n'.join(map(json.dumps, requests)).encode()
    return client.files.create(file=(name, lines), purpose='batch')


def create(client, requests, endpoint=CHAT, **more):
    """A batch of OpenAI: of these requests, or of so many."""
    requests = [chat(i) for i in range(requests)] if isinstance(requests, int) else requests
    return client.batches.create(
        input_file_id=upload(client, requests).id,
        endpoint=endpoint,
        completion_window='24h',
        **more,
    )


def lines_of(client, file_id):
    """The lines of a file of OpenAI."""
    if file_id is None:
        return []
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def billed(sim):
    """The custom ids of all requests of batches that were billed."""
    return [charge['custom_id'] for charge in sim.charges() if charge['batch_id']]
