"""`farthing router simulate`: what recorded sessions would have cost under ways to route them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import Any

import click

from farthing.caching.machine import Cache, Request
from farthing.caching.minimum import minimum
from farthing.caching.rates import Rates, rates
from farthing.cli import options, show
from farthing.cli.context_traces import document, rows
from farthing.cli.policies import policy_of
from farthing.cli.show import Column
from farthing.context.counting import Counter
from farthing.context.parts import MESSAGE_TOKENS, Part
from farthing.errors import InputError
from farthing.money import usd
from farthing.prices import Call, PriceBook, Terms
from farthing.routing.decide import Router
from farthing.routing.query import Query
from farthing.routing.routes import Route
from farthing.routing.sessions import Given, Talk, Usual, aware, fixed
from farthing.routing.trained import Trained
from farthing.usage import Usage
from farthing.wire import chat

_TERMS = Terms(tier='standard', batch=False, geo='global', region='global')
_LIFETIMES = ('5m', '30m')
_CALL_S = 5.0
WEAK, STRONG = 'weak', 'strong'
_COLUMNS = (
    Column(name='router', title='router'),
    Column(name='cost_usd', title='cost', kind='money'),
    Column(name='of_strong', title='of always strong', kind='count'),
    Column(name='light_turns', title='turns on weak', kind='count'),
)


@click.command('simulate')
@click.option('--sessions', 'file', required=True, metavar='FILE', help='One a line; .gz too.')
@click.option('--weak', required=True, metavar='MODEL', help='The cheap model.')
@click.option('--strong', required=True, metavar='MODEL', help='The dear model.')
@click.option(
    '--provider', default='anthropic', show_default=True, help='Who bills both; as in the book.'
)
@click.option('--policy', metavar='FILE', help='A router.json or rules.yaml that wants the tiers.')
@click.option(
    '--light-share',
    type=click.FloatRange(0, 1),
    help='Instead of a policy: so many turns, drawn by lot, want the weak model.',
)
@click.option('--seed', type=int, default=0, show_default=True, help='Of the lot.')
@options.tools_option
@options.join_option
@click.option(
    '--pause-s',
    type=click.FloatRange(min=0),
    default=45.0,
    show_default=True,
    help='Seconds that a user thinks; calls of one turn are 5 s apart.',
)
@options.at_option
@options.prices_option
@options.format_option
def command(
    file: str,
    weak: str,
    strong: str,
    provider: str,
    policy: str | None,
    light_share: float | None,
    seed: int,
    tools: str | None,
    join: int,
    pause_s: float,
    at: datetime,
    overlay: str | None,
    form: str,
) -> None:
    r"""What recorded sessions would have cost, with both models' prompt caches.

    A line is an object with `messages` in OpenAI's chat format. Every answer in it is called for
    again. Which turns want the weak model is what a policy says of the user's words (rules name
    `weak` and `strong`), or drawn by lot. Answers are taken to be the same, so this compares costs,
    not quality; lengths are estimates.

    \b
    always_strong, always_weak   one model for all turns
    every_turn                   each turn where it wants to go
    cache_aware                  the weak model only where leaving the strong one's cache pays;
                                 it learns turn by turn, and from the sessions before

    \b
    Examples:
      farthing router simulate --sessions traces.jsonl.gz --weak claude-haiku-4-5 \
          --strong claude-opus-4-7 --light-share 0.33
      farthing router simulate --sessions traces.jsonl --weak claude-haiku-4-5 \
          --strong claude-sonnet-4-6 --policy router.json --join 8 --format json
    """
    if (policy is None) == (light_share is None):
        raise InputError('give either `--policy` or `--light-share`: which turns want the weak')
    book = options.book(overlay)
    models = {WEAK: weak, STRONG: strong}
    prices = {name: _Price(book, provider, model, at) for name, model in models.items()}
    counter = Counter(provider, strong)
    talks = _talks(file, tools, join, counter)
    wants = _by_policy(policy) if policy is not None else _by_lot(light_share or 0.0, seed)
    light = [wants(number, talk, said) for number, (talk, said) in enumerate(talks)]
    sums = _costs([talk for talk, _ in talks], light, prices, book, at, pause_s)
    turns = sum(map(len, light))
    base = sums['always_strong'][0]
    lines: list[dict[str, Any]] = [
        {
            'router': name,
            'cost_usd': usd(cost),
            'of_strong': round(cost / base, 4) if base else None,
            'light_turns': on_weak,
        }
        for name, (cost, on_weak) in sums.items()
    ]
    facts = {
        'sessions': len(talks),
        'turns': turns,
        'turns_that_want_weak': sum(map(sum, light)),
        'tokens': f'estimated: {counter.method}',
    }
    if form == 'json':
        show.as_json({'routers': lines, **facts})
    elif form == 'csv':
        show.as_csv(_COLUMNS, lines)
    else:
        note = (
            f'{len(talks)} sessions, {turns:,} turns, {facts["turns_that_want_weak"]:,} of which '
            f'want {weak}; tokens are {facts["tokens"]}.'
        )
        show.as_table(_COLUMNS, lines, notes=[note])


Said = Sequence[str]
_Wants = Callable[[int, Talk, Said], list[bool]]


def _by_lot(share: float, seed: int) -> _Wants:
    def wants(number: int, talk: Talk, said: Said) -> list[bool]:  # noqa: ARG001 - as a policy
        lot = Random(f'{seed} {number}')  # noqa: S311 - a simulation
        return [lot.random() < share for _ in talk.turns]

    return wants


def _by_policy(path: str) -> _Wants:
    policy = policy_of(path, weak=WEAK, strong=STRONG)

    def wants(number: int, talk: Talk, said: Said) -> list[bool]:  # noqa: ARG001 - as a lot
        choices = [policy.choose(Query(text=said[at])) for at in talk.asked]
        if isinstance(policy, Trained) and choices and not any(choices):
            raise InputError(f'{path!r} was calibrated by task, and recorded sessions have none')
        return [choice is not None and choice.route == WEAK for choice in choices]

    return wants


def _costs(
    talks: Sequence[Talk],
    light: Sequence[list[bool]],
    prices: 'dict[str, _Price]',
    book: PriceBook,
    at: datetime,
    pause_s: float,
) -> dict[str, tuple[int, int]]:
    """Cost in 1e-12 USD and turns on the weak model, by way to route."""
    router = Router(
        routes={name: price.route(name) for name, price in prices.items()},
        policies=(Given(),),
        default=STRONG,
        book=book,
    )
    names = ('always_strong', 'always_weak', 'every_turn', 'cache_aware')
    found = dict.fromkeys(names, (0, 0))
    usual = Usual()
    for talk, wanted in zip(talks, light, strict=True):
        routes = {
            'always_strong': [STRONG] * len(wanted),
            'always_weak': [WEAK] * len(wanted),
            'every_turn': [WEAK if one else STRONG for one in wanted],
        }
        for name in names:
            bill = _Bill(talk, prices, pause_s)
            if name == 'cache_aware':
                cost = aware(talk, bill, router, wanted, usual, at)
            else:
                cost = fixed(talk, bill, routes[name])
            before, turns = found[name]
            found[name] = before + cost, turns + bill.weak_turns
        usual.learn(talk, wanted, took_s=bill.ended_s)
    return found


class _Price:
    """One model: the rates of its cache, and exact prices of its answers."""

    def __init__(self, book: PriceBook, provider: str, model: str, at: datetime) -> None:
        call = Call(provider=provider, model=model, at=at, terms=_TERMS)
        priced = book.quote(Usage(input_tokens=1, output_tokens=1), call)
        found = rates(book, provider, model, at, terms=_TERMS)
        if priced.cost is None or found is None:
            raise InputError(
                f'{model!r} of {provider!r} cannot be simulated: '
                f'{priced.reason or "its cached input has no price"}'
            )
        self.rates: Rates = found
        self.output = priced.cost - found.input
        self.least = minimum(provider, model) or 1
        self.lookback = provider == 'anthropic'
        self.life = next((one for one in _LIFETIMES if one in found.writes), None)
        self._provider, self._model = provider, model

    def route(self, name: str) -> Route:
        """The model as a route."""
        life = self.life or 'free'
        return Route(
            name=name,
            provider=self._provider,
            model=self._model,
            cache_writes=life,  # type: ignore[arg-type]
        )


class _Bill:
    """One session at both models' caches: a call marks where its model last saw it, and its end."""

    def __init__(self, talk: Talk, prices: dict[str, _Price], pause_s: float) -> None:
        self._talk, self._prices, self._pause_s = talk, prices, pause_s
        self._caches = {name: Cache() for name in prices}
        self._seen = dict.fromkeys(prices, 0)
        self._digests = [at.to_bytes(4) for at in range(len(talk.before))]
        self._now_s = 0.0
        self.weak_turns = 0

    @property
    def begins_s(self) -> float:
        """When the next turn begins."""
        return self._now_s + self._pause_s if self._now_s else 0.0

    @property
    def ended_s(self) -> float:
        """When the last call was made."""
        return self._now_s - _CALL_S

    def turn(self, number: int, route: str) -> int:
        """Serve a turn; its cost in 1e-12 USD."""
        self._now_s = self.begins_s
        self.weak_turns += route == WEAK
        return sum(self._call(at, route) for at in self._talk.turns[number])

    def _call(self, at: int, route: str) -> int:
        price, seen = self._prices[route], self._seen[route]
        request = Request(
            at=self._now_s,
            digests=self._digests[: at + 1],
            tokens=self._talk.before[: at + 1],
            rates=price.rates,
            least=price.least,
            lookback=price.lookback,
        )
        marks = [(place, price.life or '5m') for place in sorted({1, seen, at} - {0})]
        bill = self._caches[route].send(request, marks)  # type: ignore[arg-type]
        self._seen[route] = at
        self._now_s += _CALL_S
        return bill.cost + price.output * self._talk.output(at)


