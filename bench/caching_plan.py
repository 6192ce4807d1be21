"""Planning a request of 200 messages and 40 tools, from payload to marked payload."""

from datetime import UTC, datetime
from time import process_time_ns
from typing import Any

from bench.timing import MS, Check, Contestant, Table, race

from farthing import PriceBook
from farthing.caching.plan import Plan, plan
from farthing.caching.rates import rates
from farthing.caching.state import InMemory
from farthing.wire.marking import MARKINGS, Marking

_NOW = datetime(2026, 11, 25, tzinfo=UTC)
_MODELS = {
    'anthropic_messages': ('anthropic', 'claude-sonnet-4-5'),
    'openai_chat': ('openai', 'gpt-5.6-sol'),
}
BOUND_MS = 2


def measure(*, quick: bool) -> list[Table]:
    """Both APIs, each planning the same conversation again and again, as it grows."""
    rounds = 30 if quick else 200
    contestants = [Contestant(name=api, call=_planner(api)) for api in _MODELS]
    # Its own time: a busy machine is not the planner's doing.
    took = race(contestants, rounds=rounds, calls=1, clock=process_time_ns)
    return [
        Table(
            title=f'Planning 200 messages and 40 tools: median of {rounds} rounds',
            columns=('', 'ms a request'),
            rows=[(api, f'{took[api] / MS:.2f}') for api in took],
            checks=tuple(
                Check(what=f'planning {api}', value=took[api] / MS, bound=BOUND_MS, unit='ms')
                for api in took
            ),
        )
    ]


def _planner(api: str) -> Any:
    provider, model = _MODELS[api]
    marking, memory = MARKINGS[api], InMemory()
    found = rates(PriceBook.load(), provider, model, _NOW)
    payload = _payload(api, model)
    at = iter(range(10**9))

    def call() -> dict[str, Any]:
        made = _plan(marking, payload, provider, found, memory, next(at))
        memory.learn(made.learned)
        return marking.marked(payload, made)

    return call


def _plan(marking: Marking, payload: Any, provider: str, found: Any, memory: Any, at: int) -> Plan:
    prompt = marking.prompt(payload, provider=provider)
    return plan(prompt, found, memory, _NOW.timestamp() + 20 * at)


def _payload(api: str, model: str) -> dict[str, Any]:
    schema = {
        'type': 'object',
        'properties': {
            'query': {'type': 'string', 'description': 'What to look for, in plain words.'},
            'limit': {'type': 'integer', 'minimum': 1},
        },
    }
    messages = [
        {'role': 'assistant' if n % 2 else 'user', 'content': f'Message {n}: ' + 'word ' * 150}
        for n in range(199)
    ]
    if api == 'openai_chat':
        tools = [
            {'type': 'function', 'function': {'name': f'tool_{n}', 'parameters': schema}}
            for n in range(40)
        ]
        system = {'role': 'system', 'content': 'Rules. ' * 500}
        return {'model': model, 'messages': [system, *messages], 'tools': tools}
    tools = [{'name': f'tool_{n}', 'input_schema': schema} for n in range(40)]
    system = [{'type': 'text', 'text': 'Rules. ' * 500}]
    return {'model': model, 'system': system, 'messages': messages, 'tools': tools}
