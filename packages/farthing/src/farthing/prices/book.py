"""The price book: what a call costs, and why.

Prices come in layers: the packaged book, then the user's overlay (negotiated rates, own models),
then an override for one call. A book never changes: `with_overlay` and `extend` make new ones, and
`version` tells them apart, so that an old entry can always be explained.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from farthing.errors import InputError, PriceError
from farthing.money import pico, usd
from farthing.prices import packaged
from farthing.prices.card import TOKEN_METERS, Band, Card, Rate, bill, token_price
from farthing.prices.names import PROVIDERS, Name, provider_of, resolve
from farthing.prices.overlay import Overlay, overlay_document
from farthing.prices.quote import UNSAID, Call, Quote, Terms
from farthing.prices.table import NoPrice, Table, Timeline
from farthing.usage import Usage

Override = Mapping[str, Decimal | str]

# One kind of call each; a process sees dozens. Past this the cache starts anew, because ids come
# from users and may be without end.
_MOST_TIMELINES = 4_096


class Shown(NamedTuple):
    """One rate of the book, as `PriceBook.show` lists it.

    Attributes:
        provider: Who bills.
        model: The model's id in the book.
        tier: The tier, `batch` among them; `tool` for a use of the provider's own tool.
        above: The rate is of prompts longer than this.
        meter: What is counted.
        usd: USD per million tokens, or per thousand uses of a tool.
        rules: Ids of the rows and rules that make it.
        doubt: What is assumed where it is used.
        url: Where its row was read.
        read_on: The day it was read.
    """

    provider: str
    model: str
    tier: str
    above: int
    meter: str
    usd: Decimal
    rules: tuple[str, ...]
    doubt: str | None
    url: str | None
    read_on: str | None


class PriceBook:
    """Dated prices of several providers; safe to share between threads.

    Attributes:
        version: Date and digest of the packaged data, and a digest of each overlay.
        overlaid: Whether an overlay may make the price differ from the list's.
    """

    __slots__ = ('_layers', '_list', '_tables', '_timelines', 'overlaid', 'version')

    def __init__(
        self, version: str, layers: tuple[Mapping[str, Any], ...], listed: 'PriceBook | None' = None
    ) -> None:
        self.version = version
        self.overlaid = listed is not None
        self._layers = layers
        self._list = listed or self
        self._tables: dict[str, Table] = {}
        self._timelines: dict[tuple[Any, ...], Timeline] = {}

    @classmethod
    def load(cls) -> 'PriceBook':
        """The packaged book; read once in a process."""
        return _packaged()

    def with_overlay(self, overlay: Overlay) -> 'PriceBook':
        """This book with a user's rates laid over it.

        Args:
            overlay: A TOML or JSON file, or its content as a mapping, in the form of
                `farthing.prices.facts`; it may hold several such documents as `providers`.

        Raises:
            InputError: The file cannot be read.
            PriceError: Its content contradicts itself.
        """
        from farthing.prices import facts  # noqa: PLC0415 - few books have an overlay

        documents, digest, where = overlay_document(overlay)
        read = [facts.read(one, where=where, label='overlay') for one in documents]
        layers = tuple({**one, 'provider': _seller(one['provider'])} for one in read)
        return PriceBook(f'{self.version}+{digest}', (*self._layers, *layers), self._list)

    def extend(
        self,
        *,
        provider: str,
        model: str,
        rates: Mapping[str, str],
        since: str | None = None,
        tier: str = 'standard',
    ) -> 'PriceBook':
        """This book with one model's rates added, or laid over those it has.

        Args:
            provider: Who bills.
            model: The model's id.
            rates: USD per million tokens by meter, as decimal strings.
            since: The day from which they hold, such as `2026-03-13`.
            tier: The tier that they are of.

        Raises:
            PriceError: A rate or a meter is none.
        """
        row = {'tier': tier, **({} if since is None else {'from': since}), **rates}
        return self.with_overlay({'provider': provider, 'models': [{'id': model, 'rates': [row]}]})

    def quote(self, usage: Usage, call: Call, *, override: Override | None = None) -> Quote:
        """The price of one call.

        Args:
            usage: Its inclusive counts.
            call: Its provider, model, time and conditions.
            override: Rates that replace the book's for this call, in USD per million tokens by
                meter, after all rules.

        Returns:
            A quote; where the price is unknown its status is `unpriced` and it says why.

        Raises:
            InputError: The call's time is not aware, or an override is no rate.
        """
        card = self._card(call.provider, call.model, call.at, call.terms)
        return self._quote(usage, card if override is None else _overridden(card, call, override))

    def quote_answer(
        self, usage: Usage, provider: str, model: str, at: datetime, terms: Terms
    ) -> Quote:
        """`quote` without a `Call`, for the path that every recorded call takes."""
        return self._quote(usage, self._card(provider, model, at, terms))

    def _quote(self, usage: Usage, card: Card | NoPrice) -> Quote:
        if isinstance(card, NoPrice):
            return Quote(status='unpriced', cost=None, reason=card.reason, book=self.version)
        found = bill(usage, card)
        if found.reason is not None:
            return Quote(
                status='unpriced',
                cost=None,
                reason=found.reason,
                model=card.model,
                book=self.version,
            )
        assumed = card.assumed + found.assumed if found.assumed else card.assumed
        return Quote(
            status='assumed' if assumed else 'exact',
            cost=found.cost,
            lines=found.lines,
            assumed=assumed,
            model=card.model,
            book=self.version,
        )

    def token_price(
        self, provider: str, model: str, at: datetime, prompt_tokens: int
    ) -> Callable[[str], int | None]:
        """What one token costs, by meter such as `cache_read`, in a prompt of so many tokens.

        For weighing a call before it is made: standard conditions are assumed where a price hangs
        on them, and nothing is itemised. The answer is in 1e-12 USD, `None` where there is no
        price.
        """
        card = self._card(provider, model, at, UNSAID)
        if isinstance(card, NoPrice):
            return _no_token
        return partial(token_price, card, prompt_tokens)

    def list_quote(self, usage: Usage, call: Call) -> Quote:
        """The price by the provider's list, without overlay."""
        return self._list.quote(usage, call)

    def models(self, provider: str | None = None) -> list[tuple[str, str]]:
        """Providers and ids of all models, sorted."""
        layers = [one for one in self._layers if provider in {None, one['provider']}]
        return sorted({(one['provider'], model) for one in layers for model in one['models']})

    def show(self, model: str, at: datetime, *, provider: str | None = None) -> list[Shown]:
        """The rates of a model at a time, by tier, without a regional price.

        Empty when no provider has a price for it.
        """
        sellers = {one['provider'] for one in self._layers}
        if provider is not None:
            sellers &= {_seller(provider)}
        shown: list[Shown] = []
        for seller in sorted(sellers):
            table = self._table(seller)
            name = resolve(seller, model, table.ids)
            if name is not None:
                shown += _shown(table, name, at)
        return shown

    def _card(self, seller: str, model: str, at: datetime, terms: Terms) -> Card | NoPrice:
        key = (seller, model, terms.tier, terms.batch, terms.geo, terms.region)
        timeline = self._timelines.get(key)
        if timeline is None:
            if len(self._timelines) >= _MOST_TIMELINES:
                self._timelines.clear()
            timeline = self._timelines[key] = self._timeline(seller, model, terms)
        if at.tzinfo is None:
            raise InputError(f'the time of a call is {at!r}; expected an aware datetime')
        return timeline.at(at)

    def _timeline(self, seller: str, model: str, terms: Terms) -> Timeline:
        provider = provider_of(seller, model)
        if provider is None and _seller(seller) in {one['provider'] for one in self._layers}:
            provider = _seller(seller)
        if provider is None:
            known = ', '.join(sorted({one['provider'] for one in self._layers}))
            return _never(
                f'no prices of the provider {seller!r}; known: {known}; add them in an overlay file'
            )
        table = self._table(provider)
        name = resolve(provider, model, table.ids)
        if name is None:
            return _never(_unknown(model, provider, table))
        if provider != _seller(seller):
            name = name._replace(assumed=(*name.assumed, 'provider'))
        return table.timeline(name, terms)

    def _table(self, provider: str) -> Table:
        table = self._tables.get(provider)
        if table is None:
            layers = tuple(one for one in self._layers if one['provider'] == provider)
            table = self._tables[provider] = Table(provider, layers)
        return table


