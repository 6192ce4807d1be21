"""What reading and writing a cache cost, for one model on one day.

The multipliers differ by model: reads cost 0.1, 0.05 or 0.025 of the input, writes 1.25 or 2 times
of it, and before GPT-5.6 OpenAI's writes are free. They are taken from the price book, never fixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from farthing.caching.block import Lifetime
from farthing.prices.quote import UNSAID, Call, Terms
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.prices import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Rates in 1e-12 USD a token.

    Attributes:
        model: The model's id in the price book, whatever cloud serves it.
        input: Of input that is neither read nor written.
        read: Of cached input.
        writes: By lifetime, those that cost more than input. Empty where caching is automatic and
            free to write, so that marks decide nothing.
    """

    model: str
    input: int
    read: int
    writes: Mapping[Lifetime, int]


def rates(
    book: 'PriceBook', provider: str, model: str, at: datetime, *, terms: Terms = UNSAID
) -> Rates | None:
    """The rates of short prompts; `None` where the model's input or reads have no price."""
    call = Call(provider=provider, model=model, at=at, terms=terms)

    def rate(usage: Usage) -> int | None:
        return book.quote(usage, call).cost

    plain = book.quote(Usage(input_tokens=1, output_tokens=0), call)
    read = rate(Usage(input_tokens=1, output_tokens=0, cache_read_tokens=1))
    if not plain.cost or read is None or plain.model is None:
        return None
    write = Usage(input_tokens=1, output_tokens=0, cache_write_tokens=1)
    written: dict[Lifetime, int | None] = {
        '5m': rate(replace(write, cache_write_5m_tokens=1)),
        '30m': rate(replace(write, cache_write_30m_tokens=1)),
        '1h': rate(replace(write, cache_write_1h_tokens=1)),
    }
    charged = {life: cost for life, cost in written.items() if cost and cost > plain.cost}
    return Rates(model=plain.model, input=plain.cost, read=read, writes=charged)
