"""Reports: what is grouped, what is filtered, what is never added up, and by which plan."""

import contextlib
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from farthing.entry import Outcome
from farthing.errors import InputError
from farthing.ledger import KEYS, ROLLUP_KEYS, Ledger, Sums, reporting
from farthing.ledger.keys import query
from farthing.ledger.planning import Part, plan, scan
from farthing.prices.quote import Quote
from farthing.usage import Usage

from .samples import START, correction, decision, entry


def figures(report):
    return [(*row.keys.values(), row.calls, row.cost) for row in report.rows]


def test_an_empty_ledger_reports_nothing_lost(ledger) -> None:
    report = ledger.report(by='tenant')

    assert ((), Sums(), None, 0) == (report.rows, report.total, report.local_total, report.lost)


def test_rows_are_grouped_by_several_keys_dearest_first(ledger) -> None:
    ledger.post(entry(1, tenant='acme', task='triage'))
    ledger.post(entry(2, tenant='acme', task='triage', status='error', error='429'))
    ledger.post(entry(4, tenant=None, task='draft'))

    report = ledger.report(by=['tenant', 'task', 'call_type'])

    assert [
        (None, 'draft', 'chat', 1, 120_000_000),
        ('acme', 'triage', 'chat', 2, 90_000_000),
    ] == figures(report)
    assert [0, 1] == [row.errors for row in report.rows]
    assert Decimal('0.00021') == report.total.cost_usd == report.total.list_cost_usd


def test_every_kind_of_token_is_summed_and_what_nobody_said_is_unknown(ledger) -> None:
    ledger.post(
        entry(
            1,
            usage=Usage(
                input_tokens=100,
                output_tokens=9,
                cache_read_tokens=10,
                cache_write_tokens=60,
                cache_write_5m_tokens=10,
                cache_write_1h_tokens=20,
                cache_write_30m_tokens=30,
                reasoning_tokens=4,
            ),
        )
    )
    ledger.post(entry(2, task='other'))
    ledger.post(
        entry(
            3,
            task='nothing',
            usage=None,
            usage_source=None,
            quote=Quote(status='unpriced', cost=None, book='b'),
            list_cost=None,
        )
    )
    ledger.post(entry(4, task='other', usage_source='estimated'))

    rows = {row.keys['task']: row for row in ledger.report(by='task').rows}

    triage = rows['triage']
    assert (100, 10, 60, 10, 20, 30, 9, 4) == (
        triage.input_tokens,
        triage.cache_read_tokens,
        triage.cache_write_tokens,
        triage.cache_write_5m_tokens,
        triage.cache_write_1h_tokens,
        triage.cache_write_30m_tokens,
        triage.output_tokens,
        triage.reasoning_tokens,
    )
    assert rows['other'].reasoning_tokens is None
    assert 1 == rows['other'].estimated
    assert (1, 0, 1) == (rows['nothing'].calls, rows['nothing'].cost, rows['nothing'].unpriced)


def test_calls_to_this_machine_are_never_added_to_real_spend(ledger) -> None:
    ledger.post(entry(1))
    ledger.post(entry(2, endpoint='127.0.0.1:8123'))

    report = ledger.report(by='tenant')

    assert ('tenant', 'endpoint_class') == report.by
    assert [
        ('acme', 'local', 1, 60_000_000),
        ('acme', 'real', 1, 30_000_000),
    ] == figures(report)
    assert ('real', 30_000_000) == (report.endpoint_class, report.total.cost)
    assert 60_000_000 == report.local_total.cost

    only = ledger.report(by='tenant', where={'endpoint_class': 'local'})

    assert ('local', None) == (only.endpoint_class, only.local_total)
    assert [('acme', 1, 60_000_000)] == figures(only)


@pytest.mark.parametrize(
    ('endpoint', 'local'),
    [
        (None, False),
        ('api.openai.com', False),
        ('127.0.0.1:80', True),
        ('127.1.2.3', True),
        ('localhost:4000', True),
        ('LOCALHOST', True),
        ('ollama.localhost', True),
        ('[::1]:8080', True),
        ('::1', True),
        ('127.example.com', False),
        ('localhost.example.com', False),
        ('10.0.0.7:8080', False),
    ],
)
def test_an_endpoint_is_local_when_it_is_this_machine(endpoint, local) -> None:
    assert local is reporting.is_local(endpoint)


