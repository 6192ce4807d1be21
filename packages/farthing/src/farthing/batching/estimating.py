"""What requests will cost in a batch, and beside it what they would cost at once.

Before anything is sent nobody knows what will be billed: input tokens are estimated, output tokens
are what a request allows at most. Where it sets no limit an allowance is assumed, and said so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from farthing.money import usd
from farthing.prices.quote import Call, Terms
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.prices import PriceBook

ASSUMED_OUTPUT_TOKENS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is known of a request before it is sent.

    Attributes:
        provider: Who bills.
        model: The model that is asked for.
        input_tokens: Estimated.
        output_tokens: The most that it allows; `None` where it sets no limit.
        embeds: Whether it is answered without output tokens.
    """

    provider: str
    model: str
    input_tokens: int
    output_tokens: int | None
    embeds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What requests cost at most, estimated; nothing of it is measured.

    Attributes:
        requests: How many.
        batch: In a batch, in 1e-12 USD; without those that have no price.
        sync: The same requests at once.
        unpriced: How many have no price and are missing in the sums.
        unlimited: How many set no limit on their output: 1,000 tokens are assumed for each.
        unbatched: How many no batch takes, so that they are sent at once; missing in the sums.
        extrapolated: Whether later rounds are in it, reckoned from an earlier job's.
    """

    requests: int = 0
    batch: int = 0
    sync: int = 0
    unpriced: int = 0
    unlimited: int = 0
    unbatched: int = 0
    extrapolated: bool = False

    def __add__(self, other: 'Estimate') -> 'Estimate':
        return Estimate(
            requests=self.requests + other.requests,
            batch=self.batch + other.batch,
            sync=self.sync + other.sync,
            unpriced=self.unpriced + other.unpriced,
            unlimited=self.unlimited + other.unlimited,
            unbatched=self.unbatched + other.unbatched,
            extrapolated=self.extrapolated or other.extrapolated,
        )

    @property
    def batch_usd(self) -> Decimal:
        """In a batch, in USD."""
        return usd(self.batch)

    @property
    def sync_usd(self) -> Decimal:
        """At once, in USD."""
        return usd(self.sync)

    def scaled(self, numerator: int, denominator: int) -> 'Estimate':
        """With later rounds, which cost `numerator` for each `denominator` of the first."""
        return replace(
            self,
            batch=self.batch * numerator // denominator,
            sync=self.sync * numerator // denominator,
            extrapolated=True,
        )

    def __str__(self) -> str:
        notes = [
            f'{self.unpriced} without a price are not in it' if self.unpriced else '',
            f'{self.unlimited} set no limit: {ASSUMED_OUTPUT_TOKENS} output tokens assumed'
            if self.unlimited
            else '',
            f'{self.unbatched} are taken by no batch, sent at once at full price and not in it'
            if self.unbatched
            else '',
            'later rounds extrapolated from an earlier job'
            if self.extrapolated
            else 'first round only: later rounds depend on its answers',
        ]
        return (
            f'{self.requests} requests: at most {self.batch_usd:.6f} USD in a batch, '
            f'{self.sync_usd:.6f} USD at once (estimated; {"; ".join(filter(None, notes))})'
        )


def estimate(book: 'PriceBook', forecasts: Iterable[Forecast], at: datetime) -> Estimate:
    """The sum over requests; `at` is when they would be sent, aware."""
    total = Estimate()
    for one in forecasts:
        total += estimate_one(book, one, at)
    return total


def estimate_one(book: 'PriceBook', one: Forecast, at: datetime) -> Estimate:
    """What one request costs at most, in a batch and at once."""
    unlimited = one.output_tokens is None and not one.embeds
    output = ASSUMED_OUTPUT_TOKENS if unlimited else one.output_tokens or 0
    usage = Usage(input_tokens=one.input_tokens, output_tokens=output)
    batch, sync = (
        book.quote(
            usage,
            Call(provider=one.provider, model=one.model, at=at, terms=Terms(batch=in_batch)),
        ).cost
        for in_batch in (True, False)
    )
    if batch is None or sync is None:
        return Estimate(requests=1, unpriced=1, unlimited=unlimited)
    return Estimate(requests=1, batch=batch, sync=sync, unlimited=unlimited)
