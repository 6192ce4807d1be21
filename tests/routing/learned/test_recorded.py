"""Recorded scores of real models, where their folder stands beside the repository.

One draw of folds on one small set: the whole table is `uv run nox -s bench -- routing`.
"""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from farthing.routing.calibrating import Aim, calibrate, nested
from farthing.routing.drift import drift
from farthing.routing.evaluating import evaluate
from farthing.routing.labels import Labels
from farthing.routing.measures import Ranking, apgr
from farthing.routing.methods import TASK_TABLE, candidates
from farthing.routing.training import Seen, folds, out_of_fold

HAIKU, SONNET = 'claude-3-haiku-20240307-FC', 'claude-3-5-sonnet-20240620-FC'
MINI, GPT_4O = 'gpt-4o-mini-2024-07-18-FC', 'gpt-4o-2024-08-06-FC'


@pytest.fixture(scope='module')
def rows(shared: Path) -> list[dict[str, str]]:
    """BFCL: tool calls of ten categories, 889 queries."""
    path = shared / 'data' / 'router' / 'bfcl.csv.gz'
    if not path.is_file():
        pytest.skip(f'no recorded scores at {path}')
    with gzip.open(path, 'rt', encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def labels(rows: list[dict[str, str]], weak: str, strong: str) -> Labels:
    return Labels(
        prompts=tuple(row['prompt'] for row in rows),
        tasks=tuple(row['subset'] for row in rows),
        weak=tuple(float(row[f'score:{weak}']) for row in rows),
        strong=tuple(float(row[f'score:{strong}']) for row in rows),
    )


def test_label_and_text_do_better_than_the_label_alone(rows):
    seen = Seen.of(labels(rows, HAIKU, SONNET), salt=7)
    fold = folds(seen.group, 5, 0)

    ours = nested(seen, candidates(tasks=True, embedding=False), fold)
    table = out_of_fold(seen, [TASK_TABLE], fold)[:, 0]

    found, baseline = (
        apgr(Ranking.of(scores, seen.weak, seen.strong).curve()) for scores in (ours, table)
    )
    # The published figures of this set: .809 by the label alone, .858 with text.
    assert 0.848 - 0.02 < found
    assert baseline < found


def test_share_and_drift_on_unseen_queries(rows):
    order = np.random.default_rng(4).permutation(len(rows)).tolist()
    known, fresh = ([rows[at] for at in part] for part in (order[500:], order[:500]))
    sample = labels(fresh, HAIKU, SONNET)

    made = calibrate(labels(known, HAIKU, SONNET), Aim(strong_share=0.3), salt=7)
    scores = made.model.scores(sample.prompts, sample.tasks)
    watched = drift(made.model, made.threshold, made.reference, sample.prompts, sample.tasks)

    # 389 and 500 queries: two standard errors of their difference are six points.
    assert 0.3 == pytest.approx((scores > made.threshold).mean(), abs=0.06)
    assert () == watched.alarms


def test_two_models_about_two_points_apart_need_no_router(rows):
    near = labels(rows, MINI, GPT_4O)

    told = evaluate(
        near, np.zeros(len(near)), 0.0, calibrated_share=0.3, price_ratio=5, weak=MINI,
        strong=GPT_4O,
    )  # fmt: skip

    assert f'no router: use {MINI} (it scores 0.836, {GPT_4O} 0.861)' == told.verdict