def _talks(
    file: str, tools: str | None, join: int, counter: Counter
) -> list[tuple[Talk, list[str]]]:
    """The sessions, and the text of each of their messages."""
    count = lru_cache(maxsize=1_000)(counter.tokens)
    fixed_tokens = 0 if tools is None else count(str(document(tools)))
    tasks: list[list[Part]] = []
    for number, row in enumerate(rows(file, 'messages'), 1):
        try:
            tasks.append(list(chat.parts(row['messages'])))
        except InputError as error:
            raise InputError(f'{file!r} session {number}: {error}') from error
    found = []
    for first in range(0, len(tasks), join):
        talk = _joined(tasks[first : first + join])
        kinds = [part.kind for part in talk]
        tokens = [count(part.text) + MESSAGE_TOKENS for part in talk]
        found.append(
            (Talk.of(kinds, tokens, fixed_tokens=fixed_tokens), [part.text for part in talk])
        )
    if not any(talk.turns for talk, _ in found):
        raise InputError(f'{file!r} holds no answer to a user: expected sessions, one a line')
    return found


def _joined(tasks: Sequence[Sequence[Part]]) -> list[Part]:
    """One session of several; system texts that the first one has are not said again."""
    said = [part for part in tasks[0] if part.kind == 'system']
    return [
        part for number, task in enumerate(tasks) for part in task if not number or part not in said
    ]
