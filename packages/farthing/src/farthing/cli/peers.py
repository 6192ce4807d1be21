"""The rates of genai-prices for the models of our book, to lay beside it.

Needs the extra `genai-prices`; `farthing prices diff --with genai-prices` imports it.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import genai_prices  # type: ignore[import-not-found,unused-ignore]  # an extra

from farthing.prices import PriceBook

_NAMES = {'aws-bedrock': 'aws', 'google-vertex': 'google'}
# What a thousand tokens of each meter are in its words: cached tokens are part of the input.
_USAGES = {
    'input': {'input_tokens': 1_000},
    'output': {'output_tokens': 1_000},
    'cache_read': {'input_tokens': 1_000, 'cache_read_tokens': 1_000},
    'cache_write_5m': {'input_tokens': 1_000, 'cache_write_tokens': 1_000},
    'cache_write_1h': {
        'input_tokens': 1_000,
        'cache_write_tokens': 1_000,
        'cache_write_1h_tokens': 1_000,
    },
}


def rates(
    book: PriceBook, at: datetime, provider: str | None
) -> Iterator[tuple[tuple[str, str, str, int, str], Decimal]]:
    """USD per million tokens of the standard tier, for what both tables know."""
    for seller, model in book.models(provider):
        ours = {
            one.meter
            for one in book.show(model, at, provider=seller)
            if (one.tier, one.above) == ('standard', 0)
        }
        for meter in sorted(ours & _USAGES.keys()):
            try:
                found = genai_prices.calc_price(
                    genai_prices.Usage(**_USAGES[meter]),
                    model_ref=model,
                    provider_id=_NAMES.get(seller, seller),
                    genai_request_timestamp=at,
                )
            except (LookupError, ValueError):
                continue
            yield (seller, model, 'standard', 0, meter), Decimal(found.total_price) * 1_000
