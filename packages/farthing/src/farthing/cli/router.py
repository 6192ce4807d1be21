"""`farthing router`: calibrate a router on one's own labelled queries, judge it, watch it."""

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import click

from farthing.cli import FOUND, router_eval, router_replay, router_simulate, show
from farthing.cli.labelled import labels as read_labels
from farthing.cli.labelled import queries
from farthing.cli.policies import embed_of, router_of
from farthing.routing import artefact, wordllama
from farthing.routing.calibrating import Aim, calibrate
from farthing.routing.drift import drift
from farthing.routing.evaluating import no_router

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
    Nothing is sent anywhere, and a router's file holds no text of a query. Evidence of routes that
    run in the shadow is read from the ledger.

    \b
    Examples:
      farthing router calibrate --labels graded.csv --weak haiku --strong opus --task task \
          --target-quality 0.95 --out router.json
      farthing router eval --policy router.json --labels held-out.csv --weak haiku --strong opus \
          --task task --price-ratio 5
      farthing router eval                             evidence by task, and what is missing
      farthing router replay --policy rules.yaml --weak light --strong heavy
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
    router = router_of(policy)
    prompts, tasks = queries(file, task=task)
    found = drift(
        router.model, router.threshold, router.reference, prompts, tasks, embed=embed_of(router)
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


command.add_command(router_eval.command)
command.add_command(router_replay.command)
command.add_command(router_simulate.command)
