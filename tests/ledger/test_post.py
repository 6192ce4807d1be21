"""What is posted is in the ledger, once."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.attribution import Attribution
from farthing.entry import Entry, Outcome
from farthing.errors import EntryError
from farthing.ledger import Ledger, LedgerWarning
from farthing.prices.quote import Line, Quote
from farthing.usage import Usage

from .samples import START, correction, decision, entry, quote


def test_an_entry_comes_back_as_it_was_posted(ledger) -> None:
    posted = entry(
        7,
        tenant='acme',
        session='s-1',
        tags={'team': 'blue', 'ünïcode': '✓'},
        run_id='r-1',
        parent_run_id='r-0',
        usage=Usage(
            input_tokens=100,
            output_tokens=20,
            cache_read_tokens=30,
            cache_write_tokens=40,
            cache_write_5m_tokens=10,
            cache_write_1h_tokens=30,
            reasoning_tokens=5,
            input_image_tokens=3,
            tool_uses={'web_search': 2},
        ),
        quote=Quote(
            status='assumed',
            cost=17,
            lines=(
                Line(meter='input', quantity=1, rate=10, amount=10, rules=('a', 'b')),
                Line(meter='web_search', quantity=1, rate=7, amount=7, rules=()),
            ),
            assumed=('tier',),
            model='claude-x',
            book='b1',
        ),
        list_cost=None,
        tier=None,
        status='cancelled',
        error='CancelledError',
        latency_us=1_000_000,
        first_token_us=200_000,
        prefix=('f1', 'f2'),
    )
    bare = entry(
        1,
        model_requested=None,
        model_served=None,
        endpoint=None,
        attribution=Attribution(),
        usage=None,
        usage_source=None,
        quote=Quote(status='unpriced', cost=None, reason='no usage', book='b1'),
        list_cost=None,
    )

    ledger.post(posted)
    ledger.post(bare)

    assert [posted, bare] == [booked.entry for booked in ledger.entries()]


_names = st.none() | st.text(min_size=1, max_size=8)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    number = draw(st.integers(0, 12))
    tokens = draw(st.integers(0, 10**12))
    cost = draw(st.none() | st.integers(0, 2**63 - 1))
    status = 'unpriced' if cost is None else draw(st.sampled_from(['exact', 'assumed']))
    return entry(
        number,
        time=START + timedelta(hours=draw(st.integers(-30_000, 30_000))),
        tenant=draw(_names),
        task=draw(_names),
        model_served=draw(_names),
        tier=draw(_names),
        endpoint=draw(st.sampled_from([None, 'api.anthropic.com', '127.0.0.1:8080', '[::1]:80'])),
        status=draw(st.sampled_from(['ok', 'error', 'cancelled'])),
        usage=Usage(
            input_tokens=tokens, output_tokens=7, reasoning_tokens=draw(st.none() | st.just(3))
        ),
        usage_source=draw(st.sampled_from(['reported', 'estimated'])),
        quote=Quote(status=status, cost=cost, book='b1', reason=None if cost is not None else 'x'),
        list_cost=draw(st.none() | st.integers(0, 2**63 - 1)),
    )


ROLLUP_BY = ['tenant', 'task', 'model', 'call_type', 'tier', 'status', 'endpoint']


@settings(max_examples=60)
@given(first=st.lists(entries(), max_size=12), more=st.lists(entries(), max_size=6), data=st.data())
def test_rollup_equals_scan_and_posting_twice_changes_nothing(
    tmp_path_factory, first, more, data
) -> None:
    path = tmp_path_factory.mktemp('ledger') / 'farthing.db'
    hours = st.none() | st.integers(-30_000, 30_000)
    since, until = (
        None if h is None else START + timedelta(hours=h)
        for h in (data.draw(hours), data.draw(hours))
    )
    if since is not None and until is not None and since >= until:
        since = None
    with Ledger.open(path, interval_s=600) as ledger:
        for one in first:
            ledger.post(one)
        ledger.flush()
        for one in [*more, *first]:
            ledger.post(one)
        by = data.draw(st.lists(st.sampled_from([*ROLLUP_BY, 'day', 'month', 'year']), unique=True))
        summed = ledger.report(by=by, since=since, until=until)
        # `provider` is one value here, and no key of the rollup: it has the entries scanned.
        scanned = ledger.report(by=[*by, 'provider'], since=since, until=until)

        by_id = {}
        for one in [*first, *more]:
            by_id.setdefault(one.id, one)
        known = [
            one
            for one in by_id.values()
            if (since is None or one.time >= since) and (until is None or one.time < until)
        ]
        assert ledger.verify().differences == ()
        assert scanned.total == summed.total
        assert scanned.local_total == summed.local_total
        assert len(scanned.rows) == len(summed.rows)
        totals = [summed.total, *([summed.local_total] if summed.local_total else [])]
        assert len(known) == sum(total.calls for total in totals)
        assert sum(one.quote.cost or 0 for one in known) == sum(total.cost for total in totals)
        assert sum(one.quote.cost is None for one in known) == sum(t.unpriced for t in totals)


def test_sums_stay_exact_above_64_bits(ledger) -> None:
    largest = Quote(status='exact', cost=2**63 - 1, book='b1')
    for number in range(5):
        ledger.post(entry(number, quote=largest, list_cost=2**63 - 1))

    for by in ('tenant', 'provider'):
        assert 5 * (2**63 - 1) == ledger.report(by=by).total.cost
    assert Decimal('46116860.184273879035') == ledger.report().total.cost_usd
    assert ledger.verify().ok


def test_an_entry_that_comes_twice_with_other_numbers_is_noted(ledger) -> None:
    ledger.post(entry(1))
    ledger.post(entry(1, quote=quote(99)))

    verdict = ledger.verify()

    assert verdict.ok
    assert verdict.notes == (
        'anthropic:msg_1 came twice with different numbers: the first ones stand',
    )
    assert 30_000_000 == ledger.report().total.cost


@pytest.mark.parametrize(
    'fields',
    [
        {'quote': Quote(status='exact', cost=2**63, book='b1')},
        {'list_cost': 2**70},
        {'usage': Usage(input_tokens=10**13, output_tokens=0)},
    ],
)
def test_a_number_too_large_is_refused_and_counted_as_lost(ledger, fields) -> None:
    with pytest.warns(LedgerWarning, match='counts as lost'):
        ledger.post(entry(1, **fields))

    report = ledger.report()

    assert (0, 1) == (report.total.calls, report.lost)


def test_text_that_utf8_cannot_hold_does_not_cost_the_entry(ledger) -> None:
    ledger.post(entry(1, tenant='a\ud800b', tags={'n': 5}))

    (row,) = ledger.report(by=['tenant', 'tag.n']).rows

    assert {'tenant': 'a?b', 'tag.n': '5'} == row.keys
    assert 1 == row.calls


def test_a_correction_carries_the_difference_and_both_numbers_stay(ledger) -> None:
    ledger.post(entry(1))
    ledger.post(entry(2, quote=Quote(status='unpriced', cost=None, book='b0'), list_cost=None))
    before = ledger.report(by='tenant').total
    ledger.post_correction(correction(1, rate=2_000_000))
    ledger.post_correction(correction(2, rate=2_000_000))
    ledger.post_correction(correction(1, rate=5_000_000, book='2026-11-24'))
    ledger.post_correction(correction(1, rate=5_000_000, book='2026-11-24'))

    after = ledger.report(by='tenant').total

    assert (2, 30_000_000, 1) == (before.calls, before.cost, before.unpriced)
    # 10 tokens at 5 USD and 20 tokens at 2 USD per million, nothing unpriced.
    assert (2, 50_000_000 + 40_000_000, 0) == (after.calls, after.cost, after.unpriced)
    assert before.input_tokens == after.input_tokens
    assert [
        (40_000_000, None, 1),
        (50_000_000, 30_000_000, 2),
    ] == [(b.quote.cost, b.entry.quote.cost, b.corrections) for b in ledger.entries()]
    assert ledger.verify().ok
    # A call stands in the group of its price in force, with all of its sums.
    rows = ledger.report(by=['price_status', 'book']).rows
    assert [
        ('exact', '2026-11-24', 1, 50_000_000, 0),
        ('exact', '2026-11-23', 1, 40_000_000, 0),
    ] == [(*row.keys.values(), row.calls, row.cost, row.unpriced) for row in rows]


def test_a_correction_of_nothing_is_noted(ledger) -> None:
    ledger.post_correction(correction(1, rate=1))

    verdict = ledger.verify()

    assert 'correction of an entry that is not there' in verdict.notes[0]
    assert 0 == ledger.report().lost


def test_decisions_and_outcomes_are_keys_and_never_double_a_call(ledger) -> None:
    ledger.post(entry(1, run_id='r'))
    ledger.post(entry(2))
    for lever in ('routing', 'caching'):
        ledger.post_decision(decision(lever))
    ledger.post_outcome(Outcome(run_id='r', score=Decimal('0.75'), source='judge', time=START))

    rows = ledger.report(by='lever,chosen,outcome_score').rows

    assert [(None, None, None, 1), ('caching+routing', 'small', '0.75', 1)] == [
        (*row.keys.values(), row.calls) for row in rows
    ]


def test_threads_post_to_one_ledger(path) -> None:
    with Ledger.open(path, interval_s=0.01) as ledger:
        threads = [
            threading.Thread(
                target=lambda n=n: [ledger.post(entry(1000 * n + i)) for i in range(200)]
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 1_600 == ledger.report().total.calls
        assert ledger.verify().ok


def test_two_ledgers_in_one_process_share_the_file(path) -> None:
    with Ledger.open(path, interval_s=600) as one, Ledger.open(path, interval_s=600) as other:
        one.post(entry(1))
        other.post(entry(2))
        other.post(entry(1))

        assert 2 == one.report().total.calls
        assert 2 == other.report().total.calls


def test_the_writer_thread_drains_by_itself(path) -> None:
    with Ledger.open(path, interval_s=0.01) as ledger:
        ledger.post(entry(1))
        deadline = time.monotonic() + 10
        while not _stored(path) and time.monotonic() < deadline:
            time.sleep(0.01)

    assert 1 == _stored(path)


def test_a_closed_ledger_leaves_no_spool_and_opens_again_at_the_next_post(ledger, path) -> None:
    for number in (1, 2):
        ledger.post(entry(number))
        ledger.close()
        assert [] == list(ledger.folder.glob('*.spool'))
        assert number == _stored(path)


def test_a_removed_spool_folder_loses_nothing(ledger) -> None:
    ledger.post(entry(1))
    for file in ledger.folder.iterdir():
        file.unlink()
    ledger.folder.rmdir()
    ledger.post(entry(2))

    ledger.flush()

    assert 2 == ledger.report().total.calls


def test_a_long_lived_spool_is_replaced_after_a_drain(ledger) -> None:
    for number in range(3_000):
        ledger.post(entry(number))
    ledger.flush()
    ledger.post(entry(3_000))
    ledger.flush()

    assert 1 == len(list(ledger.folder.glob('*.spool')))
    assert 3_001 == ledger.report().total.calls


async def test_posting_never_waits_for_a_locked_database(path) -> None:
    with Ledger.open(path, interval_s=0.01) as ledger:  # which waits half a minute for a lock
        ledger.flush()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute('BEGIN EXCLUSIVE')
        slowest = 0.0
        for number in range(50):
            before = time.perf_counter()
            ledger.post(entry(number))
            slowest = max(slowest, time.perf_counter() - before)
            await asyncio.sleep(0.002)
        other.execute('ROLLBACK')
        other.close()

        assert slowest < 10
        assert 50 == ledger.report().total.calls


FORKING = """
import os, sys
sys.path.insert(0, sys.argv[2])
from samples import entry
from farthing.ledger import Ledger
ledger = Ledger.open(sys.argv[1], interval_s=0.01)
for number in range(300):
    ledger.post(entry(number))
child = os.fork()
for number in range(300):
    ledger.post(entry(1000 + number if child else 2000 + number))
if child:
    os.waitpid(child, 0)
    child = os.fork()
    if not child:  # it dies without a word
        ledger.post(entry(3000))
        os._exit(0)
    os.waitpid(child, 0)
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, '-c', code, *map(str, arguments), str(Path(__file__).parent)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no fork here')
def test_a_forked_child_posts_to_a_spool_of_its_own(path) -> None:
    done = run(FORKING, path)

    assert (0, '') == (done.returncode, done.stderr)
    with Ledger.open(path) as ledger:
        assert 901 == ledger.report().total.calls
        assert ledger.verify().ok


def test_posting_a_value_that_is_no_entry_is_counted_and_raises_nothing(ledger) -> None:
    with pytest.warns(LedgerWarning):
        ledger.post(None)

    assert 1 == ledger.report().lost


def test_a_correction_out_of_range_raises(ledger) -> None:
    with pytest.raises(EntryError, match='expected 0 to'):
        ledger.post_correction(correction(1, rate=2**62))


def _stored(path: Path) -> int:
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        return db.execute('SELECT count(*) FROM entry').fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
