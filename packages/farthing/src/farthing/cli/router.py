"""`farthing router`: calibrate a router on one's own labelled queries, judge it, watch it."""

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from farthing.cli import FOUND, show
from farthing.cli.labelled import labels as read_labels
from farthing.cli.labelled import queries
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.routing import artefact, wordllama
from farthing.routing.artefact import Artefact
from farthing.routing.calibrating import Aim, calibrate, cross_validated
from farthing.routing.drift import drift
from farthing.routing.evaluating import Evaluation, Row, evaluate, no_router
from farthing.routing.features import Embed

_SALT_BITS = 32
_labels = click.option(
    '--labels', 'file', required=True, metavar='F.csv', help='Labelled queries: a column `prompt`.'
)
_weak = click.option('--weak', required=True, metavar='COL', help="The weak model's scores.")
_strong = click.option('--strong', required=True, metavar='COL', help="The strong model's scores.")
_task = click.option('--task', metavar='COL', help='Task labels: what each query is for.')
_policy = click.option('--policy', required=True, metavar='router.json', help='From `calibrate`.')
_ratio = click.option(
    '--price-ratio',
    type=float,
    default=5.0,
    show_default=True,
    help='How many weak calls a strong one costs.',
)
_format = click.option(
    '--format', 'form', type=click.Choice(['table', 'json']), default='table', show_default=True
)


@click.group('router')
def command() -> None:
    r"""Calibrate a router on your own labelled queries, judge it, watch it.

    Labels are a CSV with a column `prompt` and, for each of two models, a column of scores of its
    answers (0 to 1, or any scale where larger is better); a column of task labels helps most.
    Nothing is sent anywhere, and a router's file holds no text of a query.

    \b
    Examples:
      farthing router calibrate --labels graded.csv --weak haiku --strong opus --task task \
          --target-quality 0.95 --out router.json
      farthing router eval --policy router.json --labels held-out.csv --weak haiku --strong opus \
          --task task --price-ratio 5
      farthing router drift --policy router.json --labels today.csv --task task
    """


@command.command('calibrate')
@_labels
@_weak
@_strong
@_task
@click.option('--target-quality', type=float, help='Share of strong quality to keep. [0.95]')
@click.option('--target-cost', type=float, help="Cost as a share of always-strong's.")
@click.option('--strong-share', type=float, help='Share of queries for the strong model.')
@_ratio
@click.option(
    '--embedding', type=click.Choice([wordllama.NAME]), help='Look at word vectors as well.'
)
@click.option('--out', required=True, metavar='router.json', help='The file to write.')
def calibrate_command(
    file: str,
    weak: str,
    strong: str,
    task: str | None,
    target_quality: float | None,
    target_cost: float | None,
    strong_share: float | None,
    price_ratio: float,
    embedding: str | None,
    out: str,
) -> None:
    """Choose a method by cross-validation, fit it, and set its threshold for one target.

    The methods look at the task label, the words and the shape of a query. The quality that is
    reported is of queries that neither the fit nor the choice has seen. Fewer than 200 labels are
    refused.
    """
    if target_quality is target_cost is strong_share is None:
        target_quality = 0.95
    aim = Aim(
        quality=target_quality,
        cost=target_cost,
        strong_share=strong_share,
        price_ratio=price_ratio,
    )
    given = read_labels(file, weak=weak, strong=strong, task=task)
    embed = wordllama.embedder() if embedding else None
    found = calibrate(given, aim, salt=secrets.randbits(_SALT_BITS), embed=embed)
    Path(out).write_bytes(
        artefact.written(
            found, weak=weak, strong=strong, embedding=embedding, made=datetime.now(UTC)
        )
    )
    verdict = no_router(fmean(given.weak), fmean(given.strong), weak, strong)
    reached = 'unknown' if found.apgr is None else f'{found.apgr:.3f}'
    show.print_out(
        f'{out}: made from {found.labels:,} labels; '
        f'{found.reference.strong_share:.1%} of the queries go to {strong}.',
        f'APGR on unseen queries: {reached} (chance 0.500).',
        *(f'  method: {method.name}' for method in found.methods),
        *([] if verdict is None else [verdict]),
    )


@command.command('eval')
@_policy
@_labels
@_weak
@_strong
@_task
@_ratio
@_format
def eval_command(
    policy: str,
    file: str,
    weak: str,
    strong: str,
    task: str | None,
    price_ratio: float,
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

    In JSON all of them are shares of 1; `ranges` are the middle 95 % of bootstrap draws; what has
    no value is null. The task table is cross-validated on these labels, the oracle is hindsight.
    """
    if price_ratio <= 1:
        raise InputError(f'`--price-ratio` is {price_ratio:g}: expected above 1')
    router = _read(policy)
    given = read_labels(file, weak=weak, strong=strong, task=task)
    embed = _embed(router)
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
    if form == 'json':
        show.as_json({**asdict(found), 'cross_validated': own})
    else:
        _table(found, weak, strong, [_OWN] if own else [])


@command.command('drift')
@_policy
@_labels
@_task
@_format
def drift_command(policy: str, file: str, task: str | None, form: str) -> int:
    """Compare queries of today with those of calibration; exit code 1 when they differ.

    Scores are not needed. An alarm means that the share of strong calls, the scores or the shape
    of the queries has left what was calibrated: label a sample anew.
    """
    router = _read(policy)
    prompts, tasks = queries(file, task=task)
    found = drift(
        router.model, router.threshold, router.reference, prompts, tasks, embed=_embed(router)
    )
    if form == 'json':
        show.as_json(asdict(found))
    else:
        share = 'unknown' if found.strong_share is None else f'{found.strong_share:.1%}'
        show.print_out(
            f'{found.queries:,} queries: {share} to the strong model, '
            f'{found.calibrated_share:.1%} calibrated.',
            *(f'alarm: {alarm}' for alarm in found.alarms or ('none',)),
        )
    return FOUND if found.alarms else 0


def _read(path: str) -> Artefact:
    return artefact.read(Path(path).read_bytes())


def _embed(router: Artefact) -> Embed | None:
    if router.embedding is None:
        return None
    if router.embedding != wordllama.NAME:
        raise InputError(
            f'the router looks at the embedding {router.embedding!r}, the command line has '
            f'{wordllama.NAME}: evaluate it in Python'
        )
    return wordllama.embedder()


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
