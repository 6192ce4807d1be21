"""Draws price facts out of genai-prices into `imported/*.toml`; a developer runs it by hand.

    uv pip install --target /tmp/genai genai-prices==0.2.3
    PYTHONPATH=/tmp/genai python prices/import_genai.py && python prices/build.py

Imported are the rates of the models named by `WANTED`, with their dates, bands, tiers and batch
rates. Ids are taken where the source lists them exactly: known by a prefix alone, an id may be
another model's. A variant that a rule of `<provider>.toml` gives anyway is left to the rule.

The source dates flex, priority and batch rates by the day on which it verified them, which is no
change of price: such a rate holds here from the day on which its model's standard rate began.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import build  # noqa: E402 - it stands beside this program, which is no package

READ_ON = date(2026, 11, 23)
# An alias of whatever model is newest.
MOVING = r'gemini-(pro|flash|flash-lite)-latest'
VERIFIED = {date(2026, 10, 12), date(2026, 10, 14), date(2026, 10, 15)}
METERS = {
    'input_mtok': 'input',
    'cache_read_mtok': 'cache_read',
    'cache_write_1h_mtok': 'cache_write_1h',
    'output_mtok': 'output',
    'input_audio_mtok': 'input_audio',
    'cache_audio_read_mtok': 'cache_read_audio',
    'output_audio_mtok': 'output_audio',
    'input_image_mtok': 'input_image',
    'cache_image_read_mtok': 'cache_read_image',
    'output_image_mtok': 'output_image',
    'storage_searches_kcount': 'file_search',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is imported for one of our providers.

    Attributes:
        source: The provider's id in genai-prices.
        ids: What a model's id there must match; its group `id`, if any, is our id.
        without: What it must not match.
        write: The meter of a cache write without a lifetime.
    """

    source: str
    ids: str
    without: str = '(?!)'
    write: str = 'cache_write_5m'


WANTED = {
    'anthropic': Wanted(source='anthropic', ids='claude'),
    # Priced by the hour, second or frame, or not by OpenAI itself.
    'openai': Wanted(
        source='openai',
        ids='.',
        without=r'^(ada|babbage|curie|davinci)$|realtime-(translate|whisper)|gpt-5(\.4)?-image'
        r'|whisper|tts|transcribe|moderation|sora|\.ft-|audio-preview',
        write='cache_write_30m',
    ),
    'google': Wanted(
        source='google',
        ids=r'^gemini-(2|3|4|flash|embedding|nano|live|robotics)',
        # Video is priced apart, or thoughts were, which usage does not tell.
        without=r'-1\.5|omni|live|^gemini-embedding-2$|^gemini-2\.5-flash-preview$',
    ),
    'aws-bedrock': Wanted(source='aws', ids=r'^(?P<area>global|regional)\.anthropic\.(?P<id>.+)'),
    'google-vertex': Wanted(source='google', ids='^claude-'),
}


def main() -> int:
    """Write one file for each provider."""
    known = {provider.id: provider for provider in providers}
    for provider, wanted in WANTED.items():
        path = HERE / 'imported' / f'{provider}.toml'
        path.parent.mkdir(exist_ok=True)
        rules = hand_rules(provider)
        lines = [
            '# Written by import_genai.py; corrections stand in the file one folder up.',
            '[source.genai]',
            f"url = 'https://github.com/pydantic/genai-prices/tree/v{version('genai-prices')}'",
            f'read_on = {READ_ON}',
        ]
        for name, model in chosen(known[wanted.source], wanted):
            lines += described(provider, name, model, wanted, rules)
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return 0


def chosen(provider: types.Provider, wanted: Wanted) -> Iterator[tuple[str, types.ModelInfo]]:
    """Models to import and our ids of them; of a model sold in regions, the global one."""
    found: dict[str, types.ModelInfo] = {}
    for model in sorted(provider.models, key=lambda one: one.id):
        match = re.search(wanted.ids, model.id)
        if match and not re.search(wanted.without, model.id) and list(periods(model)):
            name = match.groupdict().get('id', model.id)
            name = (
                re.sub(r'(-20\d{6})?(-v\d(:\d)?)?$', '', name)
                if 'id' in match.groupdict()
                else name
            )
            if wanted.source == 'anthropic':
                name = name.removesuffix('-latest')
            found.setdefault(name.rstrip('-'), model)
    yield from sorted(found.items())


def hand_rules(provider: str) -> list[dict[str, Any]]:
    """The rules that people wrote for a provider."""
    path = HERE / f'{provider}.toml'
    return tomllib.loads(path.read_text(encoding='utf-8')).get('rule', []) if path.is_file() else []


def described(
    provider: str, name: str, model: types.ModelInfo, wanted: Wanted, rules: list[dict[str, Any]]
) -> Iterator[str]:
    """The lines of one model."""
    yield ''
    yield '[[model]]'
    yield f"id = '{name}'"
    ids = sorted({model.id, *equals(model.match)} - {name})
    ids = [f'{one}?' if re.fullmatch(MOVING, one) else one for one in ids]
    if ids and provider != 'aws-bedrock':
        yield f'names = {ids}'
    yield 'rows = ['
    standard = list(periods(model))
    for start, end, prices in standard:
        yield from rows(start, end, {}, prices, provider, wanted)
    for start, end, kind, prices, base, own in variants(model, standard):
        if not any(gives(rule, name, kind, base, prices) for rule in rules):
            # OpenAI's batch table leaves out what cached input of older models costs.
            unsaid = {'cache_read_mtok'} & base.keys() - own if provider == 'openai' else set()
            yield from rows(start, end, kind, prices, provider, wanted, unsaid)
    yield ']'