@pytest.mark.parametrize('key', KEYS)
def test_every_key_groups_and_loses_no_call(ledger, key) -> None:
    ledger.post(entry(1, run_id='r', session='s', tags={'a': 'b'}))
    ledger.post(
        entry(2, prefix=('f',), usage=Usage(input_tokens=20, output_tokens=0, tool_uses={'x': 1}))
    )
    ledger.post_correction(correction(1, rate=1_000_000))
    ledger.post_decision(decision())
    ledger.post_outcome(Outcome(run_id='r', score=Decimal('0.5'), source='judge', time=START))

    report = ledger.report(by=[key])

    assert 2 == sum(row.calls for row in report.rows)
    assert 10_000_000 + 60_000_000 == sum(row.cost for row in report.rows)
    assert all(row.calls for row in report.rows), 'a correction stands in the group of its call'
    assert ledger.report().total == replace(report.total, routed=None)
    for row in report.rows:
        if key not in ('day', 'month', 'year', 'hour'):
            found = ledger.report(where={key: row.keys[key]})
            assert (row.calls, row.cost) == (found.total.calls, found.total.cost)


def test_tags_are_keys(ledger) -> None:
    ledger.post(entry(1, tags={"it's": 'blue'}))
    ledger.post(entry(2, tags={"it's": 'red', 'x': 'y'}))
    ledger.post(entry(3))

    report = ledger.report(by="tag.it's", where={"tag.it's": ['blue', 'red']})

    assert [('red', 1), ('blue', 1)] == [(*row.keys.values(), row.calls) for row in report.rows]
    assert 1 == ledger.report(where={"tag.it's": None}).total.calls


def test_times_are_grouped_in_utc(ledger) -> None:
    for hours in (-1, 0, 1, 25):
        ledger.post(entry(hours + 2, time=START + timedelta(hours=hours)))

    assert {'2026-10-31': 1, '2026-11-01': 2, '2026-11-02': 1} == calls(ledger, 'day')
    assert {'2026-10': 1, '2026-11': 3} == calls(ledger, 'month')
    assert {'2026': 4} == calls(ledger, 'year')
    assert {'2026-10-31T23:00Z', '2026-11-02T01:00Z'} < calls(ledger, 'hour').keys()


def calls(ledger: Ledger, key: str) -> dict[str | None, int]:
    return {row.keys[key]: row.calls for row in ledger.report(by=key).rows}


def test_bounds_include_the_first_moment_and_exclude_the_last(ledger) -> None:
    for number in range(10):
        ledger.post(entry(number, time=START + timedelta(hours=12 * number)))
    first, last = START + timedelta(hours=12), START + timedelta(days=3, microseconds=1)

    assert 6 == ledger.report(since=first, until=last).total.calls
    assert 5 == ledger.report(since=first, until=START + timedelta(days=3)).total.calls
    assert [6, 5, 4, 3, 2, 1] == [
        booked.entry.usage.input_tokens // 10 for booked in ledger.entries(since=first, until=last)
    ]
    assert 1 == len(list(ledger.entries(since=first, limit=1)))


def at(*arguments: int) -> datetime:
    return datetime(*arguments, tzinfo=UTC)


def day(*arguments: int) -> int:
    return (at(*arguments) - at(1970, 1, 1)).days


def microsecond(*arguments: int) -> int:
    return (at(*arguments) - at(1970, 1, 1)) // timedelta(microseconds=1)


def part(table, since=None, until=None) -> Part:
    return Part(table=table, since=since, until=until)


