"""Prices computed by hand from the sources named, asked for as a user asks: by `--cases`.

Each expectation was worked out apart from the price book; its arithmetic stands beside it.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from farthing.cli.cases import answered
from farthing.prices import PriceBook

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GLOBAL = {'service_tier': 'standard', 'inference_geo': 'global'}
DEFAULT = {'service_tier': 'default', 'base_url': 'https://api.openai.com/v1'}
STANDARD = {'service_tier': 'standard'}
US, EU = 'https://us.api.openai.com/v1', 'https://eu.api.openai.com/v1'


def claude(
    given: int, made: int, *, w5: int = 0, w1: int = 0, read: int = 0, **more: Any
) -> dict[str, Any]:
    return {
        'input_tokens': given,
        'output_tokens': made,
        'cache_creation_input_tokens': w5 + w1,
        'cache_read_input_tokens': read,
        'cache_creation': {'ephemeral_5m_input_tokens': w5, 'ephemeral_1h_input_tokens': w1},
        **GLOBAL,
        **more,
    }


def gpt(given: int, made: int, *, read: int = 0, written: int = 0, **more: Any) -> dict[str, Any]:
    details = {'cached_tokens': read, 'cache_write_tokens': written, **more}
    return {'input_tokens': given, 'output_tokens': made, 'input_tokens_details': details}


def gemini(given: int, made: int, *, read: int = 0, **more: Any) -> dict[str, Any]:
    counts = {'promptTokenCount': given, 'candidatesTokenCount': made}
    return {**counts, 'cachedContentTokenCount': read, **more}


APIS = {
    'anthropic': 'anthropic_messages',
    'openai': 'openai_responses',
    'google': 'gemini',
    'google-vertex': 'gemini',
}


def asked(
    provider: str, model: str, date: str, usage: dict[str, Any], context: dict[str, Any]
) -> dict[str, Any]:
    case = {'id': 1, 'provider': provider, 'api': APIS[provider], 'model': model, 'date': date}
    said, is_case = answered(PriceBook.load(), {**case, 'usage': usage, 'context': context}, NOW)
    assert is_case
    return said


RICH = claude(100, 300, w5=2_000, w1=4_000, read=8_000)
SEARCH = {'server_tool_use': {'web_search_requests': 3}}
BATCH = {'service_tier': 'batch'}
FAST = {'speed': 'fast'}


# platform.claude.com/docs/en/about-claude/pricing and genai-prices 0.2.3, in USD per million.
@pytest.mark.parametrize(
    ('model', 'date', 'usage', 'usd'),
    [
        # 100 x 5 + 2,000 x 6.25 + 4,000 x 10 + 8,000 x 0.5 + 300 x 25
        ('claude-opus-4-8', '2026-11-01', RICH, '0.0645'),
        ('claude-opus-4-8', '2026-11-01', {**RICH, **BATCH}, '0.03225'),
        ('claude-opus-4-8', '2026-11-01', {**RICH, 'inference_geo': 'us'}, '0.07095'),
        ('claude-opus-4-8', '2026-11-29', {**RICH, **FAST}, '0.129'),
        # The same at 4 / 5 / 8 / 0.2 / 20: reads are a twentieth of input.
        ('claude-opus-5-5', '2026-11-10', RICH, '0.0500'),
        # The same at 8 / 10 / 16 / 0.2 / 40: reads are a fortieth.
        ('claude-fable-5-2', '2026-11-20', RICH, '0.0984'),
        # At 2 / 2.5 / 4 / 0.2 / 10; reads were halved on 2026-10-07 (Claude Platform release
        # notes of that day; github.com/TheKrush/PromptFuel/releases/tag/v1.0.23).
        ('claude-sonnet-5-5', '2026-10-06', RICH, '0.0258'),
        ('claude-sonnet-5-5', '2026-10-07', RICH, '0.0250'),
        # Searches are neither halved nor raised: 1,000 x 2 + 300 x 10, and 3 x 10 / 1,000.
        ('claude-sonnet-5', '2026-11-01', claude(1_000, 300, **SEARCH), '0.035'),
        (
            'claude-sonnet-5',
            '2026-11-01',
            claude(1_000, 300, **{**SEARCH, 'inference_geo': 'us'}),
            '0.0355',
        ),
        # 100,000 stays in the lower band of Haiku 5.5, whatever part of it was cached.
        ('claude-haiku-5-5', '2026-11-10', claude(100_000, 1_000), '0.0105'),
        # 50,000 x 0.5 + 50,001 x 0.05 + 1,000 x 2.5
        ('claude-haiku-5-5', '2026-11-10', claude(50_000, 1_000, read=50_001), '0.03000005'),
        # Half of 150,000 x 0.5 + 1,000 x 2.5
        ('claude-haiku-5-5', '2026-11-10', {**claude(150_000, 1_000), **BATCH}, '0.03875'),
        ('claude-sonnet-4-6', '2026-03-12', claude(200_001, 100), '1.202256'),  # 6, 22.5
        ('claude-sonnet-4-6', '2026-03-13', claude(200_001, 100), '0.601503'),  # 3, 15
    ],
)
def test_claude(model: str, date: str, usage: dict[str, Any], usd: str) -> None:
    said = asked('anthropic', model, date, usage, {})

    assert ('exact', Decimal(usd)) == (said['status'], said['cost_usd'])


CACHED = gpt(10_000, 500, read=4_000, written=3_000)
LONG = gpt(272_001, 500)


# developers.openai.com/api/docs/pricing, by genai-prices 0.2.3 and LiteLLM 1.109.1.
@pytest.mark.parametrize(
    ('model', 'date', 'usage', 'context', 'usd'),
    [
        # 3,000 x 5 + 4,000 x 0.5 + 3,000 x 6.25 + 500 x 30, cut to 4 / 0.4 / 5 / 20
        ('gpt-5.6-sol', '2026-08-20', CACHED, DEFAULT, '0.05075'),
        ('gpt-5.6-sol', '2026-08-21', CACHED, DEFAULT, '0.0386'),
        # 3,000 x 2 + 4,000 x 0.1 + 3,000 x 2.5 + 500 x 10
        ('gpt-6.1-sol', '2026-11-01', CACHED, DEFAULT, '0.0189'),
        ('gpt-6.1-sol', '2026-11-01', CACHED, {**DEFAULT, 'service_tier': 'Fast'}, '0.0378'),
        ('gpt-6.1-sol', '2026-11-01', CACHED, {**DEFAULT, 'batch': True}, '0.00945'),
        ('gpt-6.1-sol', '2026-11-01', CACHED, {**DEFAULT, 'base_url': EU}, '0.02079'),
        # Six times: venice.ai sells it on at 12 / 60, Vercel says six times of GPT-6 Astra.
        ('gpt-6.1-sol', '2026-11-01', CACHED, {**DEFAULT, 'service_tier': 'ultrafast'}, '0.1134'),
        # 272,001 x 4 + 500 x 15; twice that, and half
        ('gpt-6.1-sol', '2026-11-01', LONG, {**DEFAULT, 'service_tier': 'priority'}, '2.191008'),
        ('gpt-6.1-sol', '2026-11-01', LONG, {**DEFAULT, 'service_tier': 'flex'}, '0.547752'),
        # The list rounds: 6,000 x 1.25 + 4,000 x 0.13 + 500 x 7.5
        (
            'gpt-5.4',
            '2026-11-01',
            gpt(10_000, 500, read=4_000),
            {**DEFAULT, 'batch': True},
            '0.01177',
        ),
        # 6,000 x 12.5 + 4,000 x 1.25 + 500 x 75
        (
            'gpt-5.5',
            '2026-11-01',
            gpt(10_000, 500, read=4_000),
            {**DEFAULT, 'service_tier': 'priority'},
            '0.1175',
        ),
        # Older than 2026-03-05: no ten percent. 1,000 x 1.75 + 500 x 14
        ('gpt-5.2', '2026-11-01', gpt(1_000, 500), {**DEFAULT, 'base_url': US}, '0.00875'),
        ('o3', '2025-06-11', gpt(10_000, 500, read=4_000), DEFAULT, '0.018'),  # 2, 0.5, 8
    ],
)
def test_gpt(model: str, date: str, usage: dict[str, Any], context: Any, usd: str) -> None:
    said = asked('openai', model, date, usage, context)

    assert ('exact', Decimal(usd)) == (said['status'], said['cost_usd'])


# ai.google.dev/gemini-api/docs/pricing, by genai-prices 0.2.3.
@pytest.mark.parametrize(
    ('model', 'date', 'usage', 'context', 'usd'),
    [
        ('gemini-2.5-pro', '2026-11-01', gemini(200_000, 300), STANDARD, '0.253'),  # 1.25, 10
        ('gemini-2.5-pro', '2026-11-01', gemini(200_001, 300), STANDARD, '0.5045025'),  # 2.5, 15
        # Batches halve input and output, not the cache: 6,000 x 0.15 + 4,000 x 0.03 + 300 x 1.25
        ('gemini-2.5-flash', '2026-11-01', gemini(10_000, 300, read=4_000), BATCH, '0.001395'),
        # ... of newer models all three: 6,000 x 0.375 + 4,000 x 0.0375 + 300 x 1.875
        ('gemini-3.8-flash', '2026-11-01', gemini(10_000, 300, read=4_000), BATCH, '0.0029625'),
        ('gemini-3.8-flash', '2026-12-31', gemini(1_000, 300), STANDARD, '0.001875'),  # 0.75, 3.75
        ('gemini-3.8-flash', '2027-01-01', gemini(1_000, 300), STANDARD, '0.00375'),
        ('gemini-4-argon', '2026-12-01', gemini(1_000, 300), STANDARD, '0.01'),  # 4, 20
        # Thoughts are output: 1,000 x 0.3 + 1,000 x 2.5
        (
            'gemini-2.5-flash',
            '2026-11-01',
            gemini(1_000, 300, thoughtsTokenCount=700),
            STANDARD,
            '0.0028',
        ),
    ],
)
def test_gemini(model: str, date: str, usage: dict[str, Any], context: Any, usd: str) -> None:
    said = asked('google', model, date, usage, {'batch': True} if context is BATCH else context)

    assert ('exact', Decimal(usd)) == (said['status'], said['cost_usd'])


KEPT = gpt(
    10_000,
    500,
    written=3_000,
    cache_write_tokens_details={'ttl_30m_tokens': 1_000, 'ttl_12h_tokens': 2_000},
)


@pytest.mark.parametrize(
    ('provider', 'model', 'date', 'usage', 'context', 'assumed', 'usd'),
    [
        # Announced at 1.5 / 7.5; when the introductory price began, sources disagree.
        ('google', 'gemini-3.6-flash', '2026-08-01', gemini(1_000, 300), STANDARD,
         'rate of input', '0.00375'),
        # 1,290 tokens may be the picture, at 30, or text, at 2.5.
        ('google', 'gemini-2.5-flash-image', '2026-09-01', gemini(1_000, 1_290), STANDARD,
         'output_image', '0.003525'),
        ('google', 'gemini-3-pro-image-preview', '2026-09-01', gemini(1_000, 300),
         {'service_tier': 'flex'}, 'tier', '0.0028'),
        ('google-vertex', 'gemini-3.8-flash', '2026-11-01', gemini(1_000, 300), STANDARD,
         'region', '0.001875'),
        # Twelve hours cost twice thirty minutes, and no meter has them: priced as the latter.
        ('openai', 'gpt-6.1-sol', '2026-11-01', KEPT, DEFAULT, 'cache_ttl', '0.0265'),
        # "At least through November 21, 2026": developers.openai.com/api/docs/models/gpt-5.6-sol
        ('openai', 'gpt-5.6-sol', '2026-11-22', gpt(1_000, 500), DEFAULT, 'rate of input', '0.014'),
        # The list leaves its long prompts out; LiteLLM has 25 and 112.5.
        ('openai', 'gpt-5.6-cyber', '2026-11-01', LONG, DEFAULT, 'rate of input', '6.856275'),
        # Its every answer has made a search, at 25 per thousand: 1,000 x 2.5 + 500 x 10, and 0.025
        ('openai', 'gpt-4o-search-preview', '2026-06-01', gpt(1_000, 500), DEFAULT,
         'web_search', '0.0325'),
        # What Google's tools put into the prompt is billed, or is not, by the tool.
        ('google', 'gemini-2.5-pro', '2026-11-01', gemini(1_000, 300, toolUsePromptTokenCount=200),
         STANDARD, 'grounding', '0.0045'),
        ('openai', 'gpt-4o', '2024-07-01', gpt(1_000, 500), DEFAULT, 'rate of input', '0.0125'),
        ('openai', 'gpt-4o-audio-preview', '2026-01-01', gpt(1_000, 500), DEFAULT,
         'alias', '0.0075'),
        # The long window of Sonnet 4.5 was withdrawn on 2026-04-30.
        ('anthropic', 'claude-sonnet-4-5', '2026-06-01', claude(250_000, 100), {},
         'rate of input', '1.50225'),
        ('anthropic', 'claude-3-5-haiku-20241022', '2024-11-20', claude(1_000, 300), {},
         'rate of input', '0.0025'),
        ('anthropic', 'claude-opus-5', '2026-11-01', claude(1_000, 300, ether_tokens=5), {},
         "usage 'ether_tokens'", '0.0125'),
    ],
)  # fmt: skip
def test_what_sources_leave_open_is_assumed(
    provider: str,
    model: str,
    date: str,
    usage: dict[str, Any],
    context: Any,
    assumed: str,
    usd: str,
) -> None:
    said = asked(provider, model, date, usage, context)

    assert ('assumed', Decimal(usd)) == (said['status'], said['cost_usd'])
    assert assumed in said['assumed']


@pytest.mark.parametrize(
    ('provider', 'model', 'date', 'usage', 'context'),
    [
        ('anthropic', 'claude-opus-5', '2026-07-23', claude(1_000, 300), {}),  # a day too early
        ('anthropic', 'claude-fable-5-2', '2026-11-08', claude(1_000, 300), {}),
        ('anthropic', 'claude-opus-4-7', '2026-07-25', claude(1_000, 300, **FAST), {}),
        ('anthropic', 'claude-haiku-4-5', '2026-06-01', claude(9, 9, inference_geo='us'), {}),
        # Previewed without a published price: github.com/BerriAI/litellm/issues/37326
        ('openai', 'gpt-5.6-sol', '2026-11-01', gpt(9, 9), {'service_tier': 'ultrafast'}),
        ('openai', 'gpt-6-astra', '2026-09-02', gpt(9, 9), DEFAULT),
        ('openai', 'gpt-6.9-sol', '2026-11-01', gpt(9, 9), DEFAULT),
        ('google', 'gemini-4-argon', '2026-09-29', gemini(9, 9), STANDARD),
    ],
)
def test_what_was_not_sold_has_no_price(
    provider: str, model: str, date: str, usage: dict[str, Any], context: Any
) -> None:
    said = asked(provider, model, date, usage, context)

    assert ('unpriced', None) == (said['status'], said['cost_usd'])


def test_a_case_that_says_nothing_of_a_batch_was_a_synchronous_call() -> None:
    bare = {'input_tokens': 1_000, 'output_tokens': 300}

    said = asked('anthropic', 'claude-haiku-4-5', '2026-06-01', bare, STANDARD)

    assert ('exact', Decimal('0.0025')) == (said['status'], said['cost_usd'])
