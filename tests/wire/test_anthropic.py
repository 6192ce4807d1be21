"""Anthropic's disjoint counts become inclusive ones; its streams are read by their last word."""

import json

import pytest

from farthing import wire
from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import Part

MESSAGES = wire.for_api('anthropic_messages')


def sse(*events):
    return b''.join(
        f'event: {event["type"]}\ndata: {json.dumps(event)}\n\n'.encode() for event in events
    )


def start(**usage):
    message = {'id': 'msg_1', 'model': 'claude-sonnet-4-6', 'content': [], 'usage': usage}
    return {'type': 'message_start', 'message': message}


def delta(**usage):
    return {'type': 'message_delta', 'delta': {'stop_reason': 'end_turn'}, 'usage': usage}


STOP = {'type': 'message_stop'}


def read_stream(*events):
    stream = MESSAGES.stream()
    stream.feed(sse(*events))
    return stream.reading()


def test_disjoint_counts_are_added_up_once():
    # https://github.com/BerriAI/litellm/issues/9812: cache writes charged twice.
    reading = MESSAGES.usage(
        {
            'input_tokens': 3,
            'cache_read_input_tokens': 12_304,
            'cache_creation_input_tokens': 1_000,
            'cache_creation': {'ephemeral_5m_input_tokens': 900, 'ephemeral_1h_input_tokens': 100},
            'output_tokens': 550,
            'service_tier': 'standard',
            'inference_geo': 'us',
        }
    )

    # 3 + 12,304 + 1,000 = 13,307
    expected = Usage(
        input_tokens=13_307,
        output_tokens=550,
        cache_read_tokens=12_304,
        cache_write_tokens=1_000,
        cache_write_5m_tokens=900,
        cache_write_1h_tokens=100,
    )
    assert expected == reading.usage
    assert Terms(tier='standard', batch=False, geo='us') == reading.terms


def test_writes_without_lifetimes_stay_unsplit_until_the_request_is_seen():
    # https://github.com/earendil-works/pi/issues/5737: 1 h writes priced as 5 min writes.
    reading = MESSAGES.usage(
        {'input_tokens': 4, 'cache_creation_input_tokens': 1_165, 'output_tokens': 1}
    )
    marked = {'type': 'text', 'text': 'x', 'cache_control': {'type': 'ephemeral', 'ttl': '1h'}}
    plain = {'type': 'text', 'text': 'x', 'cache_control': {'type': 'ephemeral'}}

    one_hour = MESSAGES.refine(reading, {'system': [marked]}).usage
    five_minutes = MESSAGES.refine(reading, {'system': [plain]}).usage
    both = MESSAGES.refine(reading, {'system': [plain, marked]}).usage

    assert reading.usage.cache_write_unsplit_tokens == 1_165
    assert one_hour.cache_write_1h_tokens == 1_165
    assert five_minutes.cache_write_5m_tokens == 1_165
    assert both.cache_write_unsplit_tokens == 1_165


def test_cumulative_counts_of_a_stream_are_not_added():
    # https://github.com/langchain-ai/langchain/issues/32818: cache tokens doubled in streams.
    reading = read_stream(
        start(input_tokens=10, cache_read_input_tokens=500, output_tokens=1),
        delta(input_tokens=10, cache_read_input_tokens=500, output_tokens=42),
        STOP,
    )

    assert Usage(input_tokens=510, output_tokens=42, cache_read_tokens=500) == reading.usage
    assert reading.complete


def test_a_stream_keeps_what_only_its_first_event_says():
    reading = read_stream(
        start(
            input_tokens=5,
            cache_creation_input_tokens=10_000,
            cache_creation={'ephemeral_5m_input_tokens': 0, 'ephemeral_1h_input_tokens': 10_000},
            output_tokens=1,
            service_tier='priority',
            inference_geo='us',
            speed='fast',
        ),
        delta(output_tokens=7, server_tool_use={'web_search_requests': 3}),
        STOP,
    )

    expected = Usage(
        input_tokens=10_005,
        output_tokens=7,
        cache_write_tokens=10_000,
        cache_write_1h_tokens=10_000,
        tool_uses={'web_search': 3},
    )
    assert expected == reading.usage
    assert Terms(tier='fast', batch=False, geo='us') == reading.terms


def test_a_stream_cut_early_has_its_first_counts_and_says_so():
    reading = read_stream(start(input_tokens=25, output_tokens=1))

    assert Usage(input_tokens=25, output_tokens=1) == reading.usage
    assert not reading.complete
    assert reading.response_id == 'msg_1'


