"""`farthing router eval`: a router judged on labels, or the evidence that the ledger holds."""

from dataclasses import asdict
from math import inf
from typing import Any

import click

from farthing.cli import options, show
from farthing.cli.labelled import labels as read_labels
from farthing.cli.policies import embed_of, router_of
from farthing.cli.router_evidence import evidence
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.routing.calibrating import cross_validated
from farthing.routing.evaluating import Evaluation, Row, evaluate
from farthing.routing.evidence import Bar
from farthing.routing.pair import MARGIN


@click.command('eval')
@click.option('--policy', metavar='router.json', help='From `calibrate`; with --labels.')
@click.option('--labels', 'file', metavar='F.csv', help='Labelled queries: a column `prompt`.')
@click.option('--weak', metavar='COL', help="The weak model's scores.")
@click.option('--strong', metavar='COL', help="The strong model's scores.")
@click.option('--task', metavar='COL', help='Task labels: what each query is for.')
@click.option(
    '--price-ratio',
    type=float,
    default=5.0,
    show_default=True,
    help='How many weak calls a strong one costs.',
)
@click.option('--plot', metavar='out.png', help='Draw quality against cost; needs matplotlib.')
@click.option(
    '--margin',
    type=float,
    default=MARGIN,
    show_default=True,
    help='Without labels: how much worse a route may be.',
)
@click.option(
    '--scale',
    type=(float, float),
    default=(0.0, 1.0),
    show_default=True,
    help='Without labels: the least and the largest score of the grader.',
)
@options.ledger_option
@click.option(
    '--format', 'form', type=click.Choice(['table', 'json']), default='table', show_default=True
)
def command(
    policy: str | None,
    file: str | None,
    weak: str | None,
    strong: str | None,
    task: str | None,
    price_ratio: float,
    plot: str | None,
    margin: float,
    scale: tuple[float, float],
    ledger: str | None,
    form: str,
) -> None:
    r"""Judge a router on labelled queries, best on some that it was not calibrated on.

    On the very file that it was calibrated on it is judged by cross-validation (`cross_validated`
    in JSON); a file that shares only some rows with it is not noticed, and flatters the policy.

    \b
    apgr          mean share of the weak-to-strong gap that is recovered (chance: 0.5)
    cpt50, cpt80  least share of strong calls that recovers 50 and 80 % of the gap
    saving_95     cost saved against always-strong at 95 % of its quality, routing cost left out
    strong_share  share of calls for the strong model at the calibrated threshold

    Without `--labels` it reads the ledger: for each task and route that ran in the shadow, whether
    it is promoted, and which evidence is missing.

    In JSON all of them are shares of 1; `ranges` are the middle 95 % of bootstrap draws; what has
    no value is null. The task table is cross-validated on these labels, the oracle is hindsight.
    """
    if file is None:
        if useless := [one for one in (policy, weak, strong, task, plot) if one is not None]:
            raise InputError(f'{useless[0]!r} is of no use without `--labels`: give these as well')
        evidence(ledger, Bar(margin=margin, scale=scale), form)
        return
    if policy is None or weak is None or strong is None:
        raise InputError('`--labels` needs `--policy`, `--weak` and `--strong` as well')
    if not 1 < price_ratio < inf:
        raise InputError(f'`--price-ratio` is {price_ratio:g}: expected above 1')
    router = router_of(policy)
    given = read_labels(file, weak=weak, strong=strong, task=task)
    embed = embed_of(router)
    own = given.digest == router.digest
    scores = (
        cross_validated(given, salt=router.model.salt, embed=embed)
        if own
        else router.model.scores(given.prompts, given.tasks, embed)
    )
    found = evaluate(
        given,
        scores,
        router.threshold,
        calibrated_share=router.reference.strong_share,
        price_ratio=price_ratio,
        weak=weak,
        strong=strong,
    )
    if plot is not None:
        # Only here, for matplotlib is an extra of its own.
        from farthing.cli.plotting import quality_against_cost  # noqa: PLC0415

        quality_against_cost(plot, found, given, scores, price_ratio)
    if form == 'json':
        show.as_json({**asdict(found), 'cross_validated': own})
    else:
        _table(found, weak, strong, [_OWN] if own else [])


_OWN = (
    'These are the labels that the router was made from: each is scored by routers chosen and '
    'fitted without it.'
)
_COLUMNS = (
    Column(name='router', title='router'),
    Column(name='apgr', title='APGR', kind='count'),
    Column(name='range', title='95 % range', kind='count'),
    Column(name='cpt50', title='CPT50', kind='count'),
    Column(name='cpt80', title='CPT80', kind='count'),
    Column(name='saving_90', title='saved at 90 %', kind='count'),
    Column(name='saving_95', title='at 95 %', kind='count'),
    Column(name='saving_99', title='at 99 %', kind='count'),
    Column(name='strong_share', title='strong share', kind='count'),
)


def _table(found: Evaluation, weak: str, strong: str, notes: list[str]) -> None:
    notes = [
        *notes,
        f'{weak} scores {found.weak:.3f}, {strong} {found.strong:.3f} on {found.labels:,} queries.',
        f'Calibrated strong share: {found.calibrated_share:.1%}.',
    ]
    if found.unscored:
        notes.append(
            f'{found.unscored:,} queries are of tasks that were never calibrated: left out.'
        )
    show.as_table(_COLUMNS, list(map(_shown, found.rows)), notes=[*notes, found.verdict])


def _shown(row: Row) -> dict[str, Any]:
    percents = ('cpt50', 'cpt80', 'saving_90', 'saving_95', 'saving_99', 'strong_share')
    span = row.ranges.get('apgr')
    return {
        'router': row.router,
        'apgr': None if row.apgr is None else f'{row.apgr:.3f}',
        'range': None if span is None else f'{span[0]:.3f} to {span[1]:.3f}',
        **{name: None if (v := getattr(row, name)) is None else f'{v:.1%}' for name in percents},
    }
