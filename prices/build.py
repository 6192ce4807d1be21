"""Makes the packaged price data from the fact files beside this program; needs no network.

    python prices/build.py            write packages/farthing/src/farthing/prices/data/*.json
    python prices/build.py --check    exit 1 and say which of them is out of date

A provider has up to two fact files: `imported/<provider>.toml`, which `import_genai.py` writes, and
`<provider>.toml`, which people write. The second is laid over the first: it adds models, names,
release dates, rows, rules and tools; a model in it with `replace = true` drops the imported rows.
`[[copy]]` takes models of another provider, for marketplaces that sell at its list price. Of a
source, `via` says what was read on `read_on` where that was not the page itself.

Rates are decimal strings, in USD per million tokens, those of tools in USD per thousand uses. A `?`
behind one says that no page settles it, one behind a name that the name moves from model to model:
a quote that uses it is `assumed`. The packaged rates are whole numbers of 1e-12 USD for one token
or one use.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA = HERE.parent / 'packages/farthing/src/farthing/prices/data'
PROVIDERS = ('anthropic', 'openai', 'google', 'azure', 'aws-bedrock', 'google-vertex')
WRITES = ('cache_write_5m', 'cache_write_1h', 'cache_write_30m')
TOKENS = (
    'input',
    'cache_read',
    *WRITES,
    'output',
    'input_audio',
    'cache_read_audio',
    'output_audio',
    'input_image',
    'cache_read_image',
    'output_image',
)
TOOLS = (
    'web_search',
    'web_search_preview',
    'file_search',
    'code_interpreter',
    'grounding',
    'grounding_query',
)
TIERS = ('standard', 'flex', 'priority', 'fast', 'ultrafast')
KINDS = ('batch', 'tier', 'geo', 'region')
BANDS = (0, 100_000, 128_000, 200_000, 272_000)
ROW = {'from', 'to', 'tier', 'batch', 'above', 'source', *TOKENS, *TOOLS}

Facts = dict[str, Any]


class FactError(ValueError):
    """Facts that contradict themselves."""


def main() -> int:
    """Write the data, or check it; 1 where it is out of date or the facts are wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--check', action='store_true', help='write nothing, only compare')
    check = parser.parse_args().check
    stale = 0
    for provider in PROVIDERS:
        path = DATA / f'{provider}.json'
        try:
            text = dumps(package(provider))
        except FactError as error:
            print(f'prices: {error}', file=sys.stderr)
            return 1
        if path.is_file() and path.read_text(encoding='utf-8') == text:
            continue
        if check:
            print(f'prices: {path.name} is out of date: run `python prices/build.py`')
            stale = 1
        else:
            DATA.mkdir(exist_ok=True)
            path.write_text(text, encoding='utf-8')
            print(f'wrote {path.name}')
    return stale


def dumps(words: Facts) -> str:
    """The same facts give the same bytes."""
    return json.dumps(words, separators=(',', ':'), ensure_ascii=False) + '\n'


def package(provider: str) -> Facts:
    """The packaged form of one provider's facts, checked.

    Raises:
        FactError: A fact is missing, unknown, or contradicts another.
    """
    facts = gather(provider)
    rows = [row for model in facts['models'].values() for row in model['rows']]
    keys = sorted({one.get('source', '?') for one in (*rows, *facts['rules'])})
    for key in keys:
        source = facts['sources'].get(key, {})
        if not str(source.get('url', '')).startswith('https://') or 'read_on' not in source:
            raise FactError(f'{provider}: source {key!r} needs a `url` (https) and `read_on`')
    models = [packed(provider, model, keys) for _, model in sorted(facts['models'].items())]
    check_names(provider, models)
    return {
        'provider': provider,
        'read_on': day(max(facts['sources'][key]['read_on'] for key in keys)),
        'sources': [facts['sources'][key]['url'] for key in keys],
        'models': models,
        'rules': [
            one for rule in facts['rules'] for one in packed_rules(provider, rule, facts, keys)
        ],
        'free': sorted(facts['free']),
        'silent': sorted(facts['silent']),
    }


