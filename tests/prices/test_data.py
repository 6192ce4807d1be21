"""The packaged prices: fresh, and in agreement with the providers' pages and genai-prices."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing.prices import Call, PriceBook, Quote, Terms
from farthing.usage import Usage

BUILD = Path(__file__).parents[2] / 'prices' / 'build.py'
SHORT = Usage(input_tokens=100_000, output_tokens=10_000)
CACHED = Usage(
    input_tokens=100_000,
    output_tokens=10_000,
    cache_read_tokens=50_000,
    cache_write_tokens=30_000,
    cache_write_5m_tokens=10_000,
    cache_write_1h_tokens=20_000,
)
CACHED_30M = Usage(
    input_tokens=100_000,
    output_tokens=10_000,
    cache_read_tokens=50_000,
    cache_write_tokens=20_000,
    cache_write_30m_tokens=20_000,
)
LONG = Usage(input_tokens=300_000, output_tokens=10_000)

# What genai-prices sells and the book does not, each for a reason.
LEFT_OUT = {
    # Completion models that were shut down; their bare names are words.
    'ada': 'retired',
    'babbage': 'retired',
    'curie': 'retired',
    'davinci': 'retired',
    # Billed by the minute, the character or the picture, or apart from tokens of text.
    'gpt-4o-transcribe': 'minutes',
    'gpt-4o-mini-transcribe': 'minutes',
    'gpt-4o-mini-tts': 'sound, which has no rate there',
    'gemini-omni-1.1-flash': 'video',
    'gemini-omni-flash-preview': 'video',
    'gemini-embedding-2': 'video',
    'gemini-3.1-flash-live-preview': 'video',
    'gemini-3.8-live': 'video',
    'gemini-live-2.5-flash': 'video',
    # Sound without a rate of its own: our fact file lists each snapshot with one.
    'gpt-4o-audio-preview': 'sound',
    # Not the provider's own price, or an id that is none of its API.
    'gpt-5-image': 'from a router',
    'gpt-5-image-mini': 'from a router',
    'gpt-5.4-image-2': 'from a router',
    'gpt-4o-mini-2024-07-18.ft-': 'no id of the API',
    'gemini-flash-1.5': 'no id of the API',
    'gemini-flash-1.5-8b': 'no id of the API',
    'gemini-pro-1.5': 'no id of the API',
    # Thoughts had another price, which usage does not tell apart.
    'gemini-2.5-flash-preview': 'thoughts',
    # Shut down before Gemini 2.
    'gemini-1.5-flash': 'retired',
    'gemini-1.5-pro': 'retired',
    'gemini-1.0-pro-vision-001': 'retired',
    'gemini-pro': 'retired',
}


def quoted(
    provider: str, model: str, usage: Usage = SHORT, day: str = '2026-11-01', **terms: Any
) -> Quote:
    known = {'tier': 'standard', 'batch': False, 'geo': 'global', 'region': 'global', **terms}
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    call = Call(provider=provider, model=model, at=at, terms=Terms(**known))
    return PriceBook.load().quote(usage, call)


def test_the_packaged_data_is_what_the_facts_make() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(BUILD), '--check'], capture_output=True, text=True, check=False
    )

    assert (0, '', '') == (done.returncode, done.stdout, done.stderr)


# Computed by hand from https://platform.claude.com/docs/en/about-claude/pricing as it is cited in
# prices/anthropic.toml.
# Sonnet 4.6: 3 in, 0.30 read, 3.75 / 6 write, 15 out. Sonnet 5.5 reads at 0.05 x 2.
@pytest.mark.parametrize(
    ('model', 'usage', 'day', 'terms', 'usd'),
    [
        ('claude-sonnet-4-6', SHORT, '2026-11-01', {}, '0.45'),  # .1 x 3 + .01 x 15
        # .02 x 3 + .05 x .3 + .01 x 3.75 + .02 x 6 + .01 x 15 = .06 + .015 + .0375 + .12 + .15
        ('claude-sonnet-4-6', CACHED, '2026-11-01', {}, '0.3825'),
        ('claude-sonnet-4-6', CACHED, '2026-06-01', {'batch': True}, '0.19125'),
        ('claude-sonnet-4-6', CACHED, '2026-11-01', {'geo': 'us'}, '0.42075'),
        ('claude-sonnet-4-6', CACHED, '2026-11-01', {'geo': 'us', 'batch': True}, '0.210375'),
        # .02 x 2 + .05 x .1 + .01 x 2.5 + .02 x 4 + .01 x 10 = .04 + .005 + .025 + .08 + .1
        ('claude-sonnet-5-5', CACHED, '2026-11-01', {}, '0.25'),
        # Long prompts of Claude 4.6 cost double in and half more out until 2026-03-13.
        ('claude-opus-4-6', LONG, '2026-03-12', {}, '3.375'),  # .3 x 10 + .01 x 37.5
        ('claude-opus-4-6', LONG, '2026-03-13', {}, '1.75'),  # .3 x 5 + .01 x 25
        # Fast mode was six times the rate for Opus 4.7, and is twice the rate for 4.8.
        ('claude-opus-4-7', SHORT, '2026-07-24', {'tier': 'fast'}, '4.5'),  # 6 x (.5 + .25)
        ('claude-opus-4-8', SHORT, '2026-11-30', {'tier': 'fast'}, '1.5'),
        ('claude-haiku-5-5', LONG, '2026-11-01', {}, '0.175'),  # .3 x .5 + .01 x 2.5
        ('claude-3-5-haiku-20241022', SHORT, '2025-01-01', {}, '0.12'),  # .1 x .8 + .01 x 4
    ],
)
def test_claude_costs_what_anthropics_page_says(
    model: str, usage: Usage, day: str, terms: dict[str, Any], usd: str
) -> None:
    found = quoted('anthropic', model, usage, day, **terms)

    assert ('exact', Decimal(usd)) == (found.status, found.cost_usd)


# https://developers.openai.com/api/docs/pricing
@pytest.mark.parametrize(
    ('model', 'usage', 'day', 'terms', 'usd'),
    [
        # GPT-5.6 Sol: 5 / 0.5 / 6.25 / 30 until 2026-08-21, then 4 / 0.4 / 5 / 20.
        ('gpt-5.6-sol', CACHED_30M, '2026-08-20', {}, '0.6'),  # .15 + .025 + .125 + .3
        ('gpt-5.6-sol', CACHED_30M, '2026-08-21', {}, '0.44'),  # .12 + .02 + .1 + .2
        ('gpt-5.6', CACHED_30M, '2026-08-21', {'tier': 'flex'}, '0.22'),
        ('gpt-5.6', CACHED_30M, '2026-08-21', {'tier': 'priority'}, '0.88'),
        ('gpt-5.6', CACHED_30M, '2026-08-21', {'region': 'eu'}, '0.484'),
        ('gpt-5.6-sol', LONG, '2026-11-01', {}, '2.7'),  # .3 x 8 + .01 x 30
        ('gpt-5.6-sol', LONG, '2026-11-01', {'batch': True}, '1.35'),
        ('gpt-5.6-luna', SHORT, '2026-07-29', {}, '0.16'),  # .1 x 1 + .01 x 6
        ('gpt-5.6-luna', SHORT, '2026-07-30', {}, '0.032'),
        ('gpt-5.5', SHORT, '2026-11-01', {'tier': 'priority'}, '2'),  # .1 x 12.5 + .01 x 75
        ('gpt-4o', SHORT, '2026-11-01', {'tier': 'priority'}, '0.595'),  # 1.7 x .35
        ('gpt-4o-2024-05-13', SHORT, '2026-10-01', {}, '0.65'),  # .1 x 5 + .01 x 15
        ('gpt-4o', SHORT, '2026-11-01', {'region': 'us'}, '0.35'),  # too old for the ten percent
        ('o3', SHORT, '2025-06-09', {}, '1.4'),  # .1 x 10 + .01 x 40
        ('o3', SHORT, '2025-06-10', {}, '0.28'),
        ('gpt-6.1-sol', SHORT, '2026-11-01', {'tier': 'ultrafast'}, '1.8'),  # 6 x .3
        ('ft:gpt-4o-mini-2024-07-18:acme::9', SHORT, '2026-10-01', {}, '0.042'),
    ],
)
def test_gpt_costs_what_openais_page_says(
    model: str, usage: Usage, day: str, terms: dict[str, Any], usd: str
) -> None:
    found = quoted('openai', model, usage, day, **terms)

    assert ('exact', Decimal(usd)) == (found.status, found.cost_usd)


# https://ai.google.dev/gemini-api/docs/pricing, .../vertex-ai/generative-ai/pricing,
# https://aws.amazon.com/bedrock/pricing/, Azure's page; Sonnet 4.5 is 3 in and 15 out.
@pytest.mark.parametrize(
    ('provider', 'model', 'usage', 'day', 'terms', 'usd'),
    [
        ('google', 'gemini-2.5-pro', LONG, '2026-11-01', {}, '0.9'),  # .3 x 2.5 + .01 x 15
        ('google', 'gemini-2.5-pro', SHORT, '2026-11-01', {'batch': True}, '0.1125'),
        ('google', 'gemini-4-argon', SHORT, '2026-11-30', {}, '0.3'),  # .1 x 2 + .01 x 10
        ('google', 'gemini-4-argon', SHORT, '2026-12-01', {}, '0.6'),
        ('google', 'gemini-3.8-flash', SHORT, '2027-01-01', {'tier': 'priority'}, '0.405'),
        ('aws-bedrock', 'global.anthropic.claude-sonnet-4-5-20250929-v1:0', SHORT,
         '2026-11-01', {'region': None}, '0.45'),
        ('aws-bedrock', 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0', SHORT,
         '2026-11-01', {'region': None}, '0.495'),
        ('google-vertex', 'claude-sonnet-4-5@20250929', SHORT, '2026-11-01', {}, '0.45'),
        ('google-vertex', 'claude-sonnet-4-5@20250929', SHORT, '2026-11-01',
         {'region': 'europe-west1'}, '0.495'),
        ('azure', 'gpt-4o', SHORT, '2026-11-01', {}, '0.35'),
        ('azure', 'gpt-6-sol', SHORT, '2026-11-01', {'region': 'eu'}, '0.36'),  # 1.2 x .3
    ],
)  # fmt: skip
def test_other_sellers_cost_what_their_pages_say(
    provider: str, model: str, usage: Usage, day: str, terms: dict[str, Any], usd: str
) -> None:
    found = quoted(provider, model, usage, day, **terms)

    assert ('exact', Decimal(usd)) == (found.status, found.cost_usd)


@pytest.mark.parametrize(
    ('provider', 'model', 'day', 'terms'),
    [
        ('anthropic', 'claude-opus-4-7', '2026-07-25', {'tier': 'fast'}),
        ('anthropic', 'claude-sonnet-4-6', '2026-02-16', {}),
        ('anthropic', 'claude-opus-4-9', '2026-11-01', {}),
        ('openai', 'gpt-4o', '2024-05-12', {}),
        ('openai', 'gpt-6.2-sol', '2026-11-01', {}),
        ('openai', 'gpt-5-nano', '2026-11-01', {'tier': 'priority'}),
    ],
)
def test_what_no_page_says_has_no_price(
    provider: str, model: str, day: str, terms: dict[str, Any]
) -> None:
    found = quoted(provider, model, day=day, **terms)

    assert ('unpriced', None) == (found.status, found.cost)


@pytest.mark.parametrize(
    ('provider', 'model', 'terms'),
    [
        ('anthropic', 'claude-sonnet-4-6', {'tier': 'priority'}),  # Capacity bought ahead.
        ('aws-bedrock', 'anthropic.claude-sonnet-4-5-20250929-v1:0', {'region': None}),
        ('openai', 'ft:gpt-4o-2024-08-06:acme::9', {'batch': True}),
    ],
)
def test_what_the_pages_leave_open_is_assumed(
    provider: str, model: str, terms: dict[str, Any]
) -> None:
    assert quoted(provider, model, **terms).status == 'assumed'


def test_tools_cost_by_the_use() -> None:
    # https://developers.openai.com/api/docs/pricing: 10 and 25 USD for 1,000 searches.
    one = {'input_tokens': 0, 'output_tokens': 0}
    costs = [
        quoted(provider, model, Usage(**one, tool_uses=uses)).cost_usd
        for provider, model, uses in (
            ('anthropic', 'claude-sonnet-4-6', {'web_search': 3, 'web_fetch': 2}),
            ('openai', 'gpt-5', {'web_search': 1, 'file_search': 2}),
            ('openai', 'gpt-4.1', {'web_search_preview': 1}),
            ('google', 'gemini-2.5-flash', {'grounding': 1, 'grounding_query': 3}),
            ('google', 'gemini-3.8-flash', {'grounding': 1, 'grounding_query': 3}),
        )
    ]

    expected = [Decimal(text) for text in ('0.03', '0.015', '0.025', '0.035', '0.042')]
    assert expected == costs


def test_the_book_agrees_with_genai_prices() -> None:
    genai = pytest.importorskip('genai_prices')
    unknown, different, equal = set(), set(), 0
    for provider, model, name in sold(genai):
        for usage, day, terms, context in asked(provider):
            prices = model.get_prices(datetime.fromisoformat(day), context)
            if context and prices == model.get_prices(datetime.fromisoformat(day)):
                continue
            if prices.output_mtok is None:
                usage = Usage(input_tokens=usage.input_tokens, output_tokens=0)  # noqa: PLW2901
            found = quoted(provider, name, usage, day, **terms)
            theirs = genai.Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
            if found.status == 'unpriced':
                unknown.add(model.id)
            elif found.cost_usd != prices.calc_price(theirs)['total_price']:
                different.add((model.id, found.status))
            else:
                equal += 1

    assert set(LEFT_OUT) >= unknown
    # It has no price for long prompts of Sonnet 4 and GPT-5.6 Cyber; LiteLLM has.
    assert {('claude-sonnet-4-0', 'assumed'), ('gpt-5.6-cyber', 'assumed')} == different
    assert equal > 800


def sold(genai: Any) -> Iterator[tuple[str, Any, str]]:
    """The models that genai-prices has a price in tokens for, and their exact ids."""
    data: Any = pytest.importorskip('genai_prices.data')
    for provider in data.providers:
        if provider.id not in {'anthropic', 'openai', 'google'}:
            continue
        for model in provider.models:
            prices = model.get_prices(datetime(2026, 11, 1, tzinfo=UTC))
            ours = provider.id != 'google' or model.id.startswith('gemini')
            if ours and prices.input_mtok is not None:
                yield provider.id, model, model.id


def asked(provider: str) -> Iterator[tuple[Usage, str, dict[str, Any], dict[str, str] | None]]:
    """Usages, days and conditions, in our words and in those of genai-prices."""
    for usage in (SHORT, Usage(input_tokens=150_000, output_tokens=1_000), LONG):
        yield usage, '2026-11-20', {}, None
        yield usage, '2026-11-20', {'batch': True}, {'processing': 'batch'}
        for tier in ('flex', 'priority') if provider == 'openai' else ():
            yield usage, '2026-11-20', {'tier': tier}, {'service_tier': tier}
        if provider == 'anthropic':
            yield usage, '2026-11-20', {'tier': 'fast'}, {'speed': 'fast'}
