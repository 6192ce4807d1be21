"""What one decision takes, on one core, from query to decision record."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
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
    """Each policy in a router of two routes; in warm sessions leaving the cache is weighed too."""
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
    warm = [_warm(turn) for turn in range(1_000)]
    contestants = [
        _contestant('rules', rules, [plain]),
        _contestant('task table', table, [plain]),
        _contestant('rules, in warm sessions', rules, warm),
        _contestant('task table, in warm sessions', table, warm),
    ]
    bounds = dict.fromkeys((one.name for one in contestants), 60.0)
    try:
        embedding = Embedding.of(_EXAMPLES, embedder(), least=0)
    except InputError:
        pass  # without WordLlama its row is missing
    else:
        contestants.append(_contestant('embedding (WordLlama)', embedding, [plain]))
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


def _warm(turn: int) -> Query:
    """A turn of a growing conversation, whose task is known; they are 50 turns long."""
    number = turn % 50 + 1
    prefix = 3_000 + 400 * number
    session = Session(
        id='s', route='heavy', prefix_tokens=prefix, warm_tokens={'heavy': prefix}, new_tokens=300,
        output_tokens=100 + turn // 50, calls=1.7, again=0.5 + number / 500, again_least=0.4,
        turns_left=(50 - number) / 2, turns=number, turn_s=50.0, idle_s={'heavy': 45.0},
    )  # fmt: skip
    return Query(text=_TEXT, task='task 1', input_tokens=prefix + 300, session=session)


def _contestant(name: str, policy, queries: Sequence[Query]) -> Contestant:
    routes = {
        name: Route(
            name=name, provider='anthropic', model=model, context_tokens=200_000,
            max_output_tokens=64_000, cache_writes='5m',
        )
        for name, model in {'light': 'claude-haiku-4-5', 'heavy': 'claude-opus-4-7'}.items()
    }  # fmt: skip
    router = Router(routes=routes, policies=(policy,), default='heavy', book=PriceBook.load())
    each = cycle(queries)
    return Contestant(name=name, call=lambda: run(router.decide(next(each), _AT), _nobody))


def _nobody(question: object) -> object:
    raise AssertionError(question)