def test_compaction_and_advisor_are_parts_beside_the_answers_own_iterations():
    reading = MESSAGES.answer(
        {
            'id': 'msg_2',
            'model': 'claude-sonnet-4-6',
            'stop_reason': 'end_turn',
            'content': [],
            'usage': {
                'input_tokens': 400,
                'output_tokens': 30,
                'server_tool_use': {'web_search_requests': 1},
                'iterations': [
                    {'type': 'compaction', 'input_tokens': 180_000, 'output_tokens': 3_500},
                    {'type': 'message', 'input_tokens': 400, 'output_tokens': 10},
                    {
                        'type': 'advisor_message',
                        'model': 'claude-opus-5',
                        'input_tokens': 900,
                        'output_tokens': 99,
                    },
                    {'type': 'message', 'input_tokens': 450, 'output_tokens': 20},
                ],
            },
        }
    )

    # The top level may hold the first iteration's input only: 400 + 450 were billed.
    assert Usage(input_tokens=850, output_tokens=30, tool_uses={'web_search': 1}) == reading.usage
    first, second = reading.iterations
    assert (first.input_tokens, second.input_tokens) == (400, 450)
    compaction = Part(usage=Usage(input_tokens=180_000, output_tokens=3_500), purpose='compaction')
    advisor = Part(
        usage=Usage(input_tokens=900, output_tokens=99), purpose='user', model='claude-opus-5'
    )
    assert (compaction, advisor) == reading.parts


def test_an_answer_that_only_compacts_has_no_usage_of_its_own():
    reading = MESSAGES.usage(
        {
            'input_tokens': 0,
            'output_tokens': 0,
            'iterations': [{'type': 'compaction', 'input_tokens': 55_196, 'output_tokens': 125}],
        }
    )

    assert Usage(input_tokens=0, output_tokens=0) == reading.usage
    assert [part.usage.input_tokens for part in reading.parts] == [55_196]


def test_a_fallback_bills_each_model_its_own_iteration():
    reading = MESSAGES.usage(
        {
            'input_tokens': 1_000,
            'output_tokens': 2_000,
            'iterations': [
                {'type': 'message', 'model': 'claude-a', 'input_tokens': 990, 'output_tokens': 0},
                {
                    'type': 'fallback_message',
                    'model': 'claude-b',
                    'input_tokens': 1_000,
                    'output_tokens': 2_000,
                },
            ],
        }
    )

    assert Usage(input_tokens=1_000, output_tokens=2_000) == reading.usage
    assert [part.model for part in reading.parts] == ['claude-a']
    assert reading.doubts == ('refused_before_output',)


def test_a_batch_is_echoed_as_a_tier():
    reading = MESSAGES.usage({'input_tokens': 1, 'output_tokens': 1, 'service_tier': 'batch'})

    assert Terms(tier='standard', batch=True) == reading.terms


def test_an_unsaid_tier_stays_unknown():
    assert Terms() == MESSAGES.usage({'input_tokens': 1, 'output_tokens': 1}).terms


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        ({'output_tokens': 1}, 'no `input_tokens`'),
        ({'input_tokens': '12', 'output_tokens': 1}, "`input_tokens` is '12'"),
        ({'input_tokens': -1, 'output_tokens': 1}, '-1'),
        ({'input_tokens': True, 'output_tokens': 1}, 'True'),
        (
            {
                'input_tokens': 1,
                'output_tokens': 1,
                'cache_creation_input_tokens': 0,
                'cache_creation': {'ephemeral_1h_input_tokens': 7},
            },
            'exceed',
        ),
        (
            {
                'input_tokens': 45_000,
                'output_tokens': 10,
                'iterations': [{'type': 'message', 'input_tokens': 23_000, 'output_tokens': 10}],
            },
            'which of them was billed is unknown',
        ),
    ],
)
def test_a_contradiction_raises(words, complaint):
    with pytest.raises(UsageError, match=complaint):
        MESSAGES.usage(words)


def test_blocks_leave_out_cache_marks_and_spelling():
    marked = {
        'tools': [{'name': 'look', 'cache_control': {'type': 'ephemeral'}}],
        'system': [{'type': 'text', 'text': 'Be kind.', 'cache_control': {'type': 'ephemeral'}}],
        'messages': [{'role': 'user', 'content': 'Hello'}],
    }
    plain = {
        'tools': [{'name': 'look'}],
        'system': 'Be kind.',
        'messages': [{'role': 'user', 'content': [{'text': 'Hello', 'type': 'text'}]}],
    }

    pieces = [list(MESSAGES.blocks(one)) for one in (plain, marked)]
    assert [data for data, _ in pieces[0]] == [data for data, _ in pieces[1]]
    assert ['t0.20', 's0.40', 'm0.35'] == [place for _, place in pieces[0]]
    assert ['t0.20*5m', 's0.40*5m', 'm0.35'] == [place for _, place in pieces[1]]
    assert MESSAGES.last_text(plain) == MESSAGES.last_text(marked) == 'Hello'
    assert MESSAGES.chars(plain) == len('look' + 'Be kind.' + 'Hello')
