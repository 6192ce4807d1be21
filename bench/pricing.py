"""Pricing one call with cache reads and writes, beside genai-prices."""

from datetime import UTC, datetime, timedelta
from itertools import cycle

from bench.fakes import MODEL
from bench.timing import US, Check, Contestant, Table, race
from genai_prices import Usage as PeersUsage
from genai_prices import calc_price
from genai_prices.types import PriceCalculation

from farthing import Call, PriceBook, Quote, Terms, Usage

OURS, PEER = 'farthing', 'genai-prices'
_FIRST = datetime(2026, 11, 23, 8, tzinfo=UTC)
_TERMS = Terms(tier='standard', batch=False, geo='global', region='global')


def measure(*, quick: bool) -> list[Table]:
    """A minute's calls of one model, priced one by one."""
    rounds = 50 if quick else 300
    book = PriceBook.load()
    ours, theirs = cycle(map(_call, range(60))), cycle(map(_peers_call, range(60)))

    def price() -> Quote:
        usage, call = next(ours)
        return book.quote(usage, call)

    def peer() -> PriceCalculation:
        usage, at = next(theirs)
        return calc_price(usage, MODEL, provider_id='anthropic', genai_request_timestamp=at)

    contestants = [Contestant(name=OURS, call=price), Contestant(name=PEER, call=peer)]
    took = race(contestants, rounds=rounds, calls=58)  # and two to warm up: a whole minute
    quote = price()
    prices = {OURS: f'{quote.cost_usd:f} {quote.status}', PEER: f'{peer().total_price:f}'}
    return [
        Table(
            title=f'Pricing one call, cache reads and writes: median of {rounds} rounds',
            columns=('', 'us a call', 'USD'),
            rows=[(name, f'{took[name] / US:.2f}', prices[name]) for name in took],
            checks=(
                Check(what='times as fast', value=took[PEER] / took[OURS], bound=10, least=True),
            ),
        )
    ]


def _call(n: int) -> tuple[Usage, Call]:
    usage = Usage(
        input_tokens=2_600 + n,
        output_tokens=180 + n,
        cache_read_tokens=2_000,
        cache_write_tokens=500,
        cache_write_5m_tokens=500,
    )
    at = _FIRST + timedelta(seconds=n)
    return usage, Call(provider='anthropic', model=MODEL, at=at, terms=_TERMS)


def _peers_call(n: int) -> tuple[PeersUsage, datetime]:
    usage = PeersUsage(
        input_tokens=2_600 + n,
        output_tokens=180 + n,
        cache_read_tokens=2_000,
        cache_write_tokens=500,
    )
    return usage, _FIRST + timedelta(seconds=n)
