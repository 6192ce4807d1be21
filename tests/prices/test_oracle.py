"""Standard rates against genai-prices, where it is installed; each difference has a reason."""

from datetime import UTC, datetime

import pytest

from farthing.prices import Call, PriceBook, Terms
from farthing.usage import Usage

genai_prices = pytest.importorskip('genai_prices', reason='genai-prices is not installed')

PLAIN = Terms(tier='standard', batch=False, geo='global', region='global')
WRITES = {'anthropic': 'cache_write_5m_tokens', 'openai': 'cache_write_30m_tokens'}
DATES = [datetime(2026, 7, 10, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)]
DATES.append(datetime(2027, 1, 2, tzinfo=UTC))

# A model and why genai-prices 0.2.3 and we differ, or why it has no price.
DIFFERENT = {
    'claude-sonnet-4-0': 'its premium above 200k is missing there; LiteLLM 1.109.1 has it',
    'claude-mythos-5': 'not there; LiteLLM 1.109.1 has it',
    'claude-mythos-5-1': 'not there; LiteLLM 1.109.1 has it',
}


def usages(provider: str) -> list[Usage]:
    found = [
        Usage(input_tokens=1_000, output_tokens=100),
        Usage(input_tokens=400_000, output_tokens=1_000, cache_read_tokens=1_000),
    ]
    if provider in WRITES:
        split = {WRITES[provider]: 1_000}
        found.append(Usage(input_tokens=5_000, output_tokens=10, cache_write_tokens=1_000, **split))
    return found


def theirs(provider: str, model: str, usage: Usage, at: datetime) -> object:
    counts = {
        'input_tokens': usage.input_tokens,
        'output_tokens': usage.output_tokens,
        'cache_read_tokens': usage.cache_read_tokens,
        'cache_write_tokens': usage.cache_write_tokens,
    }
    asked = genai_prices.Usage(**{name: count for name, count in counts.items() if count})
    try:
        return genai_prices.calc_price(
            asked, model_ref=model, provider_id=provider, genai_request_timestamp=at
        ).total_price
    except LookupError:
        return None


@pytest.mark.parametrize('provider', ['anthropic', 'openai', 'google'])
def test_exact_standard_prices_agree_with_genai_prices(provider: str) -> None:
    book = PriceBook.load()
    seen = 0
    for _, model in book.models(provider):
        if model in DIFFERENT or model.startswith('ft:'):
            continue
        for at in DATES:
            for usage in usages(provider):
                ours = book.quote(usage, Call(provider=provider, model=model, at=at, terms=PLAIN))
                if ours.status == 'exact':
                    seen += 1
                    assert theirs(provider, model, usage, at) == ours.cost_usd, (model, at, usage)
    assert seen > 50
