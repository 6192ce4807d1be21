"""Every recorded answer that carries usage reads as the provider wrote it, plain and streamed.

The expectation is written in the provider's words and shares nothing with the readers. Real
recordings live beside the repository; without them these tests skip and say so.
"""

import functools
import importlib
import json
import random
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from farthing import wire
from farthing.wire import llama_index

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
CASSETTES = SHARED / 'data' / 'cassettes'

pytestmark = pytest.mark.skipif(
    not CASSETTES.is_dir(), reason=f'no recorded traffic at {CASSETTES}'
)


@functools.cache
def exchanges():
    """(file, position, api, request, body, recorded usage) of each 2xx answer with usage."""
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        cassettes = importlib.import_module('cassette_lib')
    finally:
        sys.path.pop(0)
    found = []
    for file in sorted(CASSETTES.rglob('*.yaml*')):
        for position, exchange in enumerate(cassettes.load(file)):
            address = urlsplit(exchange['uri'])
            place = wire.endpoint(address.netloc, address.path, method=exchange['method'])
            recorded = cassettes.usage_of(exchange['res'])
            if exchange['status'] // 100 == 2 and place is not None and recorded:
                found.append(
                    (file.name, position, place.api, exchange['req'], exchange['res'], recorded)
                )
    return found


def is_stream(body):
    return not body.lstrip().startswith(b'{')


def read(api, body, chunks=None):
    reader = wire.for_api(api)
    if not is_stream(body):
        return reader.answer(json.loads(body))
    stream = reader.stream()
    for chunk in chunks or [body]:
        stream.feed(chunk)
    assert stream.malformed == 0
    return stream.reading()


def said(api, words):
    """(input, output, read, write, 5m, 1h, 30m, reasoning) in the provider's own arithmetic."""
    if api == 'anthropic_messages':
        rounds = [one for one in words.get('iterations') or [] if one['type'] == 'message']
        rounds = rounds or [words]

        def total(key):
            return sum(one.get(key) or 0 for one in rounds)

        cached = total('cache_read_input_tokens')
        written = total('cache_creation_input_tokens')
        split = [one.get('cache_creation') or {} for one in rounds]
        return (
            total('input_tokens') + cached + written,
            total('output_tokens'),
            cached,
            written,
            sum(one.get('ephemeral_5m_input_tokens') or 0 for one in split),
            sum(one.get('ephemeral_1h_input_tokens') or 0 for one in split),
            0,
            (words.get('output_tokens_details') or {}).get('thinking_tokens'),
        )
    if api == 'openai_responses':
        asked, answered = 'input_tokens', 'output_tokens'
    else:
        asked, answered = 'prompt_tokens', 'completion_tokens'
    details = words.get(f'{asked}_details') or {}
    written = details.get('cache_write_tokens') or 0
    return (
        words[asked],
        words.get(answered, 0),
        details.get('cached_tokens') or 0,
        written,
        0,
        0,
        written,
        (words.get(f'{answered}_details') or {}).get('reasoning_tokens'),
    )


def counts(usage):
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.cache_write_30m_tokens,
        usage.reasoning_tokens,
    )


def test_every_recorded_answer_reads_as_recorded(capsys):
    right, seen, wrong = Counter(), Counter(), []
    for name, position, api, _, body, recorded in exchanges():
        leg = f'{api} {"streamed" if is_stream(body) else "plain"}'
        seen[leg] += 1
        reading = read(api, body)
        if reading.usage and said(api, recorded) == counts(reading.usage) and reading.complete:
            right[leg] += 1
        else:
            wrong.append((name, position, said(api, recorded), reading))
    with capsys.disabled():
        for leg, number in sorted(seen.items()):
            sys.stdout.write(f'\n{leg}: {right[leg]} of {number} recorded answers read as recorded')

    assert wrong == []
    assert seen.total() >= 470


def test_every_recorded_answer_says_which_model_served_and_its_id():
    missing = [
        (name, position)
        for name, position, api, _, body, _ in exchanges()
        if ((reading := read(api, body)).model is None and reading.purpose != 'compaction')
        or (reading.response_id is None and api != 'openai_embeddings')
    ]

    assert missing == []


def test_streams_read_the_same_in_any_split():
    chance = random.Random(20261123)  # noqa: S311 - a fixed seed, no secret
    for name, position, api, _, body, _ in exchanges():
        if not is_stream(body):
            continue
        whole = read(api, body)
        for widest in (1, 7, 200):
            rest, chunks = body[:20_000], []
            while rest:
                size = chance.randint(1, widest)
                chunks.append(rest[:size])
                rest = rest[size:]
            chunks.append(body[20_000:])
            assert whole == read(api, body, chunks), (name, position, widest)
            crlf = [chunk.replace(b'\n', b'\r\n') for chunk in chunks]
            assert whole == read(api, body, crlf), (name, position, widest)


def test_a_stream_cut_anywhere_never_says_that_it_is_complete():
    for name, position, api, _, body, _ in exchanges():
        if not is_stream(body):
            continue
        stream = wire.for_api(api).stream()
        stream.feed(body[: len(body) // 2])
        reading = stream.reading()
        assert not reading.complete, (name, position)
        assert reading.usage is None or api == 'anthropic_messages', (name, position)
        assert reading.response_id is not None, (name, position)


def test_requests_give_blocks_that_share_their_prefix_with_the_next_turn():
    turns = 0
    previous = None
    for name, _, api, sent, _, _ in exchanges():
        body = json.loads(sent) if sent else {}
        if not body:
            continue
        blocks = [data for data, _ in wire.for_api(api).blocks(body) if data]
        assert blocks or not body.get('messages'), name
        assert wire.for_api(api).chars(body) >= 0
        if previous and previous[0] == name and previous[1] == blocks[: len(previous[1])]:
            turns += 1
        previous = (name, blocks)
    assert turns > 50


def test_llama_index_reads_a_raw_answer_as_the_http_answer():
    for name, position, api, _, body, _ in exchanges():
        if is_stream(body) or api == 'openai_embeddings':
            continue
        raw = json.loads(body)
        assert read(api, body).usage == llama_index.answer(raw).usage, (name, position)
