"""A case: a usage object as the provider sent it, with what the caller knows of its conditions.

Pure: mappings in, mappings out. A fact that is missing makes a price `assumed`, a fact that we do
not understand or that contradicts another does so too, and a case that cannot be read is
`unpriced` with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any
from urllib.parse import urlsplit

from farthing.cli.options import is_date, moment
from farthing.errors import FarthingError, InputError
from farthing.money import usd
from farthing.prices import PriceBook
from farthing.prices.quote import Call, Line, Quote, Terms
from farthing.usage import Usage
from farthing.wire import APIS, Reading, anthropic, gemini, openai, region_of, usage_from

Words = Mapping[str, Any]

_FIELDS = ('provider', 'api', 'model', 'date', 'usage')
_TERMS = {
    'anthropic_messages': anthropic.terms,
    'openai_chat': openai.terms,
    'openai_responses': openai.terms,
    'openai_embeddings': openai.terms,
    'gemini': gemini.terms,
}
_SPOKEN = frozenset({'service_tier', 'speed', 'inference_geo'})
_CONTEXT = frozenset({*_SPOKEN, 'batch', 'region', 'base_url'})
_NO_CONTEXT: Words = {}
# The counts that our readers add up, in one spelling; what else is counted may be billed as well.
_COUNTS = frozenset({
    'inputtokens', 'outputtokens', 'totaltokens', 'prompttokens', 'completiontokens',
    'cachecreationinputtokens', 'cachereadinputtokens',
    'prompttokencount', 'candidatestokencount', 'thoughtstokencount', 'totaltokencount',
    'cachedcontenttokencount', 'tooluseprompttokencount',
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """The price of one case.

    Attributes:
        quotes: The price of the answer's own counts, then of each part that is billed apart.
        tokens: Counts of the answer and its parts together.
        assumed: What was assumed, over all of them.
    """

    quotes: tuple[Quote, ...]
    tokens: Usage
    assumed: tuple[str, ...]

    @property
    def reason(self) -> str | None:
        """Why there is no price."""
        return next((one.reason for one in self.quotes if one.cost is None), None)

    @property
    def cost(self) -> int | None:
        """The sum in 1e-12 USD; `None` when any of them has no price."""
        costs = [one.cost for one in self.quotes]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def status(self) -> str:
        """`unpriced`, `assumed` or `exact`."""
        return 'unpriced' if self.cost is None else 'assumed' if self.assumed else 'exact'

    @property
    def lines(self) -> tuple[Line, ...]:
        """All line items; none without a price."""
        return () if self.cost is None else tuple(line for one in self.quotes for line in one.lines)


def answered(book: PriceBook, case: object, now: datetime) -> tuple[dict[str, Any], bool]:
    """The answer to one line of a file of cases, and whether the line was a case at all."""
    if not isinstance(case, Mapping):
        reason = f'a case is {case!r:.60}: expected a JSON object with {", ".join(_FIELDS)}'
        return unanswered(None, reason), False
    name = case.get('id')
    try:
        _check_fields(case)
        at = moment(case['date'], now)
    except InputError as error:
        return unanswered(name, str(error)), False
    try:
        found = priced(
            book,
            provider=case['provider'],
            api=case['api'],
            model=case['model'],
            at=at,
            whole_day=is_date(case['date']),
            usage=case['usage'],
            context=case.get('context') or _NO_CONTEXT,
        )
    except FarthingError as error:
        return unanswered(name, str(error)), True
    return {'id': name, **answer(found)}, True


def unanswered(name: object, reason: str) -> dict[str, Any]:
    """The answer to a case that cannot be read."""
    nothing: dict[str, Any] = {'id': name, 'status': 'unpriced', 'cost_usd': None, 'tokens': None}
    return {**nothing, 'lines': [], 'assumed': [], 'reason': reason, 'model': None, 'book': None}


def answer(found: Priced) -> dict[str, Any]:
    """A price as JSON has it; money stays `Decimal`."""
    cost = found.cost
    return {
        'status': found.status,
        'cost_usd': None if cost is None else usd(cost),
        'tokens': counts(found.tokens),
        'lines': [line_values(line) for line in found.lines],
        'assumed': list(found.assumed),
        'reason': found.reason,
        'model': found.quotes[0].model,
        'book': found.quotes[0].book,
    }


def counts(usage: Usage) -> dict[str, Any]:
    """All counts by name; `None` is unsaid."""
    named = {field.name: getattr(usage, field.name) for field in fields(usage)}
    return {**named, 'tool_uses': dict(usage.tool_uses)}


def line_values(line: Line) -> dict[str, Any]:
    """One line item as JSON has it."""
    return {
        'meter': line.meter,
        'quantity': line.quantity,
        'rate_usd': usd(line.rate),
        'amount_usd': usd(line.amount),
        'rules': list(line.rules),
    }


def priced(
    book: PriceBook,
    *,
    provider: str,
    api: str,
    model: str,
    at: datetime,
    whole_day: bool = False,
    usage: Words,
    context: Words = _NO_CONTEXT,
) -> Priced:
    """Price a usage object.

    Args:
        book: The prices.
        provider: Who bills.
        api: In whose words `usage` is.
        model: The model, as the provider names it.
        at: When the call was made.
        whole_day: Whether `at` stands for any time of its day.
        usage: The usage object, as it was sent.
        context: What the caller knows of the conditions; it wins over the usage object's own
            words, and where the two differ the price is assumed. Where neither says `batch`, the
            call was synchronous.

    Raises:
        UsageError: The counts are missing or contradict each other.
        InputError: The API or the context is none that we know.
    """
    if api not in APIS:
        raise InputError(f'unknown api {api!r}: expected one of {", ".join(APIS)}')
    reading = replace(usage_from(api, usage, provider=provider), model=model)
    if api in {'openai_chat', 'openai_responses'}:
        reading = openai.searched(reading)
    if reading.usage is None:
        raise InputError('the usage object has no input tokens: the framework has lost the count')
    call = Call(provider=provider, model=model, at=at)
    terms, doubts = _conditions(api, call, reading.terms, usage, context)
    call = replace(call, terms=terms)
    quotes = [
        *(book.quote(prompt, call) for prompt in reading.prompts),
        *(book.quote(p.usage, replace(call, model=p.model or model)) for p in reading.parts),
    ]
    if '-deep-research' in model:
        doubts.append('web_search')  # It searches, and no usage object says how often.
    if whole_day and _changes(book, reading, call):
        doubts.append('time of day')
    assumed = [*(name for one in quotes for name in one.assumed), *reading.doubts, *doubts]
    tokens = reduce(add, (part.usage for part in reading.parts), reading.usage)
    return Priced(quotes=tuple(quotes), tokens=tokens, assumed=tuple(dict.fromkeys(assumed)))


def _changes(book: PriceBook, reading: Reading, call: Call) -> bool:
    """Whether the price changes within the day."""
    if reading.usage is None:
        return False
    evening = replace(call, at=call.at + timedelta(days=1, microseconds=-1))
    return book.quote(reading.usage, call).cost != book.quote(reading.usage, evening).cost


def _conditions(
    api: str, call: Call, said: Terms, usage: Words, context: Words
) -> tuple[Terms, list[str]]:
    """What the context and the usage say together, and what they leave in doubt."""
    given = {key: value for key, value in context.items() if value is not None}
    spoken = {key: _word(key, given[key]) for key in sorted(_SPOKEN & given.keys())}
    batch = given.get('batch')
    if batch is not None and not isinstance(batch, bool):
        raise InputError(f'context `batch` is {batch!r}: expected true or false')
    # One condition may take two words, such as Anthropic's tier and speed.
    told = {key: usage[key] for key in _SPOKEN & usage.keys()} if api in _TERMS else {}
    asked = replace(_speaker(api, call)({**told, **spoken}), region=_region(given))
    asked = asked if batch is None else replace(asked, batch=batch)
    joined = {
        field.name: getattr(said if getattr(asked, field.name) is None else asked, field.name)
        for field in fields(Terms)
    }
    if joined['batch'] is None:
        joined['batch'] = False  # A case that says nothing of a batch is a synchronous call.
    doubts = [f'context {key!r}' for key in given if key not in _CONTEXT]
    doubts += [f'usage {key!r}' for key, value in usage.items() if value and _unread(key)]
    doubts += [
        f'{key}: usage says {usage[key]!r}, context says {word!r}'
        for key, word in spoken.items()
        if usage.get(key) is not None and str(usage[key]).lower() != word
    ]
    compared = ('batch',) if 'speed' in spoken else ('batch', 'tier')
    doubts += [
        f'{name}: usage says {getattr(said, name)!r}, context says {getattr(asked, name)!r}'
        for name in compared
        if None not in {getattr(said, name), getattr(asked, name)}
        and getattr(said, name) != getattr(asked, name)
    ]
    return Terms(**joined), doubts


def _unread(key: str) -> bool:
    """Whether a count's name is none that our readers know."""
    name = key.replace('_', '').lower()
    return name.endswith(('tokens', 'tokencount')) and name not in _COUNTS


def _region(given: Words) -> str | None:
    """The region that the context names, or that its address stands for."""
    if 'region' in given:
        return _word('region', given['region'])
    address = given.get('base_url', '')
    try:
        return region_of(urlsplit(str(address)).hostname or '')
    except ValueError as error:
        raise InputError(f'context `base_url` is {address!r}: expected an address') from error


def _word(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f'context `{key}` is {value!r}: expected a word')
    return value.strip().lower()


def _speaker(api: str, call: Call) -> Callable[[Words], Terms]:
    """Whose words the conditions are in."""
    if api in _TERMS:
        return _TERMS[api]
    if call.provider == 'anthropic' or 'claude' in call.model:
        return anthropic.terms
    return gemini.terms if call.provider.startswith('google') else openai.terms


def _check_fields(case: Words) -> None:
    for name in _FIELDS[:-1]:
        if not isinstance(case.get(name), str) or not case[name]:
            raise InputError(f'`{name}` is {case.get(name)!r}: expected a non-empty string')
    for name, value in (('usage', case.get('usage')), ('context', case.get('context') or {})):
        if not isinstance(value, Mapping):
            raise InputError(f'`{name}` is a {type(value).__name__}: expected a JSON object')
