"""`farthing router replay`: what another policy would have decided about recorded calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.labelled import labels as read_labels
from farthing.cli.policies import policy_of
from farthing.cli.show import Column
from farthing.entry import Entry
from farthing.errors import InputError
from farthing.ledger import Ledger
from farthing.money import usd
from farthing.prices import Call, PriceBook, Terms
from farthing.routing.pair import Pair
from farthing.routing.query import Query
from farthing.routing.rules import Rules
from farthing.routing.trained import Trained

_COLUMNS = (
    Column(name='decisions', title='decisions'),
    Column(name='calls', title='calls', kind='count'),
    Column(name='strong_calls', title='on strong', kind='count'),
    Column(name='changed', title='changed', kind='count'),
    Column(name='cost_usd', title='cost', kind='money'),
    Column(name='estimated', title='estimated', kind='count'),
    Column(name='unpriced', title='unpriced', kind='count'),
    Column(name='graded', title='graded', kind='count'),
    Column(name='score', title='mean score', kind='count'),
)


@click.command('replay')
@click.option('--policy', 'file', required=True, metavar='FILE', help='router.json or rules.yaml.')
@click.option('--weak', required=True, metavar='NAME', help='The weak route, or its column.')
@click.option('--strong', required=True, metavar='NAME', help='The strong route, or its column.')
@click.option('--labels', metavar='F.csv', help='Prompts with scores, in place of the ledger.')
@click.option('--task', metavar='COL', help='Task labels; with --labels.')
@options.since_option
@options.until_option
@options.where_option
@options.prices_option
@options.ledger_option
@options.format_option
def command(
    file: str,
    weak: str,
    strong: str,
    labels: str | None,
    task: str | None,
    since: datetime | None,
    until: datetime | None,
    where: tuple[str, ...],
    overlay: str | None,
    ledger: str | None,
    form: str,
) -> None:
    r"""What another policy would have decided about recorded calls, what it costs and scores.

    The ledger holds no text: a policy is replayed by tasks and tenants. One that looks at words
    needs `--labels`. Calls that the policy has no opinion on stay where they were.

    A call that would have gone elsewhere is priced by its own counts at the other route's model:
    an estimate, and counted as one; caches are taken as they were. Scores are those of calls that
    two routes answered and one grader scored.

    \b
    Examples:
      farthing router replay --policy rules.yaml --weak light --strong heavy --since 7d
      farthing router replay --policy router.json --weak haiku --strong opus --labels graded.csv
    """
    policy = policy_of(file, weak=weak, strong=strong)
    if labels is not None:
        rows = [_on_labels(policy, labels, weak, strong, task)]
    else:
        if task is not None:
            raise InputError('`--task` is of no use without `--labels`: the ledger has the tasks')
        _check_needs_no_text(policy)
        filters = {**options.conditions(where), 'purpose': 'user'}
        with options.opened(ledger) as books:
            calls = list(_calls(books, weak, strong, since, until, filters))
        if not calls:
            raise InputError(f'no call was served by {weak!r} or {strong!r}: nothing to replay')
        rows = _on_ledger(policy, calls, weak, strong, options.book(overlay))
    if form == 'json':
        show.as_json({'rows': rows})
    elif form == 'csv':
        show.as_csv(_COLUMNS, rows)
    else:
        known = [one for one in _COLUMNS if any(row.get(one.name) is not None for row in rows)]
        show.as_table(known, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """One call that was routed; `cost` is what it costs by now."""

    entry: Entry
    route: str
    cost: int | None
    pair: Pair | None


def _calls(
    books: Ledger,
    weak: str,
    strong: str,
    since: datetime | None,
    until: datetime | None,
    where: Mapping[str, object],
) -> Iterator[_Recorded]:
    pairs = {one.run_id: one for one in books.pairs() if (one.weak, one.strong) == (weak, strong)}
    for route in (weak, strong):
        for booked in books.entries(since=since, until=until, where={**where, 'route': route}):
            entry = booked.entry
            if entry.status == 'ok':
                pair = pairs.get(entry.run_id or '')
                yield _Recorded(entry=entry, route=route, cost=booked.quote.cost, pair=pair)


def _on_ledger(
    policy: Trained | Rules, calls: list[_Recorded], weak: str, strong: str, book: PriceBook
) -> list[dict[str, Any]]:
    """The calls as they were, and as the policy would have them."""
    # Newest first: the latest model of each route is the one that a call would go to.
    models = {one.route: (one.entry.provider, one.entry.model) for one in reversed(calls)}
    recorded, replayed = [], []
    for one in calls:
        who = one.entry.attribution
        choice = policy.choose(Query(text='', task=who.task, tenant=who.tenant))
        route = one.route if choice is None else choice.route
        recorded.append((one, one.route, one.cost, False))
        if route == one.route:
            replayed.append((one, route, one.cost, False))
        else:
            replayed.append((one, route, _elsewhere(one.entry, models.get(route), book), True))
    return [
        _row('recorded', recorded, weak, strong),
        _row(policy.name, replayed, weak, strong),
    ]


def _elsewhere(entry: Entry, model: tuple[str, str] | None, book: PriceBook) -> int | None:
    """What the call's own counts cost at another model; `None` where that is unknown."""
    if model is None or entry.usage is None:
        return None
    terms = Terms(tier=entry.tier, geo=entry.geo, region=entry.region)
    call = Call(provider=model[0], model=model[1], at=entry.time, terms=terms)
    return book.quote(entry.usage, call).cost


def _row(
    name: str, calls: list[tuple[_Recorded, str, int | None, bool]], weak: str, strong: str
) -> dict[str, Any]:
    costs = [cost for _, _, cost, _ in calls if cost is not None]
    scores = [
        score
        for one, route, _, _ in calls
        if one.pair is not None
        and one.pair.gap is not None
        and (score := one.pair.weak_score if route == weak else one.pair.strong_score) is not None
    ]
    return {
        'decisions': name,
        'calls': len(calls),
        'strong_calls': sum(route == strong for _, route, _, _ in calls),
        'changed': sum(moved for *_, moved in calls),
        'cost_usd': usd(sum(costs)) if costs else None,
        'estimated': sum(moved and cost is not None for _, _, cost, moved in calls),
        'unpriced': len(calls) - len(costs),
        'graded': len(scores),
        'score': round(sum(scores) / len(scores), 6) if scores else None,
    }


def _on_labels(
    policy: Trained | Rules, file: str, weak: str, strong: str, task: str | None
) -> dict[str, Any]:
    """What the policy decides about labelled prompts; without an opinion, the strong model."""
    given = read_labels(file, weak=weak, strong=strong, task=task)
    scores, on_strong = [], 0
    for text, label, low, high in zip(
        given.prompts, given.tasks, given.weak, given.strong, strict=True
    ):
        choice = policy.choose(Query(text=text, task=label))
        goes_weak = choice is not None and choice.route == weak
        on_strong += not goes_weak
        scores.append(low if goes_weak else high)
    return {
        'decisions': policy.name,
        'calls': len(scores),
        'strong_calls': on_strong,
        'graded': len(scores),
        'score': round(sum(scores) / len(scores), 6) if scores else None,
    }


def _check_needs_no_text(policy: Trained | Rules) -> None:
    if isinstance(policy, Rules):
        blind = all(rule.judges_no_text for rule in policy.rules)
    else:
        model = policy.router.model
        blind = model.shape is None and not model.bags and model.embedding is None
    if not blind:
        raise InputError(
            'the policy looks at words, and the ledger holds none: give prompts with `--labels`'
        )