def rows(
    start: date | None,
    end: date | None,
    kind: dict[str, Any],
    prices: dict[str, Any],
    provider: str,
    wanted: Wanted,
    unsaid: set[str] = frozenset(),
) -> Iterator[str]:
    """One line for each band."""
    for above in bands(prices):
        words = [f'from = {start}'] if start else []
        words += [f'to = {end}'] if end else []
        words += [f"tier = '{kind['tier']}'"] if 'tier' in kind else []
        words += ['batch = true'] if 'batch' in kind else []
        words += [f'above = {above}'] if above else []
        for key, price in prices.items():
            rate = format(at(price, above), 'f') + ('?' if key in unsaid else '')
            words += [
                f"{meter} = '{rate_of}'" for meter, rate_of in meters(key, rate, provider, wanted)
            ]
        yield f"    {{ {', '.join(words)}, source = 'genai' }},"


def meters(key: str, rate: str, provider: str, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Our meters of one of the source's prices."""
    if key == 'cache_write_mtok':
        yield wanted.write, rate
    elif key == 'web_searches_kcount' and provider == 'google':
        # Since Gemini 3 each query is billed, before that each grounded prompt.
        yield 'grounding', '0' if Decimal(rate.rstrip('?')) < 20 else rate  # noqa: PLR2004 - 14 or 35
        yield 'grounding_query', rate if Decimal(rate.rstrip('?')) < 20 else '0'  # noqa: PLR2004
    elif key == 'web_searches_kcount':
        yield 'web_search', rate
    elif key in METERS:
        yield METERS[key], rate


def periods(model: types.ModelInfo) -> Iterator[tuple[date | None, date | None, dict[str, Any]]]:
    """Standard prices: from, to, rates; empty for what is free or not billed by tokens."""
    dated = model.prices
    if isinstance(dated, types.ModelPrice):
        dated = [types.ConditionalPrice(None, prices=dated)]
    starts = [getattr(one.constraint, 'start_date', None) for one in dated]
    for one, start, end in zip(dated, starts, [*starts[1:], None], strict=True):
        if one.prices.input_mtok is not None:
            yield start, end, said(one.prices)


def variants(
    model: types.ModelInfo, standard: list[tuple[date | None, date | None, dict[str, Any]]]
) -> Iterator[tuple[Any, ...]]:
    """Prices of tiers and batch: from, to, kind, all rates, and the standard rates beneath."""
    for variant in model.price_variants or ():
        kind = kind_of(variant.when)
        if kind is None:
            continue
        began = getattr(variant.constraint, 'start_date', None)
        for start, end, base in standard:
            current = READ_ON
            if began and began not in VERIFIED and began > current:
                current = began
            if (start is None or start <= current) and (end is None or current < end):
                yield (
                    start,
                    end,
                    kind,
                    base | said(variant.prices),
                    base,
                    said(variant.prices).keys(),
                )


def kind_of(when: dict[str, str]) -> dict[str, Any] | None:
    """The tier, or batch; `fast` repeats `priority` at OpenAI."""
    if when.get('processing') == 'batch' or 'batch' in when.values():
        return {'batch': True}
    if 'speed' in when:
        return {'tier': when['speed']}
    tier = when.get('service_tier')
    return {'tier': tier} if tier in {'flex', 'priority'} else None


def gives(
    rule: dict[str, Any],
    name: str,
    kind: dict[str, Any],
    base: dict[str, Any],
    prices: dict[str, Any],
) -> bool:
    """Whether a rule makes a variant's prices out of the standard ones."""
    value = {'batch': True}.get(rule['kind'], rule.get('value'))
    if kind != {rule['kind']: value} or name not in build.matched(
        rule['models'], [name, *outright(rule)]
    ):
        return False
    factor, meters_ = Decimal(rule['factor']), rule.get('meters', build.TOKENS)
    for key, price in prices.items():
        meter = 'cache_write_5m' if key == 'cache_write_mtok' else METERS.get(key)
        times = factor if meter in meters_ else Decimal(1)
        for above in {*bands(prices), *bands(base)}:
            if at(price, above) != at(base[key], above) * times:
                return False
    return True


def outright(rule: dict[str, Any]) -> list[str]:
    """Ids that a rule names outright."""
    return [one.removeprefix('!') for one in rule['models'] if '*' not in one]


def said(prices: types.ModelPrice) -> dict[str, Any]:
    """The prices that are given."""
    return {key: price for key, price in vars(prices).items() if price is not None}


def bands(prices: dict[str, Any]) -> list[int]:
    """Where bands begin."""
    tiered = [price for price in prices.values() if isinstance(price, types.TieredPrices)]
    return sorted({0, *(tier.start for price in tiered for tier in price.tiers)})


def at(price: Any, above: int) -> Decimal:
    """The rate of a band."""
    if not isinstance(price, types.TieredPrices):
        return Decimal(price)
    return next((one.price for one in reversed(price.tiers) if above >= one.start), price.base)


def equals(match: Any) -> Iterator[str]:
    """The exact ids that a matcher names."""
    if isinstance(match, types.ClauseEquals):
        yield match.equals
    for one in getattr(match, 'or_', ()):
        yield from equals(one)


if __name__ == '__main__':
    sys.exit(main())