def gather(provider: str) -> Facts:
    """Both fact files of a provider, and what they copy from other providers, as one."""
    facts: Facts = {'sources': {}, 'models': {}, 'rules': [], 'free': [], 'silent': []}
    for path in (HERE / 'imported' / f'{provider}.toml', HERE / f'{provider}.toml'):
        if not path.is_file():
            continue
        words = tomllib.loads(path.read_text(encoding='utf-8'))
        facts['sources'] |= words.get('source', {})
        for key, name in (('rules', 'rule'), ('free', 'free'), ('silent', 'silent')):
            facts[key] += words.get(name, [])
        for wanted in words.get('copy', []):
            copy(facts, wanted, gather(wanted['provider']))
        for model in words.get('model', []):
            merge(facts['models'], model)
        for tool in words.get('tool', []):
            for name in matched(tool['models'], facts['models']):
                model = facts['models'][name]
                rows = [{'from': model.get('released'), **row} for row in model['rows']]
                model['rows'] = [row for one in rows for row in equipped(one, tool)]
    return facts


def copy(facts: Facts, wanted: Facts, lender: Facts) -> None:
    """Add models, and rules of tiers and batch, that another provider's list has as well."""
    names = matched(wanted['models'], lender['models'])
    kinds = {(False, tier) for tier in wanted.get('tiers', ['standard'])}
    kinds |= {(True, 'standard')} if wanted.get('batch') else set()
    for name in names:
        rows = [
            {key: row[key] for key in row if key not in wanted.get('without', [])}
            | {'source': wanted['source']}
            for row in lender['models'][name]['rows']
            if (bool(row.get('batch')), row.get('tier', 'standard')) in kinds
        ]
        merge(facts['models'], {**lender['models'][name], 'rows': rows})
    for rule in lender['rules']:
        shared = sorted({*matched(rule['models'], lender['models'])} & {*names})
        if rule['id'] in wanted.get('rules', []) and shared:
            facts['rules'].append({**rule, 'models': shared, 'source': wanted['source']})


def merge(models: dict[str, Facts], model: Facts) -> None:
    """Lay a model over what is known of it."""
    known = models.get(model['id'], {})
    model = dict(model)
    rows = [] if model.pop('replace', False) else known.get('rows', [])
    models[model['id']] = {
        **known,
        **model,
        'names': [*known.get('names', []), *model.get('names', [])],
        'rows': [*rows, *model.get('rows', [])],
    }


def equipped(row: Facts, tool: Facts) -> Iterator[Facts]:
    """A row with a tool's price; two rows where that price began within it."""
    priced = {**row, tool['meter']: tool['price']}
    if row.get('batch') or row.get('tier', 'standard') != 'standard':
        yield row
        return
    start, end = span(row)
    began = day(tool.get('from')) or '0000'
    if began <= start:
        yield priced
    elif began >= end:
        yield row
    else:
        yield {**row, 'to': tool['from']}
        yield {**priced, 'from': tool['from']}


def matched(patterns: Iterable[str], models: Iterable[str]) -> list[str]:
    """Ids that patterns mean, the later pattern deciding; one with `!` takes its ids out again.

    Raises:
        FactError: A plain id is no model's.
    """
    taken: set[str] = set()
    for pattern in patterns:
        plain = pattern.removeprefix('!')
        found = {one for one in models if fnmatchcase(one, plain)}
        if not found and not {*'*?['} & {*plain}:
            raise FactError(f'{plain!r} is no model of the fact file')
        taken = taken - found if pattern.startswith('!') else taken | found
    return sorted(taken)


def packed(provider: str, model: Facts, keys: list[str]) -> Facts:
    """One model: its rows in order of tier, batch, band and time, each with an id."""
    place = f'{provider}/{model["id"]}'
    released = model.get('released')
    rows = sorted(({'from': released, **row} for row in model['rows']), key=row_order)
    check_rows(place, rows)
    return {
        'id': model['id'],
        'names': sorted({*model['names']} - {model['id']}),
        'released': day(released),
        'rows': [
            {
                'id': f'{place}/{number}',
                'from': day(row['from']),
                'to': day(row.get('to')),
                'tier': row.get('tier', 'standard'),
                'batch': bool(row.get('batch')),
                'above': row.get('above', 0),
                'rates': rates_of(place, row),
                'source': keys.index(row['source']),
                **doubts_of(row),
            }
            for number, row in enumerate(rows, 1)
        ],
    }


def row_order(row: Facts) -> tuple[Any, ...]:
    """What a row is looked up by."""
    tier = TIERS.index(row.get('tier', 'standard'))
    return tier, bool(row.get('batch')), row.get('above', 0), span(row)[0]