def _no_token(meter: str) -> None:  # noqa: ARG001 - as `token_price`
    return None


def _shown(table: Table, name: Name, at: datetime) -> list[Shown]:
    sources = table.sources(name.model)

    def row(tier: str, above: int, meter: str, rate: Rate, units: int) -> Shown:
        source = sources.get(rate.rules[0], {})
        return Shown(
            table.provider,
            name.model,
            tier,
            above,
            meter,
            usd(rate.pico * units),
            rate.rules,
            rate.doubt,
            source.get('url'),
            source.get('read_on'),
        )

    shown: list[Shown] = []
    for tier in table.tiers(name.model, at.astimezone(UTC).date().isoformat()):
        terms = Terms(tier=tier, batch=tier == 'batch', geo='global', region='global')
        card = table.timeline(name._replace(region=None), terms).at(at)
        if isinstance(card, NoPrice):
            continue
        for band in reversed(card.bands):
            for meter, rate in band.rates.items():
                shown.append(row(tier, band.above, meter, rate, 1_000_000))
        if tier == 'standard':
            shown += [row('tool', 0, tool, rate, 1_000) for tool, rate in card.tools.items()]
    return shown


@lru_cache(maxsize=1)
def _packaged() -> PriceBook:
    # Beside this file; `importlib.resources` alone takes longer to import than the book to load.
    texts = [part.read_bytes() for part in sorted((Path(__file__).parent / 'data').glob('*.json'))]
    layers = tuple(packaged.layer(orjson.loads(text)) for text in texts)
    days = [source['read_on'] for layer in layers for source in layer['sources'].values()]
    return PriceBook(f'{max(days)}-{sha256(b"".join(texts)).hexdigest()[:12]}', layers)


