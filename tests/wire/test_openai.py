"""OpenAI's counts are inclusive; its tools are counted from the answer."""

import json

import pytest

from farthing import wire
from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage

CHAT = wire.for_api('openai_chat')
RESPONSES = wire.for_api('openai_responses')
EMBEDDINGS = wire.for_api('openai_embeddings')


def test_cache_writes_are_kept_and_live_thirty_minutes():
    # https://github.com/BerriAI/litellm/issues/33772: `cache_write_tokens` dropped.
    words = {
        'prompt_tokens': 10_000,
        'completion_tokens': 100,
        'total_tokens': 10_100,
        'prompt_tokens_details': {'cached_tokens': 2_000, 'cache_write_tokens': 3_000},
        'completion_tokens_details': {'reasoning_tokens': 64},
    }

    expected = Usage(
        input_tokens=10_000,
        output_tokens=100,
        cache_read_tokens=2_000,
        cache_write_tokens=3_000,
        cache_write_30m_tokens=3_000,
        reasoning_tokens=64,
    )
    assert expected == CHAT.usage(words).usage
    assert expected.uncached_input_tokens == 5_000


@pytest.mark.parametrize(
    ('echo', 'tier'),
    [
        ('default', 'standard'),
        ('flex', 'flex'),
        ('priority', 'priority'),
        ('fast', 'priority'),
        ('ultrafast', 'ultrafast'),
        ('auto', None),
        (None, None),
    ],
)
def test_the_served_tier_is_read_from_the_answer(echo, tier):
    assert Terms(tier=tier) == CHAT.answer({'service_tier': echo, 'choices': []}).terms


def test_a_chat_stream_without_usage_has_none():
    # https://github.com/langchain-ai/langchain/issues/30390: shown as 0.
    stream = CHAT.stream()
    for text in ('Hel', 'lo'):
        chunk = {
            'id': 'chatcmpl-1',
            'model': 'gpt-4o',
            'choices': [{'delta': {'content': text}, 'finish_reason': None}],
        }
        stream.feed(f'data: {json.dumps(chunk, separators=(",", ":"))}\n\n'.encode())
    stream.feed(b'data: [DONE]\n\n')

    reading = stream.reading()

    assert reading.usage is None
    assert reading.complete
    assert (reading.response_id, reading.model) == ('chatcmpl-1', 'gpt-4o')
    assert reading.output_chars == len('Hello')


def test_reasoning_beside_the_output_is_output_where_the_total_says_so():
    words = {
        'prompt_tokens': 10,
        'completion_tokens': 5,
        'total_tokens': 115,
        'completion_tokens_details': {'reasoning_tokens': 100},
    }

    assert (
        Usage(input_tokens=10, output_tokens=105, reasoning_tokens=100) == CHAT.usage(words).usage
    )


@pytest.mark.parametrize(
    'words',
    [
        {'prompt_tokens': 10, 'completion_tokens': 5, 'total_tokens': 16},
        {
            'prompt_tokens': 10,
            'completion_tokens': 5,
            'prompt_tokens_details': {'cached_tokens': 11},
        },
        {'prompt_tokens': 10},
        {'input_tokens': 10, 'output_tokens': 5},
    ],
)
def test_a_contradiction_raises(words):
    with pytest.raises(UsageError):
        CHAT.usage(words)


def test_only_searches_of_a_web_search_cost_and_its_generation_is_kept():
    body = {
        'id': 'resp_1',
        'model': 'gpt-4o',
        'status': 'completed',
        'tools': [{'type': 'web_search_preview_2025_03_11'}],
        'output': [
            {'type': 'web_search_call', 'status': 'completed', 'action': {'type': 'search'}},
            {'type': 'web_search_call', 'status': 'completed', 'action': {'type': 'open_page'}},
            {'type': 'web_search_call', 'status': 'completed'},
            {'type': 'file_search_call', 'status': 'completed'},
        ],
        'usage': {'input_tokens': 8, 'output_tokens': 2, 'total_tokens': 10},
    }

    reading = RESPONSES.answer(body)

    uses = {'web_search_preview': 2, 'web_search_open_page': 1, 'file_search': 1}
    assert uses == reading.usage.tool_uses
    assert not reading.doubts


def test_a_container_is_one_use_and_in_doubt():
    output = [{'type': 'code_interpreter_call', 'container_id': 'cntr_1'}] * 3
    usage = {'input_tokens': 8, 'output_tokens': 2, 'total_tokens': 10}

    reading = RESPONSES.answer({'status': 'completed', 'output': output, 'usage': usage})

    assert reading.usage.tool_uses == {'code_interpreter': 1}
    assert reading.doubts == ('code_interpreter',)


def test_a_queued_background_answer_has_no_usage_and_is_not_complete():
    reading = RESPONSES.answer({'id': 'resp_1', 'status': 'queued', 'usage': None, 'output': []})

    assert reading.usage is None
    assert not reading.complete


def test_a_search_model_searches_once_and_that_is_in_doubt():
    body = {
        'model': 'gpt-4o-search-preview-2025-03-11',
        'choices': [],
        'usage': {'prompt_tokens': 11, 'completion_tokens': 17, 'total_tokens': 28},
    }

    reading = CHAT.answer(body)

    assert reading.usage.tool_uses == {'web_search_preview': 1}
    assert reading.doubts == ('web_search',)


def test_embeddings_have_no_output():
    words = {'prompt_tokens': 6, 'total_tokens': 6}

    assert Usage(input_tokens=6, output_tokens=0) == EMBEDDINGS.usage(words).usage


def test_the_last_text_is_found_in_every_form_of_input():
    block = {'type': 'input_text', 'text': 'Hi'}
    bodies = [
        {'messages': [{'role': 'system', 'content': 'x'}, {'role': 'user', 'content': 'Hi'}]},
        {'input': 'Hi'},
        {'input': [{'role': 'user', 'content': [block]}, {'type': 'function_call'}]},
        {'input': ['Hello', 'Hi']},
        {'prompt': 'Hi'},
    ]

    assert {'Hi'} == {CHAT.last_text(body) for body in bodies}
