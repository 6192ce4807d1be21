"""`farthing context simulate`: what each policy would have cost on recorded sessions."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import click

from farthing.caching.minimum import cacheable
from farthing.cli import options, show
from farthing.cli.context_traces import document, rows
from farthing.cli.show import Column
from farthing.context.clearing import ClearToolResults
from farthing.context.counting import Counter
from farthing.context.optimum import optimum
from farthing.context.parts import Part, blocks
from farthing.context.planning import Policy
from farthing.context.rates import Tariff
from farthing.context.replay import Cacheable, Run, Session, Whole, replay
from farthing.context.summary import PeriodicSummary
from farthing.context.window import Window
from farthing.errors import ContextError, InputError
from farthing.money import usd
from farthing.prices import Call, PriceBook, Terms
from farthing.wire import chat

POLICIES = (
    'full', 'full_uncached', 'window', 'hysteresis', 'summary', 'clear_tools', 'auto', 'optimum'
)  # fmt: skip
_COLUMNS = (
    Column(name='policy', title='policy'),
    Column(name='cost_usd', title='cost', kind='money'),
    Column(name='over_optimum', title='over optimum', kind='count'),
    Column(name='mean_history_tokens', title='mean history', kind='count'),
    Column(name='peak_history_tokens', title='peak history', kind='count'),
    Column(name='rewrites', title='rewrites', kind='count'),
    Column(name='invalid_prompts', title='invalid prompts', kind='count'),
)
_TERMS = Terms(tier='standard', batch=False, geo='global', region='global')
_SELLERS = ('anthropic', 'openai', 'google')
_HYSTERESIS_TURNS = 3
# Digests compare messages within one command and are not kept: their key need not be secret.
_KEY = b'simulate'


@click.command('simulate')
@click.option('--traces', required=True, metavar='FILE', help='Sessions, one a line; .gz too.')
@options.tools_option
@click.option('--model', required=True, help='Whose prices; as the provider names it.')
@click.option('--provider', help='Who bills; else the first seller of the model.')
@click.option('--summary-model', help='Makes the summaries; else the model itself.')
@options.at_option
@options.join_option
@click.option(
    '--keep-turns',
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help='Full turns that every policy keeps.',
)
@click.option(
    '--at-tokens',
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help='Input tokens of a prompt from which on `auto` drops anything.',
)
@click.option('--policies', default=','.join(POLICIES), metavar='NAMES', help='Of them only these.')
@options.prices_option
@options.format_option
def simulate(
    traces: str,
    tools: str | None,
    model: str,
    provider: str | None,
    summary_model: str | None,
    at: datetime,
    join: int,
    keep_turns: int,
    at_tokens: int,
    policies: str,
    overlay: str | None,
    form: str,
) -> None:
    """What each policy of context control would have cost on recorded sessions.

    A line is an object with `messages` in OpenAI's chat format. Every answer in it is called for
    again, with the prompt that the policy makes of the messages before it; prefixes are cached as
    long as no byte of them changes. Sessions go on without a pause that a cache would not survive.

    The optimum is the cheapest schedule that hindsight allows, with the same turns kept. Lengths
    are estimates (the output says how they were counted), so costs are no bill; they compare.

    \b
    full           all messages, cached
    full_uncached  all messages, no caching
    window         the newest turns, moved each turn
    hysteresis     the same, moved when three turns have piled up
    auto           the same, moved when it pays
    summary        the same, with a summary of what was dropped
    clear_tools    all messages, old tool results cleared when it pays

    \b
    Examples:
      farthing context simulate --traces sessions.jsonl.gz --model claude-sonnet-4-6
      farthing context simulate --traces sessions.jsonl --model gpt-5-mini --format json
    """  # noqa: D301 - click keeps lines after the character \b, which a raw text has not
    chosen = _chosen(policies)
    book = options.book(overlay)
    seller, tariff = _tariff(book, model, provider, at)
    counter = Counter(seller, model)
    sessions = list(_sessions(traces, tools, join, counter))
    cheap = _tariff(book, summary_model, provider, at)[1] if summary_model else None
    auto = Window(keep_turns=keep_turns, at_tokens=at_tokens)
    runs = _runs(sessions, tariff, cheap, auto, lambda n: cacheable(seller, model, n) != 'no')
    best = runs['optimum']()
    found = {name: best if name == 'optimum' else runs[name]() for name in chosen}
    lines = [_line(name, run, best) for name, run in found.items()]
    said = {
        'model': model,
        'provider': seller,
        'sessions': len(sessions),
        'calls': best.calls,
        'keep_turns': keep_turns,
        'at_tokens': at_tokens,
        'tokens': f'estimated: {counter.method}',
        'assumed': list(tariff.assumed),
    }
    if form == 'json':
        show.as_json({'policies': lines, **said})
    elif form == 'csv':
        show.as_csv(_COLUMNS, lines)
    else:
        notes = [f'{len(sessions)} sessions, {best.calls} calls, {keep_turns} turns kept.']
        notes += [f'Prices of {seller}; tokens are {said["tokens"]}.']
        notes += [f'Assumed: {", ".join(tariff.assumed)}.'] if tariff.assumed else []
        show.as_table(_COLUMNS, lines, notes=notes)


def _chosen(policies: str) -> list[str]:
    names = [name.strip() for name in policies.split(',') if name.strip()]
    if unknown := [name for name in names if name not in POLICIES] or not names:
        raise InputError(f'`--policies` has {unknown!r}: expected some of {", ".join(POLICIES)}')
    return names


def _tariff(book: PriceBook, model: str, provider: str | None, at: datetime) -> tuple[str, Tariff]:
    """Who sells a model, and at which prices."""
    others = sorted({seller for seller, _ in book.models()} - {*_SELLERS})
    reasons = []
    for seller in (provider,) if provider else (*_SELLERS, *others):
        try:
            call = Call(provider=seller, model=model, at=at, terms=_TERMS)
            return seller, Tariff(book, call)
        except ContextError as error:
            reasons.append(str(error))
    raise InputError(reasons[0] if provider else f'no provider sells {model!r}: {reasons[0]}')


def _sessions(traces: str, tools: str | None, join: int, counter: Counter) -> Iterator[Session]:
    count = lru_cache(maxsize=1_000)(counter.tokens)
    tool_tokens = 0 if tools is None else count(json.dumps(document(tools)))
    talks = [_parts(traces, number, row) for number, row in enumerate(rows(traces, 'messages'), 1)]
    if not talks:
        raise InputError(f'{traces!r} holds no session: expected one JSON object a line')
    for first in range(0, len(talks), join):
        parts = list(_joined(talks[first : first + join]))
        yield Session(blocks=blocks(parts, count, key=_KEY), tool_tokens=tool_tokens)


def _parts(traces: str, number: int, row: Mapping[str, Any]) -> list[Part]:
    try:
        return list(chat.parts(row['messages']))
    except InputError as error:
        raise InputError(f'{traces!r} session {number}: {error}') from error


def _joined(talks: Sequence[Sequence[Part]]) -> Iterator[Part]:
    """One session of several; system texts that the first one has are not said again."""
    said = [part for part in talks[0] if part.kind == 'system']
    for number, talk in enumerate(talks):
        yield from (part for part in talk if not number or part not in said)


def _runs(
    sessions: Sequence[Session],
    tariff: Tariff,
    cheap: Tariff | None,
    auto: Window,
    cached: Cacheable,
) -> Mapping[str, Callable[[], Run]]:
    keep = auto.keep_turns

    def under(policy: Policy, cacheable: Cacheable = cached) -> Callable[[], Run]:
        return lambda: sum(
            (replay(one, policy, tariff, cacheable=cacheable) for one in sessions), Run()
        )

    def best() -> Run:
        runs = (optimum(one, tariff, keep_turns=keep, cacheable=cached) for one in sessions)
        return sum(runs, Run())

    rates = None if cheap is None else cheap.rates
    return {
        'full': under(Whole()),
        'full_uncached': under(Whole(), lambda _: False),
        'window': under(Window(keep_turns=keep, every=1)),
        'hysteresis': under(Window(keep_turns=keep, every=_HYSTERESIS_TURNS)),
        'summary': under(PeriodicSummary(keep_turns=keep, rates=rates)),
        'clear_tools': under(ClearToolResults(keep_turns=keep)),
        'auto': under(auto),
        'optimum': best,
    }


def _line(name: str, run: Run, best: Run) -> dict[str, Any]:
    if run.cost < best.cost:
        raise ContextError(
            f'{name!r} costs {usd(run.cost)} USD and the optimum {usd(best.cost)}: the simulation '
            'contradicts itself, please report it'
        )
    return {
        'policy': name,
        'cost_usd': usd(run.cost),
        'over_optimum': round(run.cost / best.cost, 4) if best.cost else None,
        'mean_history_tokens': round(run.history_tokens / run.calls) if run.calls else None,
        'peak_history_tokens': run.peak_history_tokens,
        'rewrites': run.rewrites,
        'invalid_prompts': run.invalid_prompts,
    }
