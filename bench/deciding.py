"""What one decision takes, on one core, from query to decision record."""

from dataclasses import replace
from datetime import UTC, datetime
from time import thread_time_ns

from bench.timing import US, Check, Contestant, Table, race

from farthing import PriceBook
from farthing.errors import InputError
from farthing.flow import run
from farthing.routing import (
    Embedding,
    Measured,
    Query,
    Route,
    Router,
    Rules,
    Session,
    TaskTable,
)
from farthing.routing.wordllama import embedder

_AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
_TEXT = (
    'Our invoice of October lists the same seat twice. Please check which of the two lines is '
    'right, tell me what we should pay, and write two sentences that I can send to our accountant.'
)
_EXAMPLES = {
    'light': ['thanks, that is all', 'what are your opening hours', 'where is my order'] * 10,
    'heavy': ['prove that the series converges', 'find the race in this code'] * 10,
}


def measure(*, quick: bool) -> list[Table]:
    """Each policy in a router of two routes; in a warm session leaving the cache is weighed too."""
    rules = Rules.of(
        [
            {'route': 'heavy', 'keywords': ['prove', 'derive', 'refactor'], 'longer_than': 2_000},
            {'route': 'heavy', 'regex': r'\b(?:stack trace|segfault)\b'},
            {'route': 'light', 'keywords': ['thanks', 'opening hours']},
            {'route': 'light', 'shorter_than': 400},
        ]
    )
    table = TaskTable(
        measured={f'task {n}': Measured(labels=100, gap=n / 100) for n in range(20)},
        weak='light',
        strong='heavy',
    )
    plain = Query(text=_TEXT, task='task 7', input_tokens=3_000, output_tokens=500)
    session = Session(
        id='s', route='heavy', prefix_tokens=20_000, warm_tokens={'heavy': 20_000},
        new_tokens=2_000, output_tokens=500, turns_left=5,
    )  # fmt: skip
    warm = Query(text=_TEXT, task='task 7', input_tokens=22_000, session=session)
    contestants = [
        _contestant('rules', rules, plain),
        _contestant('task table', table, plain),
        _contestant('rules, in a warm session', rules, warm),
        _contestant('task table, in a warm session', table, replace(warm, task='task 1')),
    ]
    bounds = dict.fromkeys((one.name for one in contestants), 60.0)
    try:
        embedding = Embedding.of(_EXAMPLES, embedder(), least=0)
    except InputError:
        pass  # without WordLlama its row is missing
    else:
        contestants.append(_contestant('embedding (WordLlama)', embedding, plain))
        bounds['embedding (WordLlama)'] = 400.0
    rounds = 50 if quick else 300
    took = race(contestants, rounds=rounds, calls=50, clock=thread_time_ns)
    return [
        Table(
            title=f'One decision: CPU time, median of {rounds} rounds',
            columns=('policy', 'us'),
            rows=[(name, f'{took[name] / US:.1f}') for name in took],
            checks=tuple(
                Check(what=name, value=took[name] / US, bound=bound, unit='us')
                for name, bound in bounds.items()
            ),
        )
    ]


def _contestant(name: str, policy, query: Query) -> Contestant:
    routes = {
        name: Route(
            name=name, provider='anthropic', model=model, context_tokens=200_000,
            max_output_tokens=64_000, cache_writes='5m',
        )
        for name, model in {'light': 'claude-haiku-4-5', 'heavy': 'claude-opus-4-7'}.items()
    }  # fmt: skip
    router = Router(routes=routes, policies=(policy,), default='heavy', book=PriceBook.load())
    return Contestant(name=name, call=lambda: run(router.decide(query, _AT), _nobody))


def _nobody(question: object) -> object:
    raise AssertionError(question)
