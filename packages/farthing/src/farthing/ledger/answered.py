"""Answers of frameworks, which are read and priced when they are drained.

Each call of a framework passes here while its user waits, so the line holds what was told as it
stands: counts, and whose they are. Whoever moves it into the ledger reads the counts and prices
them by the packaged book, whose version stands in the entry. What is out of the ordinary (an
overlay, a failure, a provider's own usage object) is made into an entry at once, and comes as one.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson

from farthing.attribution import Attribution
from farthing.caching.minimum import cacheable
from farthing.entry import CallType, UsageSource
from farthing.errors import EntryError, UsageError
from farthing.ledger.record import COUNTS, MAX_TOKENS, as_line, counts, lines, microseconds, moment
from farthing.prices import PriceBook
from farthing.prices.quote import AT_ONCE, Quote, Terms
from farthing.usage import Usage
from farthing.wire import langchain
from farthing.wire.reading import Reading

KIND = 'a1'
_NO_COUNTS = (None,) * len(COUNTS)


class Told(Protocol):
    """What a framework tells of its own call."""

    id: str
    parent_id: str | None
    who: Attribution
    time: datetime
    provider: str | None
    model: str | None
    call_type: CallType

    def age_us(self) -> int:
        """Time since its start, in microseconds."""

    def first_token_us(self) -> int | None:
        """Time from its start to its first token, in microseconds."""


def answered_line(
    run: Told, api: str, usage_source: UsageSource, usage: object, said: object = None
) -> bytes:
    """The only, answered attempt of a run as a line.

    Args:
        run: The call, which ends now.
        api: Which framework's usage object it is.
        usage_source: Who counted.
        usage: A plain reading; or LangChain's `usage_metadata`, unread.
        said: What LangChain's metadata says besides (`farthing.wire.langchain.plainly`).

    Raises:
        EntryError: It cannot be stored.
    """
    if isinstance(usage, Reading):
        usage, said = _plain(usage)
    who = run.who
    return as_line(
        (
            KIND,
            run.id,
            microseconds(run.time),
            who.session,
            run.parent_id,
            run.provider,
            run.model,
            api,
            run.call_type,
            who.purpose,
            who.tenant,
            who.task,
            dict(who.tags) if who.tags else None,
            usage_source,
            run.age_us(),
            run.first_token_us(),
            usage,
            said,
        )
    )


def _plain(reading: Reading) -> tuple[object, object]:
    """The counts and the terms of a reading."""
    usage, terms = reading.usage, reading.terms
    if usage is None or usage.input_tokens > MAX_TOKENS or usage.output_tokens > MAX_TOKENS:
        raise EntryError(f'{usage!r} has no counts, or larger ones than a ledger takes')
    return counts(usage), (reading.model, terms.tier, terms.batch, terms.geo, terms.region)


class Answered:
    """A line of an answer, read and priced when somebody asks.

    Attributes:
        usage_source: Who counted.
        usage: Its counts; `None` where they contradict each other.
        quote: Its price.
    """

    __slots__ = ('_book', '_line', '_read')

    def __init__(self, line: bytes, book: PriceBook) -> None:
        self._line = line
        self._book = book
        self._read: tuple[Usage | None, Quote] | None = None

    @property
    def usage_source(self) -> UsageSource:
        """Who counted."""
        source: UsageSource = orjson.loads(self._line)[_SOURCE]
        return source

    @property
    def usage(self) -> Usage | None:
        """Its counts; `None` where they contradict each other."""
        return self._billed()[0]

    @property
    def quote(self) -> Quote:
        """Its price."""
        return self._billed()[1]

    def _billed(self) -> tuple[Usage | None, Quote]:
        if self._read is None:
            record = orjson.loads(self._line)
            usage, served, terms = _read(record)
            self._read = usage, _quote(record, usage, served, terms, self._book)
        return self._read


_SOURCE = 13


def entry_record(record: list[Any], book: PriceBook) -> list[Any]:
    """The record of an entry (`e1`), priced by `book`.

    Raises:
        LookupError, TypeError, ValueError: The record is damaged.
    """
    (
        _, run_id, time, session, parent, provider, model, api, call_type, purpose,
        tenant, task, tags, source, latency_us, first_token_us, *_,
    ) = record  # fmt: skip
    usage, served, terms = _read(record)
    quote = _quote(record, usage, served, terms, book)
    provider, name = provider or 'unknown', served or model or 'unknown'
    cost, embeds = quote.cost, call_type == 'embeddings'
    error = 'UsageError' if usage is None else None
    return [
        'e1', f'{run_id}:1', time, session, run_id, parent,
        provider, name, model, served, api, call_type, purpose, 'sync',
        'no' if embeds else cacheable(provider, name, usage.input_tokens if usage else None),
        terms.tier, terms.geo, terms.region, None, tenant, task, 'ok', error,
        None if usage is None else source,
        quote.status, quote.book, quote.model, quote.reason,
        *(_NO_COUNTS if usage is None else counts(usage)),
        cost, cost, latency_us, first_token_us,
        lines(quote.lines), quote.assumed or None, None, tags, None,
    ]  # fmt: skip


def _read(record: list[Any]) -> tuple[Usage | None, str | None, Terms]:
    """Counts, served model and terms; no counts where they contradict each other."""
    usage, said = record[-2:]
    try:
        if isinstance(usage, Mapping):
            found, model, tier = langchain.told(usage, said)
            return found, model, _terms(tier)
        model, *terms = said
        return Usage(**dict(zip(COUNTS, usage, strict=True))), model, _terms(*terms)
    except UsageError:
        return None, None, AT_ONCE


@lru_cache(maxsize=1_000)
def _terms(
    tier: str | None,
    batch: bool | None = None,  # noqa: FBT001 - in the order of a line
    geo: str | None = None,
    region: str | None = None,
) -> Terms:
    return Terms(tier=tier, batch=batch, geo=geo, region=region).over(AT_ONCE)


def _quote(
    record: list[Any], usage: Usage | None, served: str | None, terms: Terms, book: PriceBook
) -> Quote:
    if usage is None:
        reason = 'the answer carried no usage'
        return Quote(status='unpriced', cost=None, reason=reason, book=book.version)
    provider, model = record[5] or 'unknown', served or record[6] or 'unknown'
    return book.quote_answer(usage, provider, model, moment(record[2]), terms)
