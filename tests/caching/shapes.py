"""Requests of every shape in every regime of gaps, from fixed seeds, for scores of policies."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import cycle, islice
from random import Random
from typing import Any

from farthing import PriceBook
from farthing.caching.rates import Rates, rates
from farthing.caching.simulation import Sent
from farthing.wire.marking import MARKINGS

DAY = datetime(2026, 11, 25, tzinfo=UTC)
REQUESTS = 300
TURNS = 30
PARALLEL = 4
ANSWER_S = 1.0
"""A conversation goes on when it is answered: no two of its requests start closer together."""

Gaps = Callable[[Random], Iterator[float]]


def every(seconds: float) -> Gaps:
    """Always the same gap."""
    return lambda _: cycle([seconds])


def paused(pause: float) -> Gaps:
    """Five fast gaps, then a pause."""
    return lambda _: cycle([20, 20, 20, 20, 20, pause])


def poisson(mean: float) -> Gaps:
    """Exponential gaps."""

    def gaps(random: Random) -> Iterator[float]:
        while True:
            yield random.expovariate(1 / mean)

    return gaps


def bursty(share: float, fast: float, slow: float) -> Gaps:
    """A share of fast exponential gaps, the rest slow ones."""

    def gaps(random: Random) -> Iterator[float]:
        while True:
            yield random.expovariate(1 / (fast if random.random() < share else slow))

    return gaps


REGULAR: dict[str, Gaps] = {
    '20 s': every(20),
    '2 min': every(120),
    '8 min': every(480),
    '40 min': every(2_400),
    '90 min': every(5_400),
    '5 fast, 10 min': paused(600),
    '5 fast, 90 min': paused(5_400),
}
RANDOM: dict[str, Gaps] = {
    'poisson 4 min': poisson(240),
    'poisson 30 min': poisson(1_800),
    'bursty 10 s / 20 min': bursty(0.8, 10, 1_200),
    'bursty 10 s / 3 h': bursty(0.7, 10, 10_800),
}
MODELS = {
    'claude-sonnet-4-5': 'anthropic',
    'claude-opus-5-5': 'anthropic',
    'claude-fable-5-2': 'anthropic',
    'gpt-5.6-sol': 'openai',
}
SHAPES = ('agent loops', 'shared one-shots', 'single one-shots', 'parallel starts')
_CHARS = {'anthropic': 2.6, 'openai': 4.0}


@cache
def _rates(model: str) -> Rates:
    found = rates(PriceBook.load(), MODELS[model], model, DAY)
    assert found is not None
    return found


def requests(shape: str, gaps: Gaps, model: str, *, seed: int = 1) -> list[Sent]:
    """Requests in order of time."""
    random = Random(seed)  # noqa: S311 - no secret
    times = gaps(random)
    made = islice(_SHAPES[shape](times, model), REQUESTS)
    return sorted(made, key=lambda one: one.at)


def _loops(times: Iterator[float], model: str) -> Iterator[Sent]:
    at = 0.0
    for chain in range(REQUESTS // TURNS):
        for turn in range(TURNS):
            yield _sent(at, model, *_turn(model, chain, turn), tools=True)
            at += max(next(times), ANSWER_S)


def _parallel(times: Iterator[float], model: str) -> Iterator[Sent]:
    at = 0.0
    for wave in range(REQUESTS // TURNS // PARALLEL + 2):
        for turn in range(TURNS):
            for chain in range(PARALLEL):
                yield _sent(at, model, *_turn(model, f'{wave}-{chain}', turn), tools=True)
            at += max(next(times), ANSWER_S)


def _shared(times: Iterator[float], model: str) -> Iterator[Sent]:
    at = 0.0
    for number in range(REQUESTS):
        question = _user(_text(model, f'question {number}', 2_000))
        yield _sent(at, model, _text(model, 'rules', 6_000), [question], tools=False)
        at += next(times)


def _single(times: Iterator[float], model: str) -> Iterator[Sent]:
    at = 0.0
    for number in range(REQUESTS):
        question = _user(_text(model, f'question {number}', 8_000))
        yield _sent(at, model, 'Answer briefly.', [question], tools=False)
        at += next(times)


_SHAPES = {
    'agent loops': _loops,
    'shared one-shots': _shared,
    'single one-shots': _single,
    'parallel starts': _parallel,
}


def _turn(model: str, chain: object, turn: int) -> tuple[str, list[dict[str, Any]]]:
    """The static part and the messages of one turn of an agent with tools."""
    messages = [_user(_text(model, f'chain {chain}', 900))]
    for number in range(turn):
        said = _text(model, f'chain {chain} turn {number}', 450)
        if MODELS[model] == 'openai':
            call = {'name': 'find', 'arguments': f'"{said}"'}
            calls = [{'id': f'call_{number}', 'type': 'function', 'function': call}]
            messages += [
                {'role': 'assistant', 'content': None, 'tool_calls': calls},
                {'role': 'tool', 'tool_call_id': f'call_{number}', 'content': said},
            ]
        else:
            use = {
                'type': 'tool_use',
                'id': f'toolu_{number}',
                'name': 'find',
                'input': {'query': said},
            }
            result = {'type': 'tool_result', 'tool_use_id': f'toolu_{number}', 'content': said}
            messages += [
                {'role': 'assistant', 'content': [use]},
                {'role': 'user', 'content': [result]},
            ]
    return _text(model, 'agent', 8_000), messages


def _user(text: str) -> dict[str, Any]:
    return {'role': 'user', 'content': text}


@cache
def _text(model: str, what: str, tokens: int) -> str:
    words = f'{what} '
    chars = int(tokens * _CHARS[MODELS[model]])
    return (words * (chars // len(words) + 1))[:chars]


def _sent(
    at: float, model: str, system: str, messages: list[dict[str, Any]], *, tools: bool
) -> Sent:
    provider = MODELS[model]
    schema = {'type': 'object', 'properties': {'query': {'type': 'string'}}}
    if provider == 'openai':
        payload = {'model': model, 'messages': [{'role': 'system', 'content': system}, *messages]}
        if tools:
            function = {'name': 'find', 'parameters': schema}
            payload['tools'] = [{'type': 'function', 'function': function}]
        api = 'openai_chat'
    else:
        payload = {'model': model, 'max_tokens': 500, 'system': system, 'messages': messages}
        if tools:
            payload['tools'] = [{'name': 'find', 'input_schema': schema}]
        api = 'anthropic_messages'
    return Sent(at=at, prompt=MARKINGS[api].prompt(payload, provider=provider), rates=_rates(model))
