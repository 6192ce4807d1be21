"""The price table of one provider: dated rows, dated rules, and the cards made from them.

A row is what the price list says for a model, tier and length of prompt; a rule multiplies rows
where a condition holds (batch, fast mode, geography). A row of the call's own tier wins over a
rule, for lists round and except. Nothing is derived that neither a row nor a rule says.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from farthing.prices.card import TOKEN_METERS, Band, Card, Rate
from farthing.prices.names import Name
from farthing.prices.quote import Terms

Words = Mapping[str, Any]

_EVER = '0000'
_NEVER = '9999'
# A tier of capacity that was bought ahead: the price list does not say what such a call cost.
_COMMITTED = 'committed'


class NoPrice(NamedTuple):
    """Why there is no card."""

    reason: str


class Timeline(NamedTuple):
    """Cards of one kind of call, by the day from which each holds."""

    edges: tuple[datetime, ...]
    cards: tuple[Card | NoPrice, ...]

    def at(self, time: datetime) -> Card | NoPrice:
        """The card in force at a time."""
        return self.cards[bisect_right(self.edges, time)]


class _Mode(NamedTuple):
    """The tier that prices a call, and what was assumed to find it."""

    tier: str
    assumed: tuple[str, ...]


class Table:
    """Rows and rules of one provider, and of overlays laid on it."""

    __slots__ = ('_layers', 'ids', 'provider')

    def __init__(self, provider: str, layers: tuple[Words, ...]) -> None:
        self.provider = provider
        self.ids: dict[str, str] = {}
        known: list[Words] = []
        for layer in layers:
            known.append(_in_words_of(self.ids, layer))
            self.ids |= {key: model for key, model in layer['ids'].items() if key not in self.ids}
        self._layers = tuple(known)

    def timeline(self, name: Name, terms: Terms) -> Timeline:
        """The cards of a model under given conditions, over all time."""
        days = sorted(set(self._days(name.model)))
        edges = tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days)
        cards = [self._card(name, terms, day) for day in (_EVER, *days)]
        return Timeline(edges, tuple(cards))

    def rows(self, model: str) -> Iterator[Words]:
        """The model's rows, those of later layers last."""
        for layer in self._layers:
            if model in layer['models']:
                yield from layer['models'][model]['rows']

    def rules(self, model: str, kind: str = 'rules') -> Iterator[Words]:
        """The rules, or tools, that name the model or no model, those of later layers last."""
        for layer in self._layers:
            for rule in layer[kind]:
                if 'models' not in rule or model in rule['models']:
                    yield rule

    def tiers(self, model: str, day: str) -> list[str]:
        """The tiers that are sold of a model on a day, `batch` among them."""
        rules = [rule for rule in self.rules(model) if _holds(rule, day)]
        return sorted(
            {row['tier'] for row in self.rows(model) if _holds(row, day)}
            | {_tier(rule) for rule in rules if {'tier', 'batch'} & rule['when'].keys()}
        )

    def sources(self, model: str) -> dict[str, Words]:
        """Where the model's rows, rules and tools were read, by their ids."""
        keys = {key: source for layer in self._layers for key, source in layer['sources'].items()}
        dated = (*self.rows(model), *self.rules(model), *self.rules(model, 'tools'))
        return {one['id']: keys[one['source']] for one in dated if one.get('source') in keys}

    def _fact(self, model: str, key: str) -> Any:
        facts = (layer['models'].get(model, {}).get(key) for layer in self._layers)
        return next((fact for fact in facts if fact is not None), None)

    def _days(self, model: str) -> Iterator[str]:
        dated = (*self.rows(model), *self.rules(model), *self.rules(model, 'tools'))
        for words in dated:
            yield from (words[key] for key in ('from', 'until') if key in words)
        if since := self._fact(model, 'since'):
            yield since

    def _card(self, name: Name, terms: Terms, day: str) -> Card | NoPrice:
        model = name.model
        since = self._fact(model, 'since')
        if since is not None and day < since:
            return NoPrice(f'{model!r} was first sold on {since}, after this call')
        rows = [row for row in self.rows(model) if _holds(row, day)]
        if not rows:
            return NoPrice(self._no_row(model))
        rules = [rule for rule in self.rules(model) if _holds(rule, day)]
        mode = self._mode(terms, model, rows, rules)
        if isinstance(mode, NoPrice):
            return mode
        factors = [rule for rule in rules if not rule['when']]
        own = [row for row in rows if row['tier'] == mode.tier]
        if not own:
            own = [row for row in rows if row['tier'] == 'standard']
            factors += self._last_laid([rule for rule in rules if _names(rule, mode.tier)])
        assumed = [*name.assumed, *mode.assumed]
        for place, asked in (('geo', terms.geo), ('region', name.region or terms.region)):
            found = self._place(place, asked, model, rules)
            if isinstance(found, NoPrice):
                return found
            factors += found[0]
            assumed += found[1]
        edges = {row.get('above', 0) for row in rows if row['tier'] in {mode.tier, 'standard'}}
        bands = [Band(above, _rates(own, above, factors)) for above in sorted(edges, reverse=True)]
        tools = {tool['tool']: tool for tool in self.rules(model, 'tools') if _holds(tool, day)}
        return Card(
            model=model,
            bands=tuple(bands),
            tools={
                use: Rate(tool['pico'], (tool['id'],), tool.get('doubt'))
                for use, tool in tools.items()
            },
            assumed=tuple(dict.fromkeys(assumed)),
            plain_writes=bool(self._fact(model, 'plain_writes')),
        )

    def _mode(
        self, terms: Terms, model: str, rows: list[Words], rules: list[Words]
    ) -> _Mode | NoPrice:
        """The tier, `batch` among them, that the conditions stand for."""
        sold = {row['tier'] for row in rows} | {
            _tier(rule) for rule in rules if {'tier', 'batch'} & rule['when'].keys()
        }
        asked = None if terms.tier is None else terms.tier.strip().lower()
        tier = self._word('tiers', asked)
        batch = terms.batch
        if tier == 'batch':
            tier, batch = 'standard', True
        if tier == _COMMITTED:
            return _Mode('standard', ('tier',))
        if batch:
            if tier not in {None, 'standard', 'batch'}:
                return NoPrice(f'no price for the tier {terms.tier!r} inside a batch')
            tier = 'batch'
        if tier is None:
            doubts = ['tier'] if sold - {'standard', 'batch'} else []
            doubts += ['batch'] if 'batch' in sold and batch is None else []
            return _Mode('standard', tuple(doubts))
        if tier in sold:
            return _Mode(tier, ())
        known = ', '.join(sorted(sold))
        what = 'batch' if batch else f'the tier {terms.tier!r}'
        return NoPrice(
            f'no price of {what} for {model!r} at that time; known: {known}; '
            'add one in an overlay file or as `override`'
        )

    def _place(
        self, place: str, asked: str | None, model: str, rules: list[Words]
    ) -> tuple[list[Words], list[str]] | NoPrice:
        """The rule of a geography or region, and what was assumed."""
        told = [rule for rule in rules if place in rule['when']]
        word = self._word(f'{place}s', None if asked is None else asked.strip().lower())
        if word is None:
            return [], [place] if told else []
        for rule in reversed(told):
            if rule['when'][place] == word:
                return [rule], []
        if word == 'global':
            return [], []
        for rule in reversed(told):
            if rule['when'][place] == '*':
                return [rule], []
        if not told and place == 'region':
            return [], []
        return NoPrice(
            f'no price of the {place} {asked!r} for {model!r} at that time; known: '
            + ', '.join(['global', *(str(rule['when'][place]) for rule in told)])
        )

    def _last_laid(self, rules: list[Words]) -> list[Words]:
        """The rules of the uppermost layer: an overlay's batch rule replaces the book's."""
        for layer in reversed(self._layers):
            if own := [rule for rule in rules if any(rule is one for one in layer['rules'])]:
                return own
        return []

    def _word(self, kind: str, word: str | None) -> str | None:
        """A provider's word in the table's; `unknown` stands for a word that says nothing."""
        if word is None:
            return None
        for layer in self._layers:
            word = layer['words'].get(kind, {}).get(word, word)
        return None if word == 'unknown' else word

    def _no_row(self, model: str) -> str:
        first = min((row.get('from', _EVER) for row in self.rows(model)), default=_EVER)
        return f'no price of {model!r} at that time; the first known is of {first}'


