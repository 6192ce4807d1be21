"""Verdicts on prompt caches in a real ledger, from requests that the wire reads."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing import Attribution, Entry, Ledger, PriceBook, Quote, Usage
from farthing.ledger.sqlite import SQLite
from farthing.meter import Meter
from farthing.wire import for_api

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
RULES = 'Answer briefly. ' * 1_000
MARK = {'cache_control': {'type': 'ephemeral'}}


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(tmp_path / 'f.db')) as ledger:
        yield ledger


def body(system: str, question: str = 'Why?') -> dict[str, Any]:
    return {
        'model': 'claude-sonnet-4-5',
        'system': [{'type': 'text', 'text': system, **MARK}],
        'messages': [{'role': 'user', 'content': question}],
    }


def call(books: Ledger, number: int, request: dict[str, Any], **changes: Any) -> Entry:
    """A call of 4,000 tokens, of which 3,996 are written; one a minute."""
    meter = Meter(books, PriceBook.load())
    fields = {
        'id': f'call-{number}',
        'time': START + timedelta(minutes=number),
        'provider': 'anthropic',
        'model_requested': request['model'],
        'api': 'anthropic_messages',
        'tier': 'standard',
        'endpoint': 'api.anthropic.com',
        'attribution': Attribution(tenant='acme', task='triage'),
        'usage': Usage(
            input_tokens=4_000,
            output_tokens=10,
            cache_write_tokens=3_996,
            cache_write_5m_tokens=3_996,
        ),
        'usage_source': 'reported',
        'quote': Quote(status='exact', cost=0, book='test'),
        'list_cost': 0,
        'latency_us': 900_000,
        'prefix': meter.fingerprints(for_api('anthropic_messages').blocks(request)),
    }
    return Entry(**(fields | changes))


def test_a_timestamp_planted_in_the_system_prompt_is_found_there(books: Ledger) -> None:
    for number in range(1, 5):
        books.post(call(books, number, body(f'{RULES} It is 12:0{number}.', f'question {number}')))

    found = sorted(books.explained(), key=lambda one: one.entry_id)

    assert ['first', 'edit', 'edit', 'edit'] == [one.cause for one in found]
    assert {'system[0]'} == {one.path for one in found[1:]}
    assert 'system[0] changed' == found[1].reason
    [lost] = {one.tokens_lost for one in found[1:]}
    # All but the question: its 43 bytes of some 16,000 are about ten of 4,000 tokens.
    assert 3_980 < lost < 3_996
    # Written at 3.75 USD a million and not read at 0.30: 3.45 a million each.
    assert {lost * 3_450_000} == {one.cost_lost for one in found[1:]}
    assert all(one.estimated for one in found[1:])


def test_a_call_is_explained_once_and_later_calls_go_on_from_it(books: Ledger) -> None:
    books.post(call(books, 1, body(RULES)))
    assert 1 == books.explain()
    assert 0 == books.explain()

    books.post(call(books, 2, body(RULES)))
    assert 1 == books.explain()

    assert {'call-1': 'first', 'call-2': 'provider'} == {
        one.entry_id: one.cause for one in books.explained()
    }


def test_two_processes_that_explain_at_once_store_one_verdict(
    books: Ledger, tmp_path: Path
) -> None:
    books.post(call(books, 1, body(RULES)))
    books.flush()
    with closing(Ledger.open(tmp_path / 'f.db')) as other:
        engine = SQLite(tmp_path / 'f.db')
        for ledger in (books, other):
            for decision in list(engine.unexplained(PriceBook.load())):
                ledger.post_decision(decision)
    books.flush()

    assert ['first'] == [one.cause for one in books.explained()]
    assert books.verify().ok


def test_reports_group_and_filter_by_the_cause(books: Ledger) -> None:
    books.post(call(books, 1, body(RULES)))
    books.post(call(books, 2, body(RULES + 'now')))
    books.post(call(books, 3, body(RULES), call_type='embeddings'))

    rows = books.report(by='cache_cause').rows

    assert {'first': 1, 'edit': 1, None: 1} == {row.keys['cache_cause']: row.calls for row in rows}
    assert 1 == books.report(where={'cache_cause': 'edit'}).total.calls
    assert ['call-2'] == [one.entry.id for one in books.entries(where={'cache_cause': 'edit'})]


def test_a_verdict_is_no_decision_of_a_lever(books: Ledger) -> None:
    books.post(call(books, 1, body(RULES)))
    books.explain()

    [row] = books.report(by='lever,policy,chosen').rows

    assert {'lever': None, 'policy': None, 'chosen': None} == row.keys


def test_an_unpriced_model_loses_tokens_at_an_unknown_cost(books: Ledger) -> None:
    for number, word in ((1, 'one'), (2, 'two')):
        request = body(RULES + word) | {'model': 'claude-of-tomorrow'}
        books.post(call(books, number, request))

    [_, found] = sorted(books.explained(), key=lambda one: one.entry_id)

    assert 'edit' == found.cause
    assert found.tokens_lost
    assert found.cost_lost is None


def test_prices_of_the_users_own_price_what_was_lost(books: Ledger) -> None:
    own = PriceBook.load().extend(
        provider='anthropic',
        model='claude-sonnet-4-5',
        rates={'input': '2', 'cache_read': '1', 'cache_write_5m': '2'},
    )
    books.post(call(books, 1, body(RULES)))
    books.post(call(books, 2, body(RULES)))

    [_, found] = sorted(books.explained(book=own), key=lambda one: one.entry_id)

    # 3,996 tokens, written at 2 instead of read at 1 USD a million.
    assert ('provider', 3_996, 3_996 * 1_000_000) == (
        found.cause,
        found.tokens_lost,
        found.cost_lost,
    )


def test_the_providers_own_diagnosis_is_read_and_shown_beside_ours(books: Ledger) -> None:
    answer = {
        'id': 'msg_1',
        'model': 'claude-sonnet-4-5',
        'usage': {'input_tokens': 4, 'output_tokens': 1},
        'diagnostics': {
            'cache_miss_reason': {'type': 'tools_changed', 'cache_missed_input_tokens': 3_000}
        },
    }
    reader = for_api('anthropic_messages')
    stream = reader.stream()
    events = {'type': 'message_start', 'message': answer}
    stream.feed(f'event: message_start\ndata: {json.dumps(events)}\n\n'.encode())
    readings = [reader.answer(answer), stream.reading()]

    assert [('tools_changed', 3_000)] * 2 == [
        (one.cache_miss.reason, one.cache_miss.tokens) for one in readings if one.cache_miss
    ]

    books.post(call(books, 1, body(RULES)))
    entry = call(books, 2, body(RULES))
    said = call(books, 2, body(RULES), prefix=(*entry.prefix, '!tools_changed.3000'))
    books.post(said)
    [_, found] = sorted(books.explained(), key=lambda one: one.entry_id)
    assert ('provider', 'tools_changed') == (found.cause, found.provider_reason)
    assert found.reason.endswith('; the provider says tools_changed')


@pytest.mark.parametrize(
    'diagnostics',
    [None, 7, {}, {'cache_miss_reason': 'x'}, {'cache_miss_reason': {'type': 'Bad text!'}}],
)
def test_a_diagnosis_of_another_form_never_costs_the_bill(diagnostics: object) -> None:
    found = for_api('anthropic_messages').answer(
        {'usage': {'input_tokens': 4, 'output_tokens': 1}, 'diagnostics': diagnostics}
    )

    assert found.cache_miss is None
    assert found.usage is not None


def test_entries_of_an_older_ledger_are_unknown(books: Ledger) -> None:
    books.post(call(books, 1, body(RULES), prefix=('4f0c9a12b7d3e586', '00aa9a12b7d3e586')))
    books.post(call(books, 2, body(RULES), prefix=()))

    assert ['unknown', 'unknown'] == [one.cause for one in books.explained()]


def test_what_was_read_at_list_price_is_exact_money(books: Ledger) -> None:
    books.post(call(books, 1, body(RULES)))
    books.post(call(books, 2, body(RULES)))

    lost = sum(one.cost_lost or 0 for one in books.explained())

    # 3,996 tokens at 3.75 - 0.30 USD a million.
    assert Decimal('0.0137862') == Decimal(lost).scaleb(-12)
