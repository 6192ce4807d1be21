"""Verdicts on prompt caches in the ledger: each call is explained once, in the order of time.

A verdict is a decision with an id made of its entry's, so that it is stored once, whoever explains
first. A call's cause rests on the calls that the ledger held when it was explained.
"""

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from farthing.caching import fingerprint
from farthing.caching.causes import Explained
from farthing.caching.explain import Explainer, Explanation
from farthing.caching.loss import cost_lost
from farthing.caching.sent import Sent
from farthing.entry import Decision, Entry
from farthing.ledger import reporting
from farthing.ledger.booked import Reader
from farthing.ledger.planning import scan
from farthing.ledger.record import EXPLAINED, EXPLAINS, microseconds
from farthing.ledger.values import Query
from farthing.prices.quote import Call, Terms
from farthing.usage import Usage

if TYPE_CHECKING:
    from farthing.prices import PriceBook

_VERSION = '1'
_REACH_US = 86_400_000_000  # the longest that a provider keeps a prefix
_CALLS = (
    "e.corrects IS NULL AND e.call_type IN (SELECT id FROM dim WHERE kind = 'call_type' AND "
    "value = 'chat') AND e.status NOT IN (SELECT id FROM dim WHERE kind = 'status' AND "
    "value = 'cache_hit')"
)
_VERDICT = f"d.id = '{EXPLAINED}' || e.id"


def unexplained(db: sqlite3.Connection, book: 'PriceBook') -> Iterator[Decision]:
    """A verdict on each call that has none, oldest first."""
    (first,) = db.execute(
        f'SELECT min(time) FROM entry e WHERE {_CALLS} '  # noqa: S608 - our own text
        f'AND NOT EXISTS (SELECT 1 FROM decision d WHERE {_VERDICT})'
    ).fetchone()
    if first is None:
        return
    explainer = Explainer()
    read = Reader(db)
    cursor = db.execute(
        f'SELECT e.*, EXISTS (SELECT 1 FROM decision d WHERE {_VERDICT}) AS explained '  # noqa: S608
        f'FROM entry e WHERE {_CALLS} AND e.time >= ? ORDER BY e.time, e.seq',
        (first - _REACH_US,),
    )
    names = [column[0] for column in cursor.description]
    for values in cursor:
        row = dict(zip(names, values, strict=True))
        entry = read.entry(row)
        found = explainer.explain(_sent(entry))
        if not row['explained']:
            yield _decision(entry, found, book)


def explained(db: sqlite3.Connection, query: Query) -> Iterator[Explained]:
    """The verdicts on the entries that match, in no order."""
    conditions, arguments = reporting.conditions(db, query, scan(query))
    if conditions is None:
        return
    wanted = ' AND '.join(['e.corrects IS NULL', *conditions])
    cursor = db.execute(
        'SELECT e.id, t.value, k.value, m.value, d.chosen, d.reason, d.facts FROM entry e '  # noqa: S608
        f'JOIN decision d ON {_VERDICT} JOIN dim t ON t.id = e.tenant '
        f'JOIN dim k ON k.id = e.task JOIN dim m ON m.id = e.model WHERE {wanted}',
        arguments,
    )
    for id_, tenant, task, model, cause, reason, facts in cursor:
        said: dict[str, Any] = {} if facts is None else orjson.loads(facts)
        yield Explained(
            entry_id=id_,
            who=(tenant, task, model),
            cause=cause,
            reason=reason,
            path=said.get('path'),
            change=said.get('change'),
            tokens_lost=said.get('tokens_lost'),
            cost_lost=said.get('cost_lost'),
            estimated=said.get('estimated', False),
            provider_reason=said.get('provider_reason'),
        )


def _sent(entry: Entry) -> Sent:
    at, who = microseconds(entry.time), entry.attribution
    begun = entry.latency_us if entry.first_token_us is None else entry.first_token_us
    task = (who.tenant, who.task, who.purpose)
    chains = (task,) if who.session is None else ((*task, who.session), task)
    return Sent(
        id=entry.id,
        at_us=at,
        begun_us=at + (begun or 0),
        scope=(entry.provider, entry.endpoint),
        chain=chains,
        provider=entry.provider,
        api=entry.api,
        model=entry.model,
        usage=entry.usage if entry.usage_source == 'reported' else None,
        prefix=fingerprint.read(entry.prefix),
    )


def _decision(entry: Entry, found: Explanation, book: 'PriceBook') -> Decision:
    facts = {
        'path': found.path,
        'change': found.change,
        'read_tokens': found.read_tokens,
        'expected_tokens': found.expected_tokens,
        'tokens_lost': found.tokens_lost,
        'cost_lost': _cost_lost(entry, found.tokens_lost, book),
        'estimated': found.estimated or None,
        'earlier': found.earlier,
        'provider_reason': found.said,
        'provider_tokens': found.said_tokens,
    }
    said = '' if found.said is None else f'; the provider says {found.said}'
    return Decision(
        id=EXPLAINED + entry.id,
        entry_id=entry.id,
        time=entry.time,
        lever='caching',
        policy=EXPLAINS,
        version=_VERSION,
        chosen=found.cause,
        reason=found.reason + said,
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _cost_lost(entry: Entry, tokens: int | None, book: 'PriceBook') -> int | None:
    usage = entry.usage
    if tokens is None or usage is None:
        return None
    if not tokens:
        return 0
    call = Call(
        provider=entry.provider,
        model=entry.model,
        at=entry.time,
        terms=Terms(
            tier=entry.tier, batch=entry.mode == 'batch', geo=entry.geo, region=entry.region
        ),
    )

    def price(counts: Usage) -> int | None:
        return book.quote(counts, call).cost

    return cost_lost(usage, tokens, price)