def _holds(words: Words, day: str) -> bool:
    return bool(words.get('from', _EVER) <= day < words.get('until', _NEVER))


def _tier(rule: Words) -> str:
    return 'batch' if 'batch' in rule['when'] else str(rule['when']['tier'])


def _names(rule: Words, tier: str) -> bool:
    return bool({'tier', 'batch'} & rule['when'].keys()) and _tier(rule) == tier


def _in_words_of(ids: Mapping[str, str], layer: Words) -> Words:
    """A layer that names models as the layers below it do, where they know them by another id."""

    def known(model: str) -> str:
        return ids.get(model.lower(), model).removesuffix('?')

    def renamed(one: Words) -> Words:
        named = {'models': [known(model) for model in one['models']]} if 'models' in one else {}
        return {**one, **named}

    return {
        **layer,
        'models': {known(model): words for model, words in layer['models'].items()},
        'rules': [renamed(rule) for rule in layer['rules']],
        'tools': [renamed(tool) for tool in layer['tools']],
    }


def _rates(rows: list[Words], above: int, factors: Iterable[Words]) -> dict[str, Rate]:
    """Rates of one band; a band that the tier's rows leave out has those of the band below it."""
    own = [row for row in rows if row.get('above', 0) == above]
    doubt = None if own or not above else 'long prompt'
    if not own:
        below = max((row.get('above', 0) for row in rows if row.get('above', 0) < above), default=0)
        own = [row for row in rows if row.get('above', 0) == below]
    factors = list(factors)
    rates: dict[str, Rate] = {}
    for row in own:
        for meter, pico in row['rates'].items():
            applied = [one for one in factors if meter in one.get('meters', TOKEN_METERS)]
            rate = Fraction(pico)
            for one in applied:
                rate *= Fraction(one['factor'])
            unsure = f'rate of {meter}' if meter in row.get('doubts', ()) else doubt
            unsure = unsure or next((one['doubt'] for one in applied if 'doubt' in one), None)
            if rate.denominator != 1:
                # A negotiated factor may be finer than our unit: round half up, and say so.
                rate, unsure = Fraction(int(rate + Fraction(1, 2))), f'rounded {meter}'
            rates[meter] = Rate(int(rate), (row['id'], *(one['id'] for one in applied)), unsure)
    return rates
