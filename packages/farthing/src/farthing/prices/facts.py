"""Reads price facts as people write them, and checks them.

A document of facts is one TOML or JSON file: rates in USD per million tokens, prices of tools in
USD per thousand uses, each as a decimal string, dated, with the key of its source. The repository's
`prices/` and a user's overlay have the same form:

    provider = 'anthropic'

    [sources.list]
    url = 'https://...'
    read_on = 2026-10-14

    [[models]]
    id = 'claude-sonnet-4-6'
    ids = ['claude-sonnet-4-6-20260217']
    since = 2026-02-17
    [[models.rates]]
    from = 2026-03-13
    input = '3'
    output = '15'
    source = 'list'

    [[rules]]
    id = 'batch'
    when = { batch = true }
    factor = '0.5'
    models = ['claude-sonnet-4-6']

A `?` behind a rate says that no page settles it, behind an id that the model it means has moved:
a quote that uses either is `assumed`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from farthing.errors import PriceError
from farthing.money import pico
from farthing.prices.card import TOKEN_METERS

Words = Mapping[str, Any]

_MODEL = {'id', 'ids', 'since', 'plain_writes', 'rates', 'long'}
_ROW = {'tier', 'from', 'until', 'above', 'source'}
_RULE = {'id', 'when', 'factor', 'meters', 'models', 'from', 'until', 'source', 'doubt'}
_TOOL = {'tool', 'usd_per_thousand', 'models', 'from', 'until', 'source', 'doubt'}
_DOCUMENT = {'provider', 'sources', 'words', 'models', 'rules', 'tools'}
_WHEN = {'tier', 'batch', 'geo', 'region'}
_DATE = re.compile(r'\d{4}-\d\d-\d\d')


def read(document: Words, *, where: str, label: str | None = None) -> dict[str, Any]:
    """A document of facts in the form that a price table takes.

    Args:
        document: The parsed TOML or JSON.
        where: Name of the file, for errors and ids.
        label: What ids of rows and rules start with; the provider by default.

    Raises:
        PriceError: A field is missing, unknown or contradicts another.
    """
    _check_keys(document, _DOCUMENT, where)
    provider = _text(document, 'provider', where)
    label = label or provider
    models: dict[str, Any] = {}
    ids: dict[str, str] = {}
    for number, words in enumerate(_objects(document, 'models', where), 1):
        place = f'{where}, model {number}'
        _check_keys(words, _MODEL, place)
        model = _text(words, 'id', place)
        place = f'{where}, model {model!r}'
        for name in (model, *_names(words, 'ids', place)):
            target = f'{model}?' if name.endswith('?') else model
            plain = name.lower().removesuffix('?')
            if ids.setdefault(plain, target) != target:
                raise PriceError(f'{place}: {plain!r} is listed for {ids[plain]!r} already')
        models[model] = _model(words, place, f'{label}:{model}')
    return {
        'provider': provider,
        'sources': {
            key: {
                'url': _text(source, 'url', f'{where}, source {key!r}'),
                'read_on': _day(source, 'read_on', f'{where}, source {key!r}'),
            }
            for key, source in _tables(document, 'sources', where).items()
        },
        'words': _tables(document, 'words', where),
        'ids': ids,
        'models': models,
        'rules': [_rule(words, where, label) for words in _objects(document, 'rules', where)],
        'tools': [_tool(words, where, label) for words in _objects(document, 'tools', where)],
    }


def _model(words: Words, place: str, label: str) -> dict[str, Any]:
    rows = [_row(row, place, label) for row in _objects(words, 'rates', place)]
    if not rows:
        raise PriceError(f'{place}: expected `rates`, found none')
    model: dict[str, Any] = {'since': _day(words, 'since', place), 'rows': rows}
    if words.get('plain_writes'):
        model['plain_writes'] = True
    _check_spans(rows, place)
    return {key: value for key, value in model.items() if value is not None}


def _row(words: Words, place: str, label: str) -> dict[str, Any]:
    _check_keys(words, _ROW | set(TOKEN_METERS), place)
    rates = {meter: words[meter] for meter in TOKEN_METERS if meter in words}
    if not rates:
        raise PriceError(f'{place}: a row without a rate; expected one of {TOKEN_METERS}')
    tier, above = words.get('tier', 'standard'), words.get('above', 0)
    if not isinstance(tier, str) or type(above) is not int or above < 0:
        raise PriceError(
            f'{place}: `tier` is {tier!r} and `above` {above!r}; expected word, tokens'
        )
    since, until = _day(words, 'from', place), _day(words, 'until', place)
    name = label if since is None else f'{label}@{since}'
    name += '' if tier == 'standard' else f':{tier}'
    row = {
        'id': name + (f':>{above}' if above else ''),
        'tier': tier,
        'above': above,
        'from': since,
        'until': until,
        'source': words.get('source'),
        'rates': {m: _rate(text, f'{place}, {m}', 1_000_000) for m, text in rates.items()},
        'doubts': [meter for meter, text in rates.items() if str(text).endswith('?')],
    }
    return {key: value for key, value in row.items() if value}


def _rule(words: Words, where: str, label: str) -> dict[str, Any]:
    name = _text(words, 'id', f'{where}, a rule')
    place = f'{where}, rule {name!r}'
    _check_keys(words, _RULE, place)
    when = words.get('when', {})
    if not isinstance(when, Mapping) or len(when) > 1:
        raise PriceError(f'{place}: `when` is {when!r}; expected one of {sorted(_WHEN)} or nothing')
    _check_keys(when, _WHEN, f'{place}, `when`')
    for meter in _names(words, 'meters', place):
        if meter not in TOKEN_METERS:
            raise PriceError(f'{place}: {meter!r} is no meter; expected one of {TOKEN_METERS}')
    factor = _decimal(_text(words, 'factor', place), place)
    if factor < 0:
        raise PriceError(f'{place}: `factor` is {factor}; expected at least 0')
    rule = {
        'id': f'{label}:{name}',
        'when': dict(when),
        'factor': str(factor),
        'meters': _names(words, 'meters', place),
        'models': _names(words, 'models', place),
        'from': _day(words, 'from', place),
        'until': _day(words, 'until', place),
        'source': words.get('source'),
        'doubt': words.get('doubt'),
    }
    return {key: value for key, value in rule.items() if value or key == 'when'}


def _tool(words: Words, where: str, label: str) -> dict[str, Any]:
    name = _text(words, 'tool', f'{where}, a tool')
    place = f'{where}, tool {name!r}'
    _check_keys(words, _TOOL, place)
    since = _day(words, 'from', place)
    tool = {
        'id': f'{label}:{name}' + (f'@{since}' if since else ''),
        'tool': name,
        'pico': _rate(words.get('usd_per_thousand'), place, 1_000),
        'models': _names(words, 'models', place),
        'from': since,
        'until': _day(words, 'until', place),
        'source': words.get('source'),
        'doubt': words.get('doubt'),
    }
    return {key: value for key, value in tool.items() if value or key == 'pico'}


def _rate(text: object, place: str, units: int) -> int:
    """1e-12 USD for one of `units`."""
    if not isinstance(text, str):
        raise PriceError(
            f"{place}: {text!r} is no decimal string; write the rate in quotes, as '2.50'"
        )
    amount = _decimal(text.removesuffix('?'), place)
    if amount < 0:
        raise PriceError(f'{place}: {text!r} is negative; expected at least 0')
    try:
        return pico(amount / units)
    except PriceError as error:
        raise PriceError(f'{place}: {error}') from error


def _decimal(text: str, place: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise PriceError(f'{place}: {text!r} is no decimal number') from error
    if not amount.is_finite():
        raise PriceError(f'{place}: {text!r} is no finite number')
    return amount


def _day(words: Words, key: str, place: str) -> str | None:
    """A date as text; days start at midnight UTC."""
    value = words.get(key)
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and _DATE.fullmatch(value):
        return value
    raise PriceError(f'{place}: `{key}` is {value!r}; expected a date such as 2026-03-13')


def _text(words: Words, key: str, place: str) -> str:
    value = words.get(key)
    if isinstance(value, str) and value:
        return value
    raise PriceError(f'{place}: `{key}` is {value!r}; expected a non-empty string')


def _names(words: Words, key: str, place: str) -> list[str]:
    values = words.get(key, [])
    if isinstance(values, list) and all(isinstance(value, str) and value for value in values):
        return values
    raise PriceError(f'{place}: `{key}` is {values!r:.60}; expected a list of names')


def _tables(words: Words, key: str, place: str) -> Mapping[str, Words]:
    values = words.get(key, {})
    if isinstance(values, Mapping) and all(isinstance(one, Mapping) for one in values.values()):
        return values
    raise PriceError(f'{place}: `{key}` is {values!r:.60}; expected named tables')


def _objects(words: Words, key: str, place: str) -> list[Words]:
    values = words.get(key, [])
    if isinstance(values, list) and all(isinstance(value, Mapping) for value in values):
        return values
    raise PriceError(f'{place}: `{key}` is {values!r:.60}; expected a list of tables')


def _check_keys(words: Words, known: Iterable[str], place: str) -> None:
    if unknown := sorted(set(words) - set(known)):
        raise PriceError(
            f'{place}: unknown field {unknown[0]!r}; expected one of {", ".join(sorted(known))}'
        )


def _check_spans(rows: list[dict[str, Any]], place: str) -> None:
    """Two rows for the same tier, band and day would make the price depend on their order."""
    spans = sorted(
        (row['tier'], row.get('above', 0), row.get('from', ''), row.get('until', '9999'))
        for row in rows
    )
    for (*one, _, until), (*other, since, _) in pairwise(spans):
        if one == other and since < until:
            raise PriceError(
                f'{place}: two rows of the tier {one[0]!r} above {one[1]} overlap at {since!r}'
            )
