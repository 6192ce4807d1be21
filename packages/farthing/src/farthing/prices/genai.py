"""Prices of models that are newer than this release, from an installed genai-prices.

Wrap a book to ask genai-prices where the book has no price. Such a quote is always `assumed`: the
other table ignores geography and region, and takes a condition that it does not know for standard
silently. Needs the extra `genai-prices`; nothing else imports this module.
"""

from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import genai_prices  # type: ignore[import-not-found,unused-ignore]

from farthing.money import pico
from farthing.prices.book import PriceBook
from farthing.prices.names import provider_of
from farthing.prices.quote import Call, Line, Quote
from farthing.usage import Usage

SOURCE = 'source:genai-prices'
"""What every quote from there says under `assumed`."""

_PROVIDERS = {'aws-bedrock': 'aws', 'google-vertex': 'google'}


def quote(book: PriceBook, usage: Usage, call: Call) -> Quote:
    """The book's price, else that of genai-prices.

    Only plain calls are asked there: with a tier, a batch, a geography, cache writes of unknown
    lifetime or tools, the book's `unpriced` stands.
    """
    own = book.quote(usage, call)
    if own.status != 'unpriced' or not _plain(usage, call):
        return own
    provider = provider_of(call.provider, call.model) or call.provider
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(**_counts(usage)),
            model_ref=call.model,
            provider_id=_PROVIDERS.get(provider, provider),
            genai_request_timestamp=call.at,
        )
    except (LookupError, ValueError):
        return own
    cost = pico(Decimal(found.total_price))
    book_version = f'genai-prices-{version("genai-prices")}'
    line = Line('all tokens', 1, cost, cost, (f'{book_version}:{found.model.id}',))
    return Quote(
        status='assumed',
        cost=cost,
        lines=(line,),
        assumed=(SOURCE,),
        model=found.model.id,
        book=f'{book.version}+{book_version}',
    )


def _plain(usage: Usage, call: Call) -> bool:
    terms = call.terms
    plain = terms.tier in {None, 'standard'} and not terms.batch
    here = {terms.geo, terms.region} <= {None, 'global'}
    modal = usage.input_image_tokens or usage.output_image_tokens or usage.output_audio_tokens
    return plain and here and not (usage.tool_uses or usage.cache_write_unsplit_tokens or modal)


def _counts(usage: Usage) -> Mapping[str, Any]:
    counts = {
        'input_tokens': usage.input_tokens,
        'output_tokens': usage.output_tokens,
        'cache_read_tokens': usage.cache_read_tokens,
        'cache_write_tokens': usage.cache_write_tokens,
        'cache_write_1h_tokens': usage.cache_write_1h_tokens,
        'input_audio_tokens': usage.input_audio_tokens,
        'cache_audio_read_tokens': usage.cache_read_audio_tokens or 0,
    }
    return {name: count for name, count in counts.items() if count}
