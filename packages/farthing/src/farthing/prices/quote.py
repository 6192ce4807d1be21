"""What a price is asked for with, and what it is answered with."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from farthing.frozen import quick
from farthing.money import usd

Status = Literal['exact', 'assumed', 'unpriced']


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The conditions a call was billed under; `None` is unknown, and then the quote says so.

    Attributes:
        tier: `standard`, `flex`, `priority`, `fast`, `ultrafast`: the tier that served the call.
        batch: Whether the call went through the provider's batch API.
        geo: Where inference ran, as the provider echoes it: Anthropic's `us`, `global` ...
        region: Where the endpoint is: OpenAI's `us` and `eu` domains, a Bedrock or Vertex region;
            `global` where the endpoint has no region.
    """

    tier: str | None = None
    batch: bool | None = None
    geo: str | None = None
    region: str | None = None

    def over(self, other: 'Terms') -> 'Terms':
        """What these say, else what the others say."""
        if self is UNSAID:
            return other
        return Terms(
            tier=other.tier if self.tier is None else self.tier,
            batch=other.batch if self.batch is None else self.batch,
            geo=other.geo if self.geo is None else self.geo,
            region=other.region if self.region is None else self.region,
        )


UNSAID = Terms()
AT_ONCE = Terms(batch=False)
"""A framework's call is answered at once; batches are fetched by other means."""


class Line(NamedTuple):
    """One line of an invoice.

    A tuple, because several are made for every priced call and a frozen dataclass takes three
    times as long.

    Attributes:
        meter: What is counted, such as `input`, `cache_write_1h`, `output`, `web_search`.
        quantity: How many.
        rate: Price of one, in 1e-12 USD, with the rules applied.
        amount: Quantity times rate, in 1e-12 USD.
        rules: Ids of the price rows and rules that made the rate.
    """

    meter: str
    quantity: int
    rate: int
    amount: int
    rules: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of one call.

    Attributes:
        status: `exact`; `assumed` (see `assumed`); `unpriced` (then `cost` is `None`, never 0).
        cost: The sum of the lines in 1e-12 USD.
        lines: Line items; they sum to `cost`.
        assumed: The unknown conditions that were assumed, such as `tier`.
        reason: Why there is no price, with what to do, when `unpriced`.
        model: The model of the price book that the asked one resolved to.
        book: Version of the price book, overlay included.
    """

    status: Status
    cost: int | None
    lines: tuple[Line, ...] = ()
    assumed: tuple[str, ...] = ()
    reason: str | None = None
    model: str | None = None
    book: str

    @property
    def cost_usd(self) -> Decimal | None:
        """Exact cost in USD, `None` when unpriced."""
        return None if self.cost is None else usd(self.cost)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is priced, beside its usage: the model and when and how it was called."""

    provider: str
    model: str
    at: datetime
    terms: Terms = UNSAID
