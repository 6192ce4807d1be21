"""Gemini's cached tokens are inside its prompt; thoughts and tool prompts are beside."""

import json

import pytest

from farthing import wire
from farthing.errors import UsageError
from farthing.prices.quote import Terms
from farthing.usage import Usage

GEMINI = wire.for_api('gemini')
WORDS = {
    'promptTokenCount': 1_000,
    'cachedContentTokenCount': 600,
    'toolUsePromptTokenCount': 50,
    'candidatesTokenCount': 20,
    'thoughtsTokenCount': 80,
    'totalTokenCount': 1_150,
    'promptTokensDetails': [
        {'modality': 'TEXT', 'tokenCount': 900},
        {'modality': 'AUDIO', 'tokenCount': 100},
    ],
    'cacheTokensDetails': [{'modality': 'TEXT', 'tokenCount': 600}],
    'serviceTier': 'flex',
}
EXPECTED = Usage(
    input_tokens=1_050,
    output_tokens=100,
    cache_read_tokens=600,
    reasoning_tokens=80,
    input_audio_tokens=100,
    cache_read_audio_tokens=0,
    cache_read_image_tokens=0,
)


def test_counts_are_inclusive_and_modalities_kept():
    # https://github.com/BerriAI/litellm/issues/37281: image and cache overlap.
    reading = GEMINI.usage(WORDS)

    assert reading.usage == EXPECTED
    assert Terms(tier='flex') == reading.terms


def test_the_sdks_spelling_reads_the_same():
    snake = {
        'prompt_token_count': 1_000,
        'cached_content_token_count': 600,
        'tool_use_prompt_token_count': 50,
        'candidates_token_count': 20,
        'thoughts_token_count': 80,
        'total_token_count': 1_150,
        'prompt_tokens_details': [{'modality': 'AUDIO', 'token_count': 100}],
        'cache_tokens_details': [{'modality': 'TEXT', 'token_count': 600}],
        'service_tier': 'FLEX',
    }

    assert GEMINI.usage(WORDS) == GEMINI.usage(snake)


def test_a_streams_last_counts_count_and_its_searches_are_found():
    chunks = [
        {
            'candidates': [
                {
                    'content': {'parts': [{'text': 'a'}]},
                    'groundingMetadata': {'webSearchQueries': ['x', 'y']},
                }
            ],
            'usageMetadata': {'promptTokenCount': 4, 'totalTokenCount': 4},
            'modelVersion': 'gemini-3-flash',
        },
        {
            'candidates': [{'content': {'parts': [{'text': 'b'}]}, 'finishReason': 'STOP'}],
            'usageMetadata': {
                'promptTokenCount': 4,
                'candidatesTokenCount': 2,
                'totalTokenCount': 6,
                'trafficType': 'ON_DEMAND_PRIORITY',
            },
            'modelVersion': 'gemini-3-flash',
            'responseId': 'r1',
        },
    ]
    stream = GEMINI.stream()
    for chunk in chunks:
        stream.feed(f'data: {json.dumps(chunk)}\r\n\r\n'.encode())

    reading = stream.reading()

    uses = {'grounding': 1, 'grounding_query': 2}
    assert Usage(input_tokens=4, output_tokens=2, tool_uses=uses) == reading.usage
    assert Terms(tier='priority') == reading.terms
    assert reading.complete
    assert (reading.model, reading.response_id) == ('gemini-3-flash', 'r1')


def test_a_total_that_its_parts_do_not_make_raises():
    with pytest.raises(UsageError, match='add up to 3'):
        GEMINI.usage({'promptTokenCount': 1, 'candidatesTokenCount': 2, 'totalTokenCount': 9})