@pytest.mark.parametrize(
    ('asked', 'expected'),
    [
        ({'by': 'tenant,month'}, [part('monthly')]),
        ({'by': 'tenant,day'}, [part('daily')]),
        ({'by': 'tenant,provider'}, [part('entry')]),
        ({'by': 'tenant', 'where': {'session': 's'}}, [part('entry')]),
        ({'since': at(2026, 11, 1)}, [part('monthly', day(2026, 11, 1))]),
        (
            {'since': at(2026, 10, 30, 12)},
            [
                part('monthly', day(2026, 11, 1)),
                part('daily', day(2026, 10, 31), day(2026, 11, 1)),
                part('entry', microsecond(2026, 10, 30, 12), microsecond(2026, 10, 31)),
            ],
        ),
        (
            {'since': at(2026, 11, 2), 'until': at(2026, 11, 20)},
            [part('daily', day(2026, 11, 2), day(2026, 11, 20))],
        ),
        (
            {'since': at(2026, 11, 2, 6), 'until': at(2026, 11, 2, 18)},
            [part('entry', microsecond(2026, 11, 2, 6), microsecond(2026, 11, 2, 18))],
        ),
        ({'since': at(9999, 12, 31)}, None),
    ],
)
def test_rollups_answer_what_they_can(asked, expected) -> None:
    planned = plan(query(**asked))

    assert planned if expected is None else planned == expected


@pytest.fixture
def database(ledger, path):
    for number in range(50):
        ledger.post(entry(number, session=f's-{number // 5}'))
    ledger.flush()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute('ANALYZE')
        yield db


@pytest.mark.parametrize(
    ('asked', 'expected'),
    [
        ({'by': 'tenant,task,model,call_type'}, 'SCAN e'),
        ({'by': 'provider,tenant,session'}, 'SCAN e'),
        ({'by': 'provider', 'since': START}, 'SCAN e'),
        ({'by': 'provider', 'since': START + timedelta(minutes=48)}, 'USING INDEX entry_time'),
        ({'by': 'provider', 'where': {'session': 's-1'}}, 'USING INDEX entry_session'),
        ({'by': 'provider', 'where': {'tenant': 'acme'}}, 'SCAN e'),
        ({'by': 'provider', 'where': {'id': 'anthropic:msg_1'}}, 'MULTI-INDEX OR'),
        ({'by': 'book'}, 'USING INDEX entry_corrects'),
    ],
)
def test_plans_use_an_index_only_where_it_pays(database, asked, expected) -> None:
    asked = query(**asked)
    (first, *_) = plan(asked)
    sql, arguments = reporting.statement(database, asked, first)

    steps = [row[3] for row in database.execute(f'EXPLAIN QUERY PLAN {sql}', arguments)]

    assert any(expected in step for step in steps), steps
    if expected == 'SCAN e':
        assert not any('USING' in step and 'TEMP B-TREE' not in step for step in steps), steps


@pytest.mark.parametrize('key', [key for key in ROLLUP_KEYS if key != 'day'])
def test_a_report_by_rollup_keys_reads_no_entry(key) -> None:
    assert ['monthly'] == [part.table for part in plan(query(by=key))]


def test_a_scan_gives_the_same_as_the_rollup(database) -> None:
    asked = query(by='tenant,task,model,call_type')
    rollup, scanned = (
        reporting.statement(database, asked, one) for one in (plan(asked)[0], scan(asked))
    )

    assert database.execute(*rollup).fetchall() == database.execute(*scanned).fetchall()


@pytest.mark.parametrize(
    ('asked', 'told'),
    [
        ({'by': ['tenent']}, "did you mean 'tenant'"),
        ({'by': ['tag.']}, 'known: day'),
        ({'by': [7]}, 'there is no key 7'),
        ({'by': ['task', 'task']}, 'each key once'),
        ({'by': 'task;DROP TABLE entry'}, 'there is no key'),
        ({'since': datetime(2026, 11, 1)}, 'expected an aware datetime'),  # noqa: DTZ001
        ({'until': '2026-11-01'}, 'expected an aware datetime'),
        ({'since': START, 'until': START}, 'nothing would match'),
        ({'where': {'day': '2026-11-01'}}, 'use `since` and `until`'),
        ({'where': {'tenant': 7}}, 'expected text or None'),
        ({'where': {'nobody': 'x'}}, 'there is no key'),
    ],
)
def test_bad_arguments_are_told_with_what_was_expected(ledger, asked, told) -> None:
    with pytest.raises(InputError, match=told):
        ledger.report(**asked)


def test_a_bad_limit_is_told(ledger) -> None:
    with pytest.raises(InputError, match='`limit` is -1'):
        ledger.entries(limit=-1)
