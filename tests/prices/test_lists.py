"""The packaged lists: cases worked out by hand, and what peers get wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from farthing.prices import Call, PriceBook, Quote, Terms
from farthing.usage import Usage

NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)
PLAIN = Terms(tier='standard', batch=False, geo='global', region='global')
THOUSAND = Usage(input_tokens=1_000, output_tokens=1_000)


def quoted(
    provider: str,
    model: str,
    usage: Usage = THOUSAND,
    *,
    terms: Terms = PLAIN,
    at: datetime = NOVEMBER,
) -> Quote:
    call = Call(provider=provider, model=model, at=at, terms=terms)
    return PriceBook.load().quote(usage, call)


def exact(amount_usd: str) -> tuple[str, Decimal]:
    return 'exact', Decimal(amount_usd)


def seen(found: Quote) -> tuple[str, Decimal | None]:
    return found.status, found.cost_usd


def test_a_batch_of_before_october_2026_is_half() -> None:
    # genai-prices knows batch rates from 2026-10-14 on and bills this June batch double.
    usage = Usage(
        input_tokens=10_000, output_tokens=1_000, cache_read_tokens=4_000, cache_write_tokens=2_000,
        cache_write_1h_tokens=2_000,
    )  # fmt: skip
    june = datetime(2026, 6, 1, tzinfo=UTC)

    found = quoted(
        'anthropic', 'claude-sonnet-4-6', usage, terms=Terms(batch=True, geo='global'), at=june
    )

    # (4,000 x 3 + 4,000 x 0.30 + 2,000 x 6 + 1,000 x 15) / 2 = 20,100 USD per million.
    assert exact('0.0201') == seen(found)


def test_an_hours_write_is_not_five_minutes() -> None:
    # https://github.com/blpsoares/agentistics/issues/565: 305.30 shown, 355.66 USD billed.
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=0,
        cache_write_tokens=1_000_000,
        cache_write_1h_tokens=1_000_000,
    )

    assert exact('10') == seen(quoted('anthropic', 'claude-opus-4-8', usage))


@pytest.mark.parametrize(
    ('model', 'rate'),
    [
        ('claude-opus-4-8', '0.5'),  # a tenth of 5
        ('claude-opus-5-5', '0.2'),  # a twentieth of 4
        ('claude-fable-5-2', '0.2'),  # a fortieth of 8
    ],
)
def test_reads_have_their_models_own_rate(model: str, rate: str) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=1_000_000)

    assert exact(rate) == seen(quoted('anthropic', model, usage))


def test_us_inference_costs_a_tenth_more_on_every_token_and_no_search() -> None:
    # https://docs.aws.amazon.com/claude-platform/latest/userguide/data-residency
    usage = Usage(input_tokens=1_000, output_tokens=1_000, tool_uses={'web_search': 2})
    us = Terms(tier='standard', batch=False, geo='us')

    # (1,000 x 3 + 1,000 x 15) x 1.1 USD per million and 2 x 0.01 USD.
    assert exact('0.0398') == seen(quoted('anthropic', 'claude-sonnet-4-6', usage, terms=us))
    assert 'unpriced' == quoted('anthropic', 'claude-sonnet-4-5', usage, terms=us).status


def test_fast_mode_has_its_models_factor_and_its_end() -> None:
    fast = Terms(tier='fast', batch=False, geo='global')

    # 6 x (5 + 25), then 2 x (5 + 25).
    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert exact('0.18') == seen(quoted('anthropic', 'claude-opus-4-7', terms=fast, at=july))
    assert 'unpriced' == quoted('anthropic', 'claude-opus-4-7', terms=fast).status
    assert exact('0.06') == seen(quoted('anthropic', 'claude-opus-4-8', terms=fast))
    later = datetime(2026, 12, 2, tzinfo=UTC)
    assert 'unpriced' == quoted('anthropic', 'claude-opus-4-8', terms=fast, at=later).status


def test_capacity_that_was_bought_is_priced_by_the_list_and_assumed() -> None:
    found = quoted('anthropic', 'claude-sonnet-4-6', terms=Terms(tier='priority', geo='global'))

    assert ('assumed', ('tier',)) == (found.status, found.assumed)


@pytest.mark.parametrize(
    ('provider', 'model', 'edge', 'below', 'above', 'at'),
    [
        ('anthropic', 'claude-haiku-5-5', 100_000, '0.01', '0.0500005', NOVEMBER),
        (
            'anthropic',
            'claude-sonnet-4-6',
            200_000,
            '0.6',
            '1.200006',
            datetime(2026, 3, 1, tzinfo=UTC),
        ),
        ('openai', 'gpt-5.6-sol', 272_000, '1.088', '2.176008', NOVEMBER),
        ('google', 'gemini-2.5-pro', 200_000, '0.25', '0.5000025', NOVEMBER),
    ],
)
def test_a_long_prompt_begins_after_its_edge(
    provider: str, model: str, edge: int, below: str, above: str, at: datetime
) -> None:
    costs = [
        quoted(provider, model, Usage(input_tokens=n, output_tokens=0), at=at)
        for n in (edge, edge + 1)
    ]

    assert [exact(below), exact(above)] == [seen(cost) for cost in costs]


def test_openai_writes_cost_more_from_gpt_5_6_on() -> None:
    # https://github.com/BerriAI/litellm/issues/33772 drops them.
    usage = Usage(
        input_tokens=100_000,
        output_tokens=0,
        cache_write_tokens=100_000,
        cache_write_30m_tokens=100_000,
    )

    assert exact('0.25') == seen(quoted('openai', 'gpt-6-sol', usage))
    assert exact('0.125') == seen(quoted('openai', 'gpt-5', usage))


@pytest.mark.parametrize(
    ('model', 'tier', 'amount_usd'),
    [
        ('gpt-5', 'flex', '0.005625'),
        ('gpt-5', 'priority', '0.0225'),
        ('gpt-5', 'fast', '0.0225'),
        ('gpt-5.5', 'priority', '0.0875'),
        ('gpt-4o', 'priority', '0.02125'),
        ('gpt-4o-mini', 'priority', '0.00125'),
    ],
)
def test_openai_tiers_have_their_models_rates(model: str, tier: str, amount_usd: str) -> None:
    # https://github.com/langfuse/langfuse/issues/13780 bills priority at the default rate.
    terms = Terms(tier=tier, batch=False, region='global')

    assert exact(amount_usd) == seen(quoted('openai', model, terms=terms))


def test_a_model_without_flex_has_no_flex_price() -> None:
    found = quoted('openai', 'gpt-4o', terms=Terms(tier='flex', region='global'))

    assert 'unpriced' == found.status


def test_the_cached_rate_of_a_batch_that_no_table_gives_is_assumed() -> None:
    usage = Usage(input_tokens=1_000, output_tokens=0, cache_read_tokens=500)

    found = quoted('openai', 'gpt-4.1', usage, terms=Terms(batch=True, region='global'))

    assert ('assumed', ('rate of cache_read',)) == (found.status, found.assumed)


def test_openai_regions_cost_more_for_models_of_march_2026_and_later() -> None:
    eu = Terms(tier='standard', batch=False, region='eu')

    # (2 + 10) x 1.1 and 1.25 + 10 USD per thousand thousand.
    assert exact('0.0132') == seen(quoted('openai', 'gpt-6.1-sol', terms=eu))
    assert exact('0.01125') == seen(quoted('openai', 'gpt-5', terms=eu))
    unsaid = Terms(tier='standard', batch=False)
    assert ('region',) == quoted('openai', 'gpt-6.1-sol', terms=unsaid).assumed


def test_a_changed_price_leaves_older_calls_alone() -> None:
    dates = [datetime(2026, 8, day, tzinfo=UTC) for day in (20, 21)]

    costs = [seen(quoted('openai', 'gpt-5.6-sol', at=at)) for at in dates]

    assert [exact('0.035'), exact('0.024')] == costs


@pytest.mark.parametrize(
    ('model', 'last', 'before', 'after'),
    [
        ('gemini-4-argon', datetime(2026, 11, 30, tzinfo=UTC), '0.012', '0.024'),
        ('gemini-3.8-flash', datetime(2026, 12, 31, tzinfo=UTC), '0.0045', '0.009'),
    ],
)
def test_introductory_prices_end(model: str, last: datetime, before: str, after: str) -> None:
    days = [last, last.replace(hour=23, minute=59), last + timedelta(days=1)]

    costs = [seen(quoted('google', model, at=at)) for at in days]

    assert [exact(before), exact(before), exact(after)] == costs


def test_gpt_5_2_is_not_free() -> None:
    # https://github.com/langchain-ai/langchain-community/issues/503: total_cost 0.0.
    assert exact('0.01575') == seen(quoted('openai', 'gpt-5.2'))


@pytest.mark.parametrize(
    ('provider', 'model'),
    [
        ('anthropic', 'claude-opus-4-9'),
        ('openai', 'gpt-6.2-sol'),
        ('openai', 'gpt-4o-foo'),
        ('openai', 'ft:gpt-6-sol:acme::x1'),
        ('google', 'gemini-9-pro'),
        ('aws-bedrock', 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1'),
        ('aws-bedrock', 'amazon.nova-pro-v1:0'),
        ('openrouter', 'anthropic/claude-sonnet-4.6'),
    ],
)
def test_what_the_lists_do_not_name_has_no_price(provider: str, model: str) -> None:
    # https://github.com/BerriAI/litellm/issues/35913, https://github.com/curie-eng/curie/issues/547
    assert ('unpriced', None) == seen(quoted(provider, model))


@pytest.mark.parametrize(
    ('provider', 'model', 'amount_usd'),
    [
        ('anthropic', 'claude-sonnet-4.6', '0.018'),
        ('anthropic', 'anthropic/claude-sonnet-4-6', '0.018'),
        ('anthropic', 'claude-sonnet-4-5@20250929', '0.018'),
        ('anthropic', 'claude-3-5-sonnet-latest', '0.018'),
        ('openai', 'openai/gpt-5', '0.01125'),
        ('openai', 'gpt-4o-2024-05-13', '0.02'),
        ('openai', 'ft:gpt-4o-mini-2024-07-18:acme::x1', '0.0015'),
        ('google', 'models/gemini-2.5-pro', '0.01125'),
        ('aws-bedrock', 'global.anthropic.claude-sonnet-4-6', '0.018'),
        ('aws-bedrock', 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0', '0.0198'),
        ('aws-bedrock', 'us.anthropic.claude-3-5-sonnet-20241022-v2:0', '0.018'),
        ('google-vertex', 'publishers/anthropic/models/claude-opus-4-8', '0.03'),
        ('azure', 'azure/gpt-4o-2024-08-06', '0.0125'),
    ],
)
def test_ids_resolve_in_every_form(provider: str, model: str, amount_usd: str) -> None:
    assert exact(amount_usd) == seen(quoted(provider, model))


def test_a_vertex_region_costs_more() -> None:
    terms = Terms(tier='standard', batch=False, region='europe-west1')

    found = quoted('google-vertex', 'claude-sonnet-4-5@20250929', terms=terms)

    assert exact('0.0198') == seen(found)


def test_a_cloud_that_the_id_names_wins_over_another_and_is_assumed() -> None:
    # https://github.com/BerriAI/litellm/issues/8514: 26.74 USD shown, 770 billed by AWS.
    found = quoted('anthropic', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0')

    assert ('assumed', ('provider',), Decimal('0.0198')) == (
        found.status, found.assumed, found.cost_usd
    )  # fmt: skip


def test_every_row_says_where_it_was_read() -> None:
    book = PriceBook.load()
    for provider, model in book.models():
        for row in book.show(model, NOVEMBER, provider=provider):
            free = row.tier == 'tool' and not row.usd
            assert free or (row.url and row.read_on), (provider, model, row)