def rates_of(place: str, row: Facts) -> dict[str, int]:
    """Rates in 1e-12 USD for one token or one use, which must be whole."""
    rates: dict[str, int] = {}
    for meter in (*TOKENS, *TOOLS):
        if meter in row:
            rate = Decimal(row[meter].removesuffix('?')) * (10**6 if meter in TOKENS else 10**9)
            if rate != int(rate) or rate < 0:
                raise FactError(f'{place}: {meter} {row[meter]!r} is no whole number of 1e-12 USD')
            rates[meter] = int(rate)
    return rates


def doubts_of(row: Facts) -> dict[str, list[str]]:
    """The meters whose rate no page settles."""
    doubts = [meter for meter in (*TOKENS, *TOOLS) if str(row.get(meter, '')).endswith('?')]
    return {'doubts': doubts} if doubts else {}


def check_rows(place: str, rows: list[Facts]) -> None:
    """No unknown word, no missing rate, no two rows for one moment.

    Raises:
        FactError: One of these.
    """
    if not rows:
        raise FactError(f'{place}: no rows')
    for row in rows:
        if unknown := set(row) - ROW:
            raise FactError(f'{place}: unknown {sorted(unknown)}; expected {sorted(ROW)}')
        if row.get('above', 0) not in BANDS:
            raise FactError(f'{place}: band {row["above"]}; expected one of {BANDS}')
        if 'input' not in row or span(row)[0] >= span(row)[1]:
            raise FactError(f'{place}: a row without `input`, or without a day: {row}')
    for one, other in combinations(rows, 2):
        check_pair(place, one, other)


def check_pair(place: str, one: Facts, other: Facts) -> None:
    """Two rows are not for one moment, and none leaves out what the plain list bills.

    Raises:
        FactError: They are, or it does: a tier without its cached rate would bill that as input.
    """
    if not meets(one, other):
        return
    if row_order(one)[:3] == row_order(other)[:3]:
        raise FactError(f'{place}: two rows for one moment: {one} and {other}')
    missing = {'output', 'cache_read', *WRITES} & set(one) - set(other)
    if row_order(one)[:3] == (0, False, 0) and missing:
        raise FactError(f'{place}: {sorted(missing)} is missing in {other}')


def meets(one: Facts, other: Facts) -> bool:
    """Whether two rows share a day."""
    return span(one)[0] < span(other)[1] and span(other)[0] < span(one)[1]


def span(row: Facts) -> tuple[str, str]:
    """First day of a row, and the first after it."""
    return day(row.get('from')) or '0000', day(row.get('to')) or '9999'


def packed_rules(provider: str, rule: Facts, facts: Facts, keys: list[str]) -> Iterator[Facts]:
    """A multiplier, once for each value of its condition.

    Raises:
        FactError: It is unknown in kind or meters, or names no model.
    """
    place = f'{provider}/{rule["id"]}'
    meters, models = rule.get('meters', list(TOKENS)), matched(rule['models'], facts['models'])
    if rule['kind'] not in KINDS or set(meters) - {*TOKENS, *TOOLS} or not models:
        raise FactError(f'{place}: a kind outside {KINDS}, unknown meters, or no models')
    values = rule['value'] if isinstance(rule['value'], list) else [rule['value']]
    for value in values:
        yield {
            'id': place if len(values) == 1 else f'{place}-{value}',
            'kind': rule['kind'],
            'value': value,
            'factor': [*Decimal(rule['factor']).as_integer_ratio()],
            'meters': meters,
            'models': models,
            'from': day(rule.get('from')),
            'to': day(rule.get('to')),
            'assumed': rule.get('assumed', False),
            'source': keys.index(rule['source']),
        }


def check_names(provider: str, models: list[Facts]) -> None:
    """A name means one model.

    Raises:
        FactError: It means two.
    """
    seen: dict[str, str] = {}
    for model in models:
        for name in (model['id'], *model['names']):
            plain = name.lower().removesuffix('?')
            if seen.setdefault(plain, model['id']) != model['id']:
                other = seen[plain]
                raise FactError(f'{provider}: {name!r} is a name of {other!r} and {model["id"]!r}')


def day(value: date | None) -> str | None:
    """An ISO date."""
    return None if value is None else value.isoformat()


if __name__ == '__main__':
    sys.exit(main())
