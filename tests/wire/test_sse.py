"""Events come out of bytes in any split, and nothing that arrives can raise."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from farthing import wire
from farthing.wire.sse import Events

TEXT = st.text(st.characters(exclude_characters='\r\n', exclude_categories=['Cs']))


def cut(body, points):
    edges = sorted({0, len(body), *(point % (len(body) + 1) for point in points)})
    return [body[start:end] for start, end in itertools.pairwise(edges)]


def events_of(chunks):
    events = Events()
    return [event for chunk in chunks for event in events.feed(chunk)] + events.end()


@given(
    st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1)), min_size=1),
    st.lists(st.integers(min_value=0)),
    st.sampled_from(['\n', '\r\n', '\r']),
    st.booleans(),
)
def test_events_are_the_same_in_any_split_and_line_end(messages, points, line_end, last_blank):
    lines = []
    for name, data in messages:
        lines += [': a comment', f'event: {name}', *(f'data: {line}' for line in data), '']
    body = line_end.join(lines if not last_blank else [*lines, '']).encode()

    expected = [(name.encode(), '\n'.join(data).encode()) for name, data in messages]

    assert expected == events_of(cut(body, points))


def test_a_data_line_without_a_space_and_an_event_without_data_are_taken():
    assert events_of([b'data:{}\n\nevent: ping\n\n']) == [(b'', b'{}'), (b'ping', b'')]


@given(st.lists(st.binary(max_size=60)), st.sampled_from(sorted(wire.READERS)))
def test_no_bytes_make_a_stream_raise(chunks, api):
    stream = wire.for_api(api).stream()
    for chunk in chunks:
        stream.feed(chunk)

    assert stream.reading().usage is None


def test_malformed_events_are_counted_and_the_rest_is_read():
    stream = wire.for_api('openai_chat').stream()
    good = {
        'id': 'x',
        'choices': [],
        'usage': {'prompt_tokens': 2, 'completion_tokens': 3, 'total_tokens': 5},
    }
    stream.feed(b'data: {"usage": {"prompt_tokens": 1, \n\n')
    stream.feed(b'data: ' + json.dumps(good).encode() + b'\n\n')

    assert stream.reading().usage.output_tokens == 3
    assert stream.malformed == 1


def test_half_a_surrogate_pair_is_no_malformed_event():
    stream = wire.for_api('openai_responses').stream()
    usage = '{"input_tokens":1,"output_tokens":2,"total_tokens":3}'
    text = '{"type":"message","content":[{"text":"\\ud83d"}]}'
    response = f'{{"id":"r","model":"m","status":"completed","output":[{text}],"usage":{usage}}}'
    stream.feed(
        f'event: response.completed\ndata: {{"response":{response}}}\n\n'.encode(),
    )

    assert stream.reading().usage.input_tokens == 1
    assert stream.malformed == 0
