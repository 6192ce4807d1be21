"""A user's own rates: overlay files, own models, overrides for one call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing.errors import InputError, PriceError
from farthing.prices import Call, PriceBook, Terms
from farthing.usage import Usage

AT = datetime(2026, 7, 1, tzinfo=UTC)
USED = Usage(input_tokens=100, output_tokens=10)
CALL = Call(provider='quarry', model='granite', at=AT, terms=Terms(tier='standard', geo='global'))


def test_a_negotiated_rate_replaces_the_lists_and_keeps_the_rest(
    book: PriceBook, tmp_path: Path
) -> None:
    file = tmp_path / 'rates.toml'
    file.write_text(
        """
        provider = 'quarry'
        [[models]]
        id = 'granite-2026-01-05'
        [[models.rates]]
        from = 2026-06-15
        input = '0.8'
        """
    )

    ours = book.with_overlay(file)

    # 100 x 0.80 + 10 x 5.00 = 130 USD per million; the list's is 150.
    assert 130_000_000 == ours.quote(USED, CALL).cost
    assert 150_000_000 == ours.list_quote(USED, CALL).cost
    assert ours.overlaid
    assert not book.overlaid
    assert ('overlay:granite-2026-01-05@2026-06-15',) == ours.quote(USED, CALL).lines[0].rules


def test_a_discount_multiplies_all_tiers(book: PriceBook) -> None:
    ours = book.with_overlay(
        {'provider': 'quarry', 'rules': [{'id': 'contract', 'factor': '0.85'}]}
    )
    batch = Call(provider='quarry', model='granite', at=AT, terms=Terms(batch=True, geo='global'))

    assert 127_500_000 == ours.quote(USED, CALL).cost
    assert 63_750_000 == ours.quote(USED, batch).cost


def test_an_overlays_batch_rule_replaces_the_books(book: PriceBook) -> None:
    rule = {'id': 'batch', 'when': {'batch': True}, 'factor': '0.4', 'models': ['granite']}
    ours = book.with_overlay({'provider': 'quarry', 'rules': [rule]})
    batch = Call(provider='quarry', model='granite', at=AT, terms=Terms(batch=True, geo='global'))

    assert 60_000_000 == ours.quote(USED, batch).cost


def test_a_discount_finer_than_our_unit_is_rounded_and_says_so(book: PriceBook) -> None:
    ours = book.with_overlay(
        {'provider': 'quarry', 'rules': [{'id': 'odd', 'factor': '0.33333333'}]}
    )

    found = ours.quote(USED, CALL)

    assert ('assumed', 333_333) == (found.status, found.lines[0].rate)
    assert 'rounded input' in found.assumed


def test_own_models_are_priced_once_they_are_told(book: PriceBook) -> None:
    call = Call(provider='Basement', model='mole', at=AT)

    ours = book.extend(provider='basement', model='mole', rates={'input': '0', 'output': '0.1'})

    assert 'unpriced' == book.quote(USED, call).status
    found = ours.quote(USED, call)
    assert ('exact', 1_000_000) == (found.status, found.cost)
    assert 'unpriced' == ours.list_quote(USED, call).status


def test_the_version_tells_books_apart(book: PriceBook) -> None:
    one = book.extend(provider='basement', model='mole', rates={'input': '1', 'output': '1'})
    same = book.extend(provider='basement', model='mole', rates={'input': '1', 'output': '1'})
    other = book.extend(provider='basement', model='mole', rates={'input': '2', 'output': '1'})

    assert one.version == same.version
    assert 3 == len({book.version, one.version, other.version})


def test_an_override_is_for_one_call_and_after_all_rules(book: PriceBook) -> None:
    batch = Call(provider='quarry', model='granite', at=AT, terms=Terms(batch=True, geo='global'))

    found = book.quote(USED, batch, override={'input': '7'})

    # 100 x 7.00 + 10 x 2.50 = 725 USD per million.
    assert 725_000_000 == found.cost
    assert ('override',) == found.lines[0].rules
    assert 75_000_000 == book.quote(USED, batch).cost


def test_an_override_alone_prices_an_unknown_model(book: PriceBook) -> None:
    call = Call(provider='basement', model='mole', at=AT)

    found = book.quote(USED, call, override={'input': Decimal(1), 'output': '2'})

    assert ('exact', 120_000_000) == (found.status, found.cost)
    assert 'unpriced' == book.quote(USED, call, override={'input': '1'}).status


@pytest.mark.parametrize(
    'override', [{'input': '-1'}, {'input': 0.1}, {'input': 'x'}, {'inputs': '1'}, {'input': 'NaN'}]
)
def test_an_override_that_is_no_rate_is_refused(
    book: PriceBook, override: Mapping[str, Any]
) -> None:
    with pytest.raises(InputError, match='`override`'):
        book.quote(USED, CALL, override=override)


@pytest.mark.parametrize(
    ('rates', 'said'),
    [
        ({'input': 3}, 'no decimal string'),
        ({'input': '-3'}, 'negative'),
        ({'input': '1e-9'}, 'finer than'),
        ({'inptu': '3'}, "unknown field 'inptu'"),
        ({'input': '3', 'from': 'May'}, 'expected a date'),
        ({}, 'a row without a rate'),
    ],
)
def test_an_overlay_with_a_wrong_row_is_refused(
    book: PriceBook, rates: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(PriceError, match=said):
        book.with_overlay({'provider': 'quarry', 'models': [{'id': 'granite', 'rates': [rates]}]})


def test_rows_that_overlap_are_refused(book: PriceBook) -> None:
    rows = [{'input': '1', 'until': '2026-06-02'}, {'input': '2', 'from': '2026-06-01'}]

    with pytest.raises(PriceError, match="overlap at '2026-06-01'"):
        book.with_overlay({'provider': 'quarry', 'models': [{'id': 'granite', 'rates': rows}]})


@pytest.mark.parametrize(('name', 'text'), [('a.toml', '= 3'), ('a.json', '{'), ('a.json', '[1]')])
def test_a_file_that_is_none_is_refused(
    book: PriceBook, tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(InputError, match='price overlay'):
        book.with_overlay(file)


def test_a_file_that_is_absent_is_refused(book: PriceBook, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='cannot be read'):
        book.with_overlay(tmp_path / 'nothing.toml')
