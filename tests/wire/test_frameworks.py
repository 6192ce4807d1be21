"""What frameworks keep of an answer reads as far as it goes, and no further."""

import pytest

from farthing import wire
from farthing.errors import InputError, UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import langchain, llama_index


def lc(words, **kw):
    return wire.usage_from('langchain_usage_metadata', words, **kw)


def test_lifetimes_replace_the_total_that_langchain_sets_to_zero():
    reading = lc(
        {
            'input_tokens': 13_307,
            'output_tokens': 550,
            'total_tokens': 13_857,
            'input_token_details': {
                'cache_read': 12_304,
                'cache_creation': 0,
                'ephemeral_5m_input_tokens': 900,
                'ephemeral_1h_input_tokens': 100,
            },
        }
    )

    expected = Usage(
        input_tokens=13_307,
        output_tokens=550,
        cache_read_tokens=12_304,
        cache_write_tokens=1_000,
        cache_write_5m_tokens=900,
        cache_write_1h_tokens=100,
    )
    assert expected == reading.usage
    assert Terms() == reading.terms


def test_details_renamed_by_the_tier_are_found_and_never_summed():
    reading = lc(
        {
            'input_tokens': 10_000,
            'output_tokens': 300,
            'total_tokens': 10_300,
            'input_token_details': {
                'flex_cache_read': 2_000,
                'flex_cache_creation': 3_000,
                'flex': 8_000,
            },
            'output_token_details': {'flex_reasoning': 100, 'flex': 200},
        },
        provider='openai',
    )

    expected = Usage(
        input_tokens=10_000,
        output_tokens=300,
        cache_read_tokens=2_000,
        cache_write_tokens=3_000,
        cache_write_30m_tokens=3_000,
        reasoning_tokens=100,
    )
    assert expected == reading.usage
    assert Terms(tier='flex') == reading.terms


def test_an_input_of_zero_is_unknown():
    reading = lc({'input_tokens': 0, 'output_tokens': 201, 'total_tokens': 201})

    assert reading.usage is None


def test_the_providers_own_usage_is_preferred():
    raw = {
        'input_tokens': 3,
        'output_tokens': 5,
        'cache_creation': {'ephemeral_1h_input_tokens': 10},
        'service_tier': 'priority',
        'inference_geo': 'us',
        'server_tool_use': {'web_search_requests': 2},
    }
    metadata = {
        'id': 'msg_1',
        'model_name': 'claude-sonnet-4-6',
        'model_provider': 'anthropic',
        'usage': raw,
        'stop_reason': 'end_turn',
    }

    reading = langchain.answer({'input_tokens': 13, 'output_tokens': 5}, metadata)

    assert reading.usage.tool_uses == {'web_search': 2}
    assert reading.usage.cache_write_1h_tokens == 10
    assert Terms(tier='priority', batch=False, geo='us') == reading.terms
    assert (reading.response_id, reading.model) == ('msg_1', 'claude-sonnet-4-6')


def test_a_message_without_usage_has_none():
    # https://github.com/langchain-ai/langchain/issues/30390
    reading = langchain.answer(None, {'model_name': 'gpt-4o', 'model_provider': 'openai'})

    assert reading.usage is None
    assert reading.model == 'gpt-4o'


def test_a_total_above_its_parts_raises():
    # An older langchain-google-genai leaves thoughts out of the output, not out of the total.
    with pytest.raises(UsageError, match='billed is unknown'):
        lc({'input_tokens': 10, 'output_tokens': 5, 'total_tokens': 115})


def test_a_total_without_cached_tokens_is_bedrocks():
    details = {'cache_read': 90}
    words = {'input_tokens': 100, 'output_tokens': 5, 'total_tokens': 15}

    reading = lc({**words, 'input_token_details': details})

    assert Usage(input_tokens=100, output_tokens=5, cache_read_tokens=90) == reading.usage


def test_llama_index_tells_the_provider_by_its_words():
    raws = [
        {'usage': {'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 9}},
        {'usage': {'input_tokens': 7, 'output_tokens': 2, 'total_tokens': 9}},
        {
            'usage': {
                'input_tokens': 3,
                'cache_read_input_tokens': 4,
                'cache_creation_input_tokens': 0,
                'output_tokens': 2,
            }
        },
        {'usage_metadata': {'prompt_token_count': 7, 'candidates_token_count': 2}},
    ]

    counts = [
        (reading.usage.input_tokens, reading.usage.output_tokens, reading.doubts)
        for reading in map(llama_index.answer, raws)
    ]
    assert counts == [(7, 2, ())] * 4


def test_llama_index_streams_without_cache_counts_are_in_doubt_or_unknown():
    # https://github.com/run-llama/llama_index/issues/22548: 21,503 billed, 3 reported.
    partial = llama_index.answer(None, {'usage': {'input_tokens': 3, 'output_tokens': 9}})
    lost = llama_index.answer({'usage': {'input_tokens': None, 'output_tokens': 9}})

    assert partial.doubts == ('cache',)
    assert lost.usage is None


def test_llama_index_without_usage_has_none():
    assert llama_index.answer({'usage': None}).usage is None
    assert llama_index.answer(None).usage is None


def test_an_unknown_api_is_named_with_the_known_ones():
    with pytest.raises(InputError, match='openai_chat'):
        wire.usage_from('soap', {})
