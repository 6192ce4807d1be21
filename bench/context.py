"""What policies of context control cost, and what retrieval finds: figures, not times.

Conversations that are made up, priced at Claude Sonnet 4.6; recorded sessions of agents and of
people, where they lie beside the repository (../shared/data/context); and how long a query takes.
"""

from collections.abc import Callable, Mapping

from bench.context_sessions import JOIN, SHARED, Recorded, agents, tariff
from bench.timing import MS, Check, Contestant, Table, race

from farthing.cli.context_recall import measured
from farthing.context import Block, ClearToolResults, PeriodicSummary, Window
from farthing.context.bm25 import Bm25
from farthing.context.optimum import optimum
from farthing.context.replay import Run, Session, Whole, replay
from farthing.errors import InputError

USD = 10**12
KEEP = 6

_COLUMNS = ('policy', 'USD each', 'of optimum', 'mean history', 'rewrites', 'invalid')

Price = Callable[[Session], Run]


def measure(*, quick: bool) -> list[Table]:
    tables = [made_up(), query(quick=quick)]
    if SHARED.is_dir():
        return [*tables, recorded(agents()), recall(quick=quick)]
    print(f'No recorded sessions in {SHARED}: two tables are left out.')
    return tables


def made_up() -> Table:
    """Chats of one call a turn, keeping 10 turns; agents of four, keeping 4."""
    talks = {f'chat {n}': (_talk(n), 10) for n in (10, 20, 30, 50, 75, 100)}
    agent = {'system': 8_000, 'calls': 4}
    talks |= {f'agent {n}': (_talk(n, **agent), 4) for n in (30, 50, 100)}
    costs: dict[str, dict[str, float]] = {}
    for talk, (session, keep) in talks.items():
        for name, price in _policies(keep).items():
            costs.setdefault(name, {})[talk] = price(session).cost / USD
    last = {name: row['chat 100'] for name, row in costs.items()}
    return Table(
        title='USD of made-up conversations at Claude Sonnet 4.6, by turns; summaries by Haiku 4.5',
        columns=('policy', *talks),
        rows=[(name, *(f'{row[talk]:.3f}' for talk in talks)) for name, row in costs.items()],
        checks=(
            Check(what='chat 100, window auto', value=last['window auto'], bound=0.93, unit='USD'),
            Check(what='chat 100, summary auto', value=last['summary auto'], bound=1, unit='USD'),
            Check(what='chat 100, full', value=last['full, cached'], bound=1.26, unit='USD'),
            Check(what='chat 100, no control', value=last['full'], bound=7.3, unit='USD'),
        ),
    )


def recorded(sessions: list[Recorded]) -> Table:
    """Airline tasks of tau-bench, eight in a row, as one session each."""
    runs = _runs(sessions)
    best = runs['optimum'].cost
    return Table(
        title=f'{len(sessions)} recorded sessions of {JOIN} airline tasks, keeping {KEEP} turns',
        columns=_COLUMNS,
        rows=[_row(name, run, best, len(sessions)) for name, run in runs.items()],
        checks=(
            Check(what='window auto / optimum', value=runs['window auto'].cost / best, bound=1.08),
            Check(
                what='no policy below the optimum',
                value=min(run.cost for run in runs.values()) / best,
                bound=1,
                least=True,
            ),
        ),
    )


def _runs(sessions: list[Recorded]) -> dict[str, Run]:
    return {
        name: sum((price(one.session) for one in sessions), Run())
        for name, price in _policies(KEEP).items()
    }


def _row(name: str, run: Run, best: int, sessions: int) -> tuple[str, ...]:
    return (
        name,
        f'{run.cost / sessions / USD:.3f}',
        f'{run.cost / best:.3f}',
        f'{run.history_tokens / run.calls:,.0f}',
        f'{run.rewrites / sessions:.1f}',
        str(run.invalid_prompts),
    )


