"""The models a router chooses among, weakest first, and which of them can serve a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from farthing.prices import Call, PriceBook
from farthing.routing.query import Ability, Query
from farthing.usage import Usage

CacheWrites = Literal['none', 'free', '5m', '30m', '1h']


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

    def turn_cost(
        self, book: PriceBook, at: datetime, *, warm: int, cold: int, new: int, output: int
    ) -> int | None:
        """What a turn costs here in 1e-12 USD; `None` where the book has no price.

        Args:
            book: The prices.
            at: When.
            warm: Prefix tokens that are read from the cache.
            cold: Prefix tokens that are not there.
            new: Input tokens that the turn adds.
            output: Output tokens.
        """
        written = 0 if self.cache_writes in {'none', 'free'} else cold + new
        usage = Usage(
            input_tokens=warm + cold + new,
            output_tokens=output,
            cache_read_tokens=0 if self.cache_writes == 'none' else warm,
            cache_write_tokens=written,
            cache_write_5m_tokens=written if self.cache_writes == '5m' else 0,
            cache_write_30m_tokens=written if self.cache_writes == '30m' else 0,
            cache_write_1h_tokens=written if self.cache_writes == '1h' else 0,
        )
        return book.quote(usage, Call(provider=self.provider, model=self.model, at=at)).cost


def refusals(query: Query, routes: Mapping[str, Route]) -> dict[str, str]:
    """The routes that cannot serve the query, and why; empty where all can."""
    found = {name: route.refusal(query) for name, route in routes.items()}
    return {name: reason for name, reason in found.items() if reason is not None}
