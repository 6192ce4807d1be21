"""Findings, each on rows that a reader can add up."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import NOON, UNPRICED, entry

from farthing import Attribution, Entry, Ledger, Line, Quote, Usage
from farthing.findings import dear_tenants, findings, loops, tiny_answers, unpriced, unread_caches
from farthing.ledger import Booked


def booked(*entries: Entry) -> list[Booked]:
    return [
        Booked(entry=one, quote=one.quote, list_cost=one.list_cost, corrections=0)
        for one in entries
    ]


def costing(number: int, tenant: str | None, usd: str) -> Entry:
    cost = int(Decimal(usd) * 10**12)
    who = Attribution(tenant=tenant, task='triage')
    return entry(number, attribution=who, quote=Quote(status='exact', cost=cost, book='test'))


def test_a_tenant_at_ten_times_the_median_of_its_peers_is_found() -> None:
    rows = booked(
        costing(1, 'acme', '0.10'),
        costing(2, 'globex', '0.20'),
        costing(3, 'initech', '0.30'),
        costing(4, 'umbrella', '2.00'),
        costing(5, None, '90'),  # nobody's money is no peer
    )

    [found] = dear_tenants(rows)

    assert {'tenant': 'umbrella'} == found.where
    assert 1_800_000_000_000 == found.stake
    assert '10 times the median of its 3 peers' in found.evidence


def test_places_and_marks_do_not_hide_a_loop() -> None:
    turns = ['aam0.9', *(f'{digest}m{n}.9' for n, digest in enumerate(['bb', 'cc'] * 3, 1))]

    [found] = loops(booked(entry(1, prefix=(*turns[:-1], turns[-1] + '*5m', 'ddpthinking'))))

    assert 'loop' == found.kind


def test_two_tenants_have_no_median_to_stand_out_from() -> None:
    assert [] == dear_tenants(booked(costing(1, 'acme', '0.10'), costing(2, 'globex', '9')))


def test_long_inputs_with_tiny_or_cut_answers_are_found() -> None:
    tiny = Usage(input_tokens=5_000, output_tokens=10)
    rows = booked(
        entry(1, usage=tiny),
        entry(2, usage=tiny),
        entry(3, usage=Usage(input_tokens=5_000, output_tokens=900), status='cancelled'),
        entry(4),
    )

    [found] = tiny_answers(rows)

    assert 3 == found.calls
    assert 3 * 4_500_000_000 == found.stake
    assert '3 of 4 calls sent 15,000 tokens and got 920; 1 were cut' == found.evidence


def test_the_same_prompt_again_and_again_is_a_loop() -> None:
    rounds = [
        entry(n, time=NOON + timedelta(minutes=n), prefix=('system', 'user')) for n in range(4)
    ]

    [found] = loops(booked(*rounds))

    assert 3 == found.calls  # the first one was no waste
    assert 3 * 4_500_000_000 == found.stake


def test_the_same_prompt_after_an_hour_is_no_loop() -> None:
    assert [] == loops(booked(*(entry(n, prefix=('system', 'user')) for n in range(4))))


def test_a_prompt_that_ends_in_three_equal_rounds_is_a_loop() -> None:
    turning = entry(1, prefix=('user', 'call', 'result', 'call', 'result', 'call', 'result'))
    going_on = entry(2, prefix=('user', 'call', 'result', 'call', 'result', 'other'))

    [found] = loops(booked(turning, going_on))

    assert 1 == found.calls


def written(number: int, *, read: int = 0) -> Entry:
    """1,000 tokens written at 3.75 a million, where plain input costs 3."""
    lines = (
        Line(meter='input', quantity=10, rate=3_000_000, amount=30_000_000, rules=('in',)),
        Line(
            meter='cache_write_5m',
            quantity=1_000,
            rate=3_750_000,
            amount=3_750_000_000,
            rules=('write',),
        ),
    )
    return entry(
        number,
        usage=Usage(
            input_tokens=1_010 + read,
            output_tokens=0,
            cache_write_tokens=1_000,
            cache_write_5m_tokens=1_000,
            cache_read_tokens=read,
        ),
        quote=Quote(status='exact', cost=3_780_000_000, lines=lines, book='test'),
    )


def test_a_cache_that_is_written_and_never_read_costs_its_surcharge() -> None:
    [found] = unread_caches(booked(*map(written, range(3))))

    # 3 x 1,000 x (3.75 - 3.00) a million = 0.00225 USD
    assert 2_250_000_000 == found.stake
    assert [] == unread_caches(booked(*map(written, range(3)), written(4, read=500)))


def test_calls_without_a_price_have_an_unknown_stake_and_stand_last() -> None:
    rows = booked(*map(written, range(3)), entry(5, model_requested='claude-x', quote=UNPRICED))

    found = findings(rows)

    assert 'unread_cache' in [one.kind for one in found]
    assert [found[-1]] == unpriced(rows)
    assert found[-1].stake is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(['acme', 'globex', 'initech', 'umbrella', None]),
            st.one_of(st.none(), st.integers(0, 10**15)),
            st.integers(0, 10**6),
            st.integers(0, 10**4),
            st.lists(st.sampled_from('ab'), max_size=9),
        ),
        max_size=30,
    )
)
def test_no_stake_exceeds_what_was_spent(calls) -> None:
    rows = [
        entry(
            n,
            time=NOON + timedelta(minutes=n),
            attribution=Attribution(tenant=tenant),
            usage=Usage(input_tokens=asked, output_tokens=made),
            quote=UNPRICED if cost is None else Quote(status='exact', cost=cost, book='test'),
            prefix=tuple(prefix),
        )
        for n, (tenant, cost, asked, made, prefix) in enumerate(calls)
    ]
    spent = sum(one.quote.cost or 0 for one in rows)

    for found in findings(booked(*rows)):
        assert found.stake is None or 0 <= found.stake <= spent


@pytest.mark.parametrize(('arguments', 'code'), [((), 0), (('--fail',), 1)])
def test_findings_fail_a_build_only_when_asked(run, ledger, arguments, code) -> None:
    done = run('findings', *arguments)

    assert 'unpriced' in done.stdout
    assert code == done.exit_code


def test_findings_never_mix_local_calls_with_real_spend(run) -> None:
    with Ledger.open('farthing.db') as books:
        books.post(entry(1))
        books.post(entry(2, endpoint='127.0.0.1:9', model_requested='local', quote=UNPRICED))

    assert [] == json.loads(run('findings', '--format', 'json').stdout)