def recall(*, quick: bool) -> Table:
    """LoCoMo's development conversations; the figures are ours, the data is never shipped."""
    least = {'bm25': 0.79, 'bm25,wordllama': 0.82} | ({} if quick else {'bm25,minilm': 0.85})
    rows, checks = [], []
    for name, bound in least.items():
        try:
            found = [_recall(name, budget) for budget in (1_000, 2_000, 4_000, 8_000)]
        except InputError:
            rows.append((f'{name} (not installed)', '', '', '', ''))
            continue
        rows.append((name, *(f'{share:.3f}' for share in found)))
        checks.append(
            Check(what=f'{name} at 2k', value=found[1], bound=bound, unit='recall', least=True)
        )
    return Table(
        title='Mean evidence recall of LoCoMo questions (categories 1-4), by tokens that are found',
        columns=('retriever', '1k', '2k', '4k', '8k'),
        rows=rows,
        checks=tuple(checks),
    )


def query(*, quick: bool) -> Table:
    """A query over 600 turns of 30 words out of 3,000."""
    index = Bm25()
    for turn in range(600):
        index.add(' '.join(f'word{(turn * 37 + n * n * 11) % 3_000}' for n in range(30)))
    asked = ' '.join(f'word{n * 173 % 3_000}' for n in range(12))
    taken = race(
        [Contestant(name='bm25', call=lambda: index.rank(asked))],
        rounds=3 if quick else 15,
        calls=20 if quick else 200,
    )
    ms = taken['bm25'] / MS
    return Table(
        title='A query over a history of 600 turns',
        columns=('retriever', 'ms'),
        rows=[('bm25', f'{ms:.3f}')],
        checks=(Check(what='a query', value=ms, bound=1, unit='ms'),),
    )


def _recall(retriever: str, budget: int) -> float:
    said = measured(
        str(SHARED / 'locomo_turns.jsonl.gz'),
        str(SHARED / 'locomo_qa.jsonl.gz'),
        budget=budget,
        retriever=retriever,
        where=[f'category={n}' for n in range(1, 5)],
    )
    return float(said['mean_evidence_recall'])


def _policies(keep: int) -> Mapping[str, Price]:
    main, cheap = tariff('claude-sonnet-4-6'), tariff('claude-haiku-4-5').rates

    def under(policy, **how) -> Price:
        return lambda session: replay(session, policy, main, **how)

    return {
        'full': under(Whole(), cacheable=lambda _: False),
        'full, cached': under(Whole()),
        'window each turn': under(Window(keep_turns=keep, every=1)),
        'window each third turn': under(Window(keep_turns=keep, every=3)),
        'window auto': under(Window(keep_turns=keep)),
        'summary each fifth turn': under(PeriodicSummary(keep_turns=keep, every=5, rates=cheap)),
        'summary auto': under(PeriodicSummary(keep_turns=keep, rates=cheap)),
        'clear tools each time': under(ClearToolResults(keep_turns=keep, at_least=1)),
        'clear tools auto': under(ClearToolResults(keep_turns=keep)),
        'optimum': lambda session: optimum(session, main, keep_turns=keep),
    }


def _talk(turns: int, *, system: int = 3_000, calls: int = 1) -> Session:
    """Turns of 120 tokens asked and, each call, 280 said; results of tools have 1,200."""
    said = [Block(kind='system', tokens=system, digest='system')]
    for turn in range(turns):
        said.append(Block(kind='user', tokens=120, digest=f'asked {turn}'))
        for call in range(calls - 1):
            ids = (f'{turn}.{call}',)
            said.append(Block(kind='tool_call', tokens=280, digest=f'calls {ids}', call_ids=ids))
            said.append(Block(kind='tool_result', tokens=1_200, digest=f'{ids}', call_ids=ids))
        said.append(Block(kind='assistant', tokens=280, digest=f'said {turn}'))
    return Session(blocks=tuple(said))
