"""The price data that ships with farthing, in the form that a price table takes.

`prices/build.py` makes one compact file a provider; it says for each model, tier and length of
prompt what the price list says. What belongs to the provider as a whole, such as its words for
tiers, stands here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from farthing.prices.card import TOKEN_METERS, WRITES

Words = Mapping[str, Any]

_OPENAI_TIERS = {'default': 'standard', 'auto': 'unknown', 'fast': 'priority', 'scale': 'committed'}
_TIERS: Mapping[str, Mapping[str, str]] = {
    'openai': _OPENAI_TIERS,
    'azure': _OPENAI_TIERS,
    'anthropic': {'auto': 'unknown', 'standard_only': 'standard'},
}
# OpenAI bills what older models wrote to their cache as plain input.
_PLAIN_WRITES = frozenset({'openai', 'azure'})
# A cloud's own regions all cost the same; its `global` endpoint is the list's.
_ANY_REGION = 'regional'


def layer(words: Words) -> dict[str, Any]:
    """One provider's packaged file as a layer of its price table."""
    provider = words['provider']
    ids = {
        name.lower().removesuffix('?'): f'{model["id"]}?' if name.endswith('?') else model['id']
        for model in words['models']
        for name in _names(model)
    }
    return {
        'provider': provider,
        'sources': {
            str(number): {'url': url, 'read_on': words['read_on']}
            for number, url in enumerate(words['sources'])
        },
        'words': {'tiers': _TIERS.get(provider, {})},
        'ids': ids,
        'models': {model['id']: _model(model, provider) for model in words['models']},
        'rules': [_rule(rule) for rule in words['rules']],
        'tools': [*_tools(words), *_unpriced_tools(words)],
    }


def _names(model: Words) -> tuple[str, ...]:
    return (model['id'], *model['names'])


def _model(model: Words, provider: str) -> dict[str, Any]:
    rows = [_row(row) for row in model['rows']]
    writes = any(meter in row['rates'] for row in rows for meter in WRITES)
    found = {'rows': rows, 'plain_writes': provider in _PLAIN_WRITES and not writes}
    return found | ({'since': model['released'][:10]} if model['released'] else {})


def _row(row: Words) -> dict[str, Any]:
    rates = {meter: rate for meter, rate in row['rates'].items() if meter in TOKEN_METERS}
    tier = 'batch' if row['batch'] else row['tier']
    found = {'tier': tier, 'above': row['above'], 'rates': rates, 'doubts': row.get('doubts', [])}
    return _dated(row) | found


def _rule(rule: Words) -> dict[str, Any]:
    numerator, denominator = rule['factor']
    value = '*' if rule['value'] == _ANY_REGION else rule['value']
    found = {
        'when': {rule['kind']: value},
        'factor': f'{numerator}/{denominator}',
        'meters': rule['meters'],
        'models': rule['models'],
    }
    return _dated(rule) | found | ({'doubt': rule['kind']} if rule['assumed'] else {})


def _dated(words: Words) -> dict[str, Any]:
    found = {'id': words['id'], 'source': str(words['source'])}
    if words['from']:
        found['from'] = words['from'][:10]
    if words['to']:
        found['until'] = words['to'][:10]
    return found


def _tools(words: Words) -> Iterator[dict[str, Any]]:
    """A tool's price stands in a model's plain row, because it differs by generation."""
    for model in words['models']:
        for row in model['rows']:
            if row['tier'] != 'standard' or row['batch'] or row['above']:
                continue
            for meter, rate in row['rates'].items():
                if meter not in TOKEN_METERS:
                    tool = {'tool': meter, 'pico': rate, 'models': [model['id']]}
                    doubt = {'doubt': f'tool:{meter}'} if meter in row.get('doubts', []) else {}
                    yield _dated(row) | tool | doubt


def _unpriced_tools(words: Words) -> Iterator[dict[str, Any]]:
    provider = words['provider']
    for tool in words['free']:
        yield {'id': f'{provider}/free/{tool}', 'tool': tool, 'pico': 0}
    for tool in words['silent']:
        # It may cost money that no usage tells.
        yield {'id': f'{provider}/{tool}', 'tool': tool, 'pico': 0, 'doubt': f'tool:{tool}'}