def _seller(provider: str) -> str:
    return PROVIDERS.get(provider.lower(), provider.lower())


def _never(reason: str) -> Timeline:
    return Timeline((), (NoPrice(reason),))


def _unknown(model: str, provider: str, table: Table) -> str:
    near = get_close_matches(model.lower(), table.ids, n=3, cutoff=0.5)
    known = ', '.join(near) if near else f'{len(table.ids)} others'
    return (
        f'no price for model {model!r} of {provider!r}; known: {known}; '
        'add it in an overlay file, with `PriceBook.extend` or as `override`'
    )


def _overridden(card: Card | NoPrice, call: Call, override: Override) -> Card:
    """The card with rates replaced; an override alone is enough to price an unknown model."""
    rates: dict[str, Rate] = {}
    for meter, rate in override.items():
        if meter not in TOKEN_METERS:
            raise InputError(
                f'`override` names {meter!r}; expected one of {", ".join(TOKEN_METERS)}'
            )
        rates[meter] = Rate(_pico(meter, rate), ('override',))
    if isinstance(card, NoPrice):
        return Card(model=call.model, bands=(Band(0, rates),), tools={})
    bands = tuple(Band(band.above, {**band.rates, **rates}) for band in card.bands)
    return Card(
        model=card.model,
        bands=bands,
        tools=card.tools,
        assumed=card.assumed,
        plain_writes=card.plain_writes,
    )


def _pico(meter: str, rate: object) -> int:
    """An override's rate in 1e-12 USD a token; a float is none, for it is not what was written."""
    if isinstance(rate, str | Decimal):
        try:
            found = pico(Decimal(rate) / 1_000_000)
        except (ArithmeticError, PriceError):
            found = -1
        if found >= 0:
            return found
    raise InputError(
        f'`override` of {meter!r} is {rate!r}; '
        "expected USD per million tokens as a decimal string, such as '2.50'"
    )
