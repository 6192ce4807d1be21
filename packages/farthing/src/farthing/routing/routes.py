"""The models a router chooses among, weakest first, and which of them can serve a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from farthing.prices import PriceBook
from farthing.routing.query import Ability, Query

CacheWrites = Literal['none', 'free', '5m', '30m', '1h']
LIFE_S: Mapping[CacheWrites, float] = MappingProxyType(
    {'none': 0.0, 'free': 300.0, '5m': 300.0, '30m': 1_800.0, '1h': 3_600.0}
)
"""How long an unused prefix is kept; OpenAI keeps what it caches for free five to ten minutes."""
_WRITES: Mapping[CacheWrites, str] = MappingProxyType(
    {
        'none': 'input',
        'free': 'input',
        '5m': 'cache_write_5m',
        '30m': 'cache_write_30m',
        '1h': 'cache_write_1h',
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One model that can be chosen.

    Attributes:
        name: The user's name for it, such as `light`.
        provider: Who bills.
        model: The model's id.
        abilities: What it can do; `None` is unknown, and then nothing is refused for it.
        context_tokens: The most tokens of input and output together; `None` is unknown.
        max_output_tokens: The most output tokens; `None` is unknown.
        tenants: The only tenants that may use it; `None` is everybody.
        not_tenants: Tenants that may not.
        cache_writes: How long its prompt cache keeps a prefix, `free` where writing has no
            surcharge, `none` where it has no cache.
    """

    name: str
    provider: str
    model: str
    abilities: frozenset[Ability] | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    tenants: frozenset[str] | None = None
    not_tenants: frozenset[str] = frozenset()
    cache_writes: CacheWrites = 'none'

    def refusal(self, query: Query) -> str | None:
        """Why it cannot serve the query; `None` where nothing speaks against it."""
        if self.abilities is not None and (lacking := query.needs - self.abilities):
            return f'cannot do {", ".join(sorted(lacking))}'
        if query.tenant in self.not_tenants or (
            self.tenants is not None and query.tenant not in self.tenants
        ):
            return 'not allowed for this tenant'
        asked = query.output_tokens
        if self.max_output_tokens is not None and (asked or 0) > self.max_output_tokens:
            return f'writes at most {self.max_output_tokens} tokens, {asked} are asked for'
        if self.context_tokens is not None and query.input_tokens is not None:
            whole = query.input_tokens + (asked or 0)
            if whole > self.context_tokens:
                return f'holds {self.context_tokens} tokens, {whole} are needed'
        return None

    def rates(self, book: PriceBook, at: datetime, prompt_tokens: int) -> 'Rates | None':
        """What tokens of a prompt of so many cost here; `None` where the book has no price."""
        price = book.token_price(self.provider, self.model, at, prompt_tokens)
        read = price('input' if self.cache_writes == 'none' else 'cache_read')
        write = price(_WRITES[self.cache_writes])
        output = price('output')
        if read is None or write is None or output is None:
            return None
        return Rates(read, write, output)


class Rates(NamedTuple):
    """Prices of a token in 1e-12 USD.

    Attributes:
        read: Of the prefix, where it is warm.
        write: Of what is not, and of what a turn adds.
        output: Of the answer.
    """

    read: int
    write: int
    output: int


def refusals(query: Query, routes: Mapping[str, Route]) -> dict[str, str]:
    """The routes that cannot serve the query, and why; empty where all can."""
    found = {name: route.refusal(query) for name, route in routes.items()}
    return {name: reason for name, reason in found.items() if reason is not None}
