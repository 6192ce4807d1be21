"""Routers by nested cross-validation on recorded scores, beside baselines on the same folds.

What is published of RouteLLM stands below: other splits and other labels, so a neighbour, not a
rival in the same race. The questions are of benchmarks: they test machinery and promise no saving.
"""

from random import Random
from statistics import fmean

import numpy as np
from bench.routing_sets import FOLDER, Pair, baselines, near, pairs
from bench.timing import Check, Table

from farthing.routing.calibrating import FOLDS, Aim, calibrate, cross_validated, nested
from farthing.routing.drift import drift
from farthing.routing.evaluating import evaluate
from farthing.routing.labels import Labels
from farthing.routing.measures import Ranking, apgr, cpt, saving
from farthing.routing.methods import candidates
from farthing.routing.training import Seen, folds

_SALT = 7
_SAMPLE = 500
# https://arxiv.org/abs/2406.18665, tables 2 and 3: GPT-4-1106 and Mixtral-8x7B.
_ROUTELLM = (
    ('RouteLLM SW ranking, MMLU', '.603', '35.40', '71.55'),
    ('RouteLLM matrix factorization, MMLU', '.597', '35.46', '71.40'),
    ('RouteLLM BERT, MMLU', '.572', '41.30', '72.20'),
    ('RouteLLM causal LLM 8B, MMLU', '.600', '35.49', '70.31'),
    ('RouteLLM SW ranking, GSM8K', '.568', '41.21', '72.20'),
    ('RouteLLM matrix factorization, GSM8K', '.565', '38.82', '72.62'),
    ('RouteLLM BERT, GSM8K', '.531', '44.76', '79.09'),
    ('RouteLLM causal LLM 8B, GSM8K', '.622', '33.64', '63.26'),
)


def measure(*, quick: bool) -> list[Table]:
    """Quality on every set, then the share that is met, drift, and the verdict."""
    if not FOLDER.is_dir():
        title = 'Routing: left out, the recorded scores (../shared/data/router) are not here'
        return [Table(title=title, columns=('',), rows=[])]
    given = list(pairs())
    seeds = 1 if quick else 10
    tables = [_quality(pair, seeds) for pair in given]
    published = Table(
        title='Published, on other splits and labels (arXiv 2406.18665)',
        columns=('router', 'APGR', 'CPT50', 'CPT80'),
        rows=list(_ROUTELLM),
    )
    return [*tables, published, _kept(given, draws=2 if quick else 10), _verdict()]


def _quality(pair: Pair, seeds: int) -> Table:
    """Mean figures over fold seeds; method and penalties are chosen without the test fold."""
    seen = Seen.of(pair.labels, salt=_SALT)
    methods = candidates(tasks=pair.labels.has_tasks, embedding=False)
    rows = baselines(pair.labels)
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(seeds):
        fold = folds(seen.group, FOLDS, seed)
        scores = {name: np.zeros(len(seen)) for name in rows}
        for number in range(FOLDS):
            test = fold == number
            for name, row in rows.items():
                scores[name][test] = row(~test, test)
        scores = {'random': np.zeros(len(seen)), **scores, 'farthing': nested(seen, methods, fold)}
        scores['oracle'] = seen.strong - seen.weak
        for name, one in scores.items():
            found.setdefault(name, []).append(_figures(Ranking.of(one, seen.weak, seen.strong)))
    means = {name: tuple(map(fmean, zip(*one, strict=True))) for name, one in found.items()}
    best = max((name for name in rows), key=lambda name: means[name][0])
    ahead = 100 * (means['farthing'][0] - means[best][0])
    return Table(
        title=(
            f'{pair.name}: {len(seen):,} queries, weak {seen.weak.mean():.3f}, strong '
            f'{seen.strong.mean():.3f}; means over {seeds} draws of {FOLDS} folds'
        ),
        columns=('router', 'APGR', 'CPT50', 'CPT80', 'saved at 95 %'),
        rows=[
            (name, f'{one[0]:.3f}', *(f'{100 * figure:.1f}' for figure in one[1:]))
            for name, one in means.items()
        ],
        checks=(
            Check(
                what=f'{pair.name}: APGR above the best baseline ({best})',
                value=ahead,
                bound=-1,
                unit='points',
                least=True,
            ),
        ),
    )


def _figures(ranking: Ranking) -> tuple[float, ...]:
    curve = ranking.curve()
    found = apgr(curve), cpt(curve, 0.5), cpt(curve, 0.8), saving(curve, 0.95, 5)
    return tuple(float('nan') if one is None else one for one in found)


def _kept(given: list[Pair], *, draws: int) -> Table:
    """The calibrated share on unseen queries, and drift on samples of 500, by set."""
    rows, checks = [], []
    calm, samples, alarmed, others = 0, 0, 0, 0
    for pair in given:
        off, quiet = [], 0
        for draw in range(draws):
            known, sample = _halves(pair.labels, draw)
            made = calibrate(known, Aim(strong_share=0.3), salt=draw)
            off.append(_share(made, sample) - 0.3)
            quiet += not _alarms(made, sample)
            for other in given:
                if other.name.partition(',')[0] != pair.name.partition(',')[0]:
                    others += 1
                    alarmed += bool(_alarms(made, _halves(other.labels, draw)[1]))
        calm, samples = calm + quiet, samples + draws
        rows.append((pair.name, f'{100 * fmean(off):+.1f}', f'{quiet}/{draws}'))
        checks.append(
            Check(
                what=f'{pair.name}: strong share off on unseen queries, mean of {draws} draws',
                value=100 * abs(fmean(off)),
                bound=3,
                unit='points',
            )
        )
    checks.append(
        Check(
            what='drift silent on the same kind', value=100 * calm / samples, bound=95, unit='%',
            least=True,
        )
    )  # fmt: skip
    checks.append(
        Check(
            what='drift alarms on the other sets', value=100 * alarmed / others, bound=100,
            unit='%', least=True,
        )
    )  # fmt: skip
    return Table(
        title=f'30 % strong calls calibrated, then {_SAMPLE} unseen queries, {draws} times',
        columns=('set', 'points off', 'drift silent'),
        rows=rows,
        checks=tuple(checks),
    )


def _halves(labels: Labels, draw: int) -> tuple[Labels, Labels]:
    """Queries to calibrate on, at most half of them, and 500 others."""
    order = Random(draw).sample(range(len(labels)), len(labels))
    return labels.take(order[_SAMPLE : _SAMPLE + len(labels) // 2]), labels.take(order[:_SAMPLE])


def _share(made, labels: Labels) -> float:
    return float((made.model.scores(labels.prompts, labels.tasks) > made.threshold).mean())


def _alarms(made, labels: Labels) -> tuple[str, ...]:
    return drift(made.model, made.threshold, made.reference, labels.prompts, labels.tasks).alarms


def _verdict() -> Table:
    pair = near()
    made = calibrate(pair.labels, Aim(strong_share=0.3), salt=_SALT)
    found = evaluate(
        pair.labels,
        cross_validated(pair.labels, salt=_SALT),
        made.threshold,
        calibrated_share=made.reference.strong_share,
        price_ratio=5,
        weak=pair.weak,
        strong=pair.strong,
    )
    right = found.verdict.startswith(f'no router: use {pair.weak}')
    return Table(
        title='Two models within about two points: BFCL, GPT-4o mini and GPT-4o',
        columns=('verdict',),
        rows=[(found.verdict,)],
        checks=(Check(what='says no router', value=float(right), bound=1, least=True),),
    )
