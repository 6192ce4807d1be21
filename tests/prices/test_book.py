"""Quotes of an invented book: conditions, dates, bands, meters, tools."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from farthing.errors import InputError
from farthing.prices import Call, Line, PriceBook, Quote, Terms
from farthing.usage import Usage

PLAIN = Terms(tier='standard', batch=False, geo='global', region='global')
JULY = datetime(2026, 7, 1, tzinfo=UTC)
HUNDRED = Usage(input_tokens=100, output_tokens=10)


def quoted(
    book: PriceBook,
    usage: Usage = HUNDRED,
    *,
    model: str = 'granite',
    terms: Terms = PLAIN,
    at: datetime = JULY,
) -> Quote:
    return book.quote(usage, Call(provider='quarry', model=model, at=at, terms=terms))


def test_a_quote_carries_lines_with_the_ids_of_their_rows(book: PriceBook) -> None:
    # 100 x 1.00 + 10 x 5.00 = 150 USD per million.
    expected = Quote(
        status='exact',
        cost=150_000_000,
        lines=(
            Line('input', 100, 1_000_000, 100_000_000, ('quarry:granite@2026-06-01',)),
            Line('output', 10, 5_000_000, 50_000_000, ('quarry:granite@2026-06-01',)),
        ),
        model='granite',
        book='test',
    )

    assert expected == quoted(book)
    assert Decimal('0.00015') == expected.cost_usd


def test_cached_tokens_are_billed_once_and_by_lifetime(book: PriceBook) -> None:
    # https://github.com/BerriAI/litellm/issues/9812 charged cache writes twice;
    # https://github.com/earendil-works/pi/issues/5737 charged an hour as five minutes.
    usage = Usage(
        input_tokens=900,
        output_tokens=0,
        cache_read_tokens=500,
        cache_write_tokens=300,
        cache_write_5m_tokens=200,
        cache_write_1h_tokens=100,
    )

    found = quoted(book, usage)

    # 100 x 1.00 + 500 x 0.10 + 200 x 1.25 + 100 x 2.00 = 600 USD per million.
    assert ('exact', 600_000_000) == (found.status, found.cost)


def test_a_write_of_unknown_lifetime_is_assumed_where_several_are_sold(book: PriceBook) -> None:
    usage = Usage(input_tokens=100, output_tokens=0, cache_write_tokens=100)

    found = quoted(book, usage)

    assert ('assumed', ('cache_ttl',), 125_000_000) == (found.status, found.assumed, found.cost)


def test_a_write_is_plain_input_where_the_list_has_no_price_for_it(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=100, output_tokens=0, cache_write_tokens=100, cache_write_30m_tokens=100
    )

    found = quoted(book, usage, model='slate')

    assert ('exact', 100_000_000) == (found.status, found.cost)


def test_a_write_for_a_time_that_is_not_sold_has_no_price(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=100, output_tokens=0, cache_write_tokens=100, cache_write_30m_tokens=100
    )

    found = quoted(book, usage)

    assert ('unpriced', None) == (found.status, found.cost)
    assert 'cache_write_30m' in str(found.reason)


@pytest.mark.parametrize(
    ('prompt', 'rate'),
    [(999, 1_000_000), (1_000, 1_000_000), (1_001, 2_000_000)],
)
def test_a_prompt_of_exactly_the_edge_stays_in_the_lower_band(
    book: PriceBook, prompt: int, rate: int
) -> None:
    found = quoted(book, Usage(input_tokens=prompt, output_tokens=0))

    assert prompt * rate == found.cost


def test_cached_input_counts_towards_the_band(book: PriceBook) -> None:
    found = quoted(book, Usage(input_tokens=1_001, output_tokens=10, cache_read_tokens=1_001))

    # 1,001 x 0.20 + 10 x 7.50 USD per million.
    assert 1_001 * 200_000 + 10 * 7_500_000 == found.cost


@pytest.mark.parametrize(
    ('at', 'cost'),
    [
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC), 300_000_000),
        (datetime(2026, 6, 1, tzinfo=UTC), 150_000_000),
        (datetime.fromisoformat('2026-06-01T01:00:00+02:00'), 300_000_000),
    ],
)
def test_a_rate_holds_from_midnight_utc(book: PriceBook, at: datetime, cost: int) -> None:
    assert cost == quoted(book, at=at).cost


def test_a_call_before_the_model_was_sold_has_no_price(book: PriceBook) -> None:
    found = quoted(book, at=datetime(2026, 1, 4, tzinfo=UTC))

    assert "'granite' was first sold on 2026-01-05, after this call" == found.reason


def test_batch_and_geography_multiply(book: PriceBook) -> None:
    found = quoted(book, terms=Terms(batch=True, geo='east'))

    # 150 x 0.5 x 1.1 = 82.5 USD per million.
    assert ('exact', 82_500_000) == (found.status, found.cost)
    assert ('quarry:granite@2026-06-01', 'quarry:batch', 'quarry:east') == found.lines[0].rules


def test_a_tier_named_batch_is_a_batch(book: PriceBook) -> None:
    assert 75_000_000 == quoted(book, terms=Terms(tier='Batch', geo='global')).cost


def test_a_tier_is_known_in_any_case(book: PriceBook) -> None:
    # genai-prices takes `Priority` with a capital for standard, silently.
    assert quoted(book, terms=Terms(tier='FLEX', geo='global')) == quoted(
        book, terms=Terms(tier='flex', geo='global')
    )


def test_a_tier_that_is_not_sold_has_no_price(book: PriceBook) -> None:
    found = quoted(book, terms=Terms(tier='gold', geo='global'))

    assert 'unpriced' == found.status
    assert str(found.reason).startswith(
        "no price of the tier 'gold' for 'granite' at that time; known: batch, flex, standard"
    )


def test_flex_inside_a_batch_has_no_price(book: PriceBook) -> None:
    assert 'unpriced' == quoted(book, terms=Terms(tier='flex', batch=True, geo='global')).status


@pytest.mark.parametrize(
    ('model', 'terms', 'assumed'),
    [
        ('granite', Terms(), ('tier', 'batch', 'geo')),
        ('granite', Terms(batch=False), ('tier', 'geo')),
        ('granite', Terms(tier='default'), ('geo',)),
        ('granite', Terms(tier='auto', geo='global'), ('tier', 'batch')),
        ('granite', Terms(tier='reserved', geo='global'), ('tier',)),
        ('opal', Terms(), ('region',)),
        ('slate', Terms(), ()),
    ],
)
def test_a_condition_that_is_unknown_and_matters_is_assumed(
    book: PriceBook, model: str, terms: Terms, assumed: tuple[str, ...]
) -> None:
    found = quoted(book, model=model, terms=terms)

    assert assumed == found.assumed
    assert ('assumed' if assumed else 'exact') == found.status
    assert quoted(book, model=model).cost == found.cost


def test_a_geography_without_a_price_has_no_price(book: PriceBook) -> None:
    assert 'unpriced' == quoted(book, terms=Terms(tier='default', geo='moon')).status
    assert 'unpriced' == quoted(book, model='slate', terms=Terms(geo='east')).status


def test_any_region_costs_more_where_the_list_says_so(book: PriceBook) -> None:
    found = quoted(book, model='opal', terms=Terms(region='south-1'))

    # (100 x 3 + 10 x 12) x 1.2 = 504 USD per million.
    assert ('exact', 504_000_000) == (found.status, found.cost)


def test_a_tier_without_rates_for_long_prompts_is_doubtful_there(book: PriceBook) -> None:
    usage = Usage(input_tokens=2_000, output_tokens=0)

    found = quoted(book, usage, terms=Terms(tier='flex', geo='global'))

    assert (('long prompt',), 2_000 * 500_000) == (found.assumed, found.cost)


def test_a_rate_that_no_page_settles_is_assumed_only_where_it_is_used(book: PriceBook) -> None:
    flex = Terms(tier='flex', geo='global')

    assert 'exact' == quoted(book, terms=flex).status
    read = Usage(input_tokens=100, output_tokens=0, cache_read_tokens=100)
    assert ('rate of cache_read',) == quoted(book, read, terms=flex).assumed


def test_reads_without_a_rate_of_their_own_are_input_and_assumed(book: PriceBook) -> None:
    read = Usage(input_tokens=100, output_tokens=0, cache_read_tokens=60)

    found = quoted(book, read, model='slate')

    assert (('rate of cache_read',), 100_000_000) == (found.assumed, found.cost)


def test_reasoning_is_inside_the_output(book: PriceBook) -> None:
    usage = Usage(input_tokens=100, output_tokens=10, reasoning_tokens=9)

    assert quoted(book).lines == quoted(book, usage).lines


def test_a_cached_image_is_counted_once(book: PriceBook) -> None:
    # https://github.com/BerriAI/litellm/issues/37281 counts the overlap under both names.
    usage = Usage(
        input_tokens=1_000,
        output_tokens=0,
        input_image_tokens=400,
        cache_read_tokens=500,
        cache_read_image_tokens=300,
    )

    found = quoted(book, usage, model='opal')

    # Text 600, 200 of it read; images 400, 300 of them read:
    # 400 x 3 + 200 x 0.3 + 100 x 6 + 300 x 0.6.
    assert ('exact', 2_040_000_000) == (found.status, found.cost)
    assert 1_000 == sum(line.quantity for line in found.lines)


def test_cached_sound_of_unknown_amount_is_assumed_to_be_text_first(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=1_000, output_tokens=0, input_audio_tokens=600, cache_read_tokens=500
    )

    found = quoted(book, usage, model='opal')

    # Text 400, all read; sound 600, 100 of it read: 400 x 0.3 + 500 x 30 + 100 x 3.
    assert (('cache_read_audio',), 15_420_000_000) == (found.assumed, found.cost)


def test_sound_is_never_text_silently(book: PriceBook) -> None:
    usage = Usage(input_tokens=100, output_tokens=0, input_audio_tokens=50)

    assert ('rate of input_audio',) == quoted(book, usage, model='granite').assumed


def test_an_image_is_text_to_a_chat_model(book: PriceBook) -> None:
    usage = Usage(input_tokens=100, output_tokens=10, input_image_tokens=50)

    assert quoted(book).cost == quoted(book, usage).cost


def test_more_cached_sound_than_sound_has_no_price(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=0,
        input_audio_tokens=10,
        cache_read_tokens=50,
        cache_read_audio_tokens=40,
    )

    assert 'unpriced' == quoted(book, usage, model='opal').status


def test_tools_cost_by_the_use_and_no_rule_touches_them(book: PriceBook) -> None:
    usage = Usage(input_tokens=0, output_tokens=0, tool_uses={'search': 3, 'fetch': 2})

    found = quoted(book, usage, terms=Terms(batch=True, geo='east'))

    # 3 x 0.01 USD.
    assert ('exact', Decimal('0.03')) == (found.status, found.cost_usd)
    assert ['search', 'fetch'] == [line.meter for line in found.lines]


def test_a_tool_that_may_cost_more_is_assumed(book: PriceBook) -> None:
    usage = Usage(input_tokens=0, output_tokens=0, tool_uses={'run': 1})

    assert (('tool:run',), 0) == (quoted(book, usage).assumed, quoted(book, usage).cost)


def test_a_tool_without_a_price_is_not_free(book: PriceBook) -> None:
    usage = Usage(input_tokens=100, output_tokens=0, tool_uses={'drill': 1})

    found = quoted(book, usage)

    assert ('unpriced', None) == (found.status, found.cost)
    assert 'known: search, fetch, run' in str(found.reason)


def test_a_naive_time_is_refused(book: PriceBook) -> None:
    with pytest.raises(InputError, match='expected an aware datetime'):
        quoted(book, at=datetime(2026, 7, 1))  # noqa: DTZ001 - that is the point


def test_a_moved_alias_and_an_unlisted_snapshot_are_assumed(book: PriceBook) -> None:
    assert ('alias',) == quoted(book, model='rock-latest').assumed
    assert ('snapshot',) == quoted(book, model='granite-2026-03-04').assumed
    assert 'exact' == quoted(book, model='granite-2026-01-05').status


@pytest.mark.parametrize(
    'model', ['granite-mini', 'granite-2', 'granit', 'granite-2026-13-45', 'granite:free', '']
)
def test_an_id_is_never_guessed_by_its_beginning(book: PriceBook, model: str) -> None:
    # https://github.com/BerriAI/litellm/issues/35913: a silent miss cost 185 USD and showed 1.16.
    found = quoted(book, model=model)

    assert ('unpriced', None) == (found.status, found.cost)
    assert f'no price for model {model!r}' in str(found.reason)


def test_a_tuned_model_has_the_price_of_its_tuned_base_only(book: PriceBook) -> None:
    assert 180_000_000 == quoted(book, model='ft:slate:acme::abc123').cost
    assert 'unpriced' == quoted(book, model='ft:granite:acme::abc123').status


def test_an_unknown_provider_has_no_price(book: PriceBook) -> None:
    found = book.quote(HUNDRED, Call(provider='mine', model='granite', at=JULY))

    assert "no prices of the provider 'mine'" in str(found.reason)


def test_the_rates_of_a_model_can_be_shown(book: PriceBook) -> None:
    shown = book.show('granite', JULY)

    assert ['batch', 'flex', 'standard', 'tool'] == list(dict.fromkeys(one.tier for one in shown))
    first = next(one for one in shown if one.tier == 'standard')
    assert ('input', Decimal(1), 'https://example.com/prices', '2026-01-02') == (
        first.meter,
        first.usd,
        first.url,
        first.read_on,
    )
    assert [] == book.show('marble', JULY)
    assert ('quarry', 'granite') in book.models()
