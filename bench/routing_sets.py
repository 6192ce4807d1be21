"""Recorded scores of pairs of models, and the baseline rows that a router must not fall below.

The settings of the baselines are fixed beforehand and never tuned here. Those that look at word
vectors need WordLlama (the extra `farthing[wordllama]`) and are left out without it.
"""

import csv
import gzip
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farthing.errors import InputError
from farthing.routing.features import shapes
from farthing.routing.labels import Labels
from farthing.routing.wordllama import embedder

FOLDER = Path(__file__).parent.parent.parent / 'shared' / 'data' / 'router'
_KEYWORDS = ('prove', 'derive', 'calculate', 'algorithm', 'code', 'why', 'analyze', 'explain')
_CLAUDE = 'claude-3-haiku-20240307-FC', 'claude-3-5-sonnet-20240620-FC'
_MINI = 'gpt-4o-mini-2024-07-18-FC', 'gpt-4o-2024-08-06-FC'


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Labels of one set for one pair of models; `told` says whether the task labels are used."""

    name: str
    labels: Labels
    weak: str
    strong: str


def pairs() -> Iterator[Pair]:
    """Every set; MMLU and BFCL also without their task labels."""
    routellm = [row for row in _rows('routellm') if row['contaminated'] != 'True']
    scores = 'score_weak', 'score_strong'
    for name in ('mmlu', 'gsm8k'):
        rows = [row for row in routellm if row['dataset'] == f'routellm_{name}']
        if name == 'mmlu':
            yield _pair('MMLU, subject as task', rows, *scores, task='subset')
        yield _pair('MMLU, text alone' if name == 'mmlu' else 'GSM8K', rows, *scores)
    qwen, nemotron = 'score:qwen2.5-7b-instruct', 'score:llama-3.3-nemotron-super-49b-v1'
    yield _pair('llmrouter9', _rows('llmrouter9'), qwen, nemotron)
    haiku, sonnet = 'score:claude-3-5-haiku-20241022', 'score:claude-3-5-sonnet-20241022'
    yield _pair('CRUX', _rows('zeroeval_crux'), haiku, sonnet)
    bfcl = _rows('bfcl')
    weak, strong = (f'score:{model}' for model in _CLAUDE)
    yield _pair('BFCL, category as task', bfcl, weak, strong, task='subset')
    yield _pair('BFCL, text alone', bfcl, weak, strong)


def near() -> Pair:
    """Two models within about two points of each other: GPT-4o mini and GPT-4o on tool calls."""
    return _pair('BFCL', _rows('bfcl'), *(f'score:{model}' for model in _MINI), task='subset')


def _rows(name: str) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with gzip.open(FOLDER / f'{name}.csv.gz', 'rt', encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def _pair(
    name: str, rows: list[dict[str, str]], weak: str, strong: str, task: str | None = None
) -> Pair:
    scored = [row for row in rows if row[weak] and row[strong]]
    return Pair(
        name=name,
        labels=Labels(
            prompts=tuple(row['prompt'] for row in scored),
            tasks=tuple(row[task] if task else None for row in scored),
            weak=tuple(float(row[weak]) for row in scored),
            strong=tuple(float(row[strong]) for row in scored),
        ),
        weak=weak.removeprefix('score:'),
        strong=strong.removeprefix('score:'),
    )


Scores = np.ndarray
Baseline = Callable[[Scores, Scores], Scores]
"""Scores for the rows of the second mask, from the rows of the first."""


def baselines(labels: Labels) -> dict[str, Baseline]:
    """The baseline rows that these labels, and what is installed, allow."""
    weak, gap = np.array(labels.weak), np.array(labels.strong) - np.array(labels.weak)
    length = np.array([len(text) for text in labels.prompts], dtype=float)
    words = np.array([sum(word in text.lower() for word in _KEYWORDS) for text in labels.prompts])
    hand = shapes(labels.prompts)
    found: dict[str, Baseline] = {
        'longer prompt': lambda _, test: length[test],
        'keyword count': lambda _, test: words[test].astype(float),
        'hand features': lambda train, test: _ridge(_standard(hand, train), gap, train, test),
    }
    if labels.has_tasks:
        table = np.array(
            [[one == task for task in sorted({*labels.tasks})] for one in labels.tasks]
        )
        found['task label only'] = lambda train, test: _table(table, gap, train, test)
    try:
        vectors = np.asarray(embedder()(labels.prompts), dtype=float)
    except InputError:
        return found

    def both(train: Scores) -> Scores:
        return np.hstack((vectors * 8, _standard(hand, train)))

    found['kNN on the gap'] = lambda train, test: _nearest(vectors, gap, train, test)
    found['logistic, weak fails'] = lambda train, test: _logistic(
        both(train), weak < 0.5, train, test
    )
    found['ridge on the gap'] = lambda train, test: _ridge(both(train), gap, train, test)
    if labels.has_tasks:
        found['label + text, ridge'] = lambda train, test: _ridge(
            np.hstack((both(train), table * 40.0)), gap, train, test
        )
    return found


def _standard(columns: Scores, train: Scores) -> Scores:
    spread = columns[train].std(axis=0)
    return (columns - columns[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _ridge(columns: Scores, target: Scores, train: Scores, test: Scores) -> Scores:
    middle = columns[train].mean(axis=0)
    known = columns[train] - middle
    inner = known.T @ known + 200.0 * np.eye(columns.shape[1])
    weights = np.linalg.solve(inner, known.T @ (target[train] - target[train].mean()))
    return (columns[test] - middle) @ weights


def _logistic(columns: Scores, label: Scores, train: Scores, test: Scores) -> Scores:
    """L2 at C = 0.05, the constant free, by Newton's method."""
    known = np.hstack((np.ones((train.sum(), 1)), columns[train]))
    penalty = np.full(known.shape[1], 1 / 0.05)
    penalty[0] = 0.0
    weights = np.zeros(known.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-known @ weights))
        slope = known.T @ (chance - label[train]) + penalty * weights
        bend = (known * (chance * (1 - chance))[:, None]).T @ known + np.diag(penalty + 1e-9)
        weights -= np.linalg.solve(bend, slope)
    return columns[test] @ weights[1:]


def _nearest(vectors: Scores, target: Scores, train: Scores, test: Scores) -> Scores:
    """The mean of the 40 nearest, weighted by softmax at 0.05."""
    likeness = vectors[test] @ vectors[train].T
    where = np.argpartition(-likeness, 40, axis=1)[:, :40]
    near = np.take_along_axis(likeness, where, axis=1)
    weights = np.exp((near - near.max(axis=1, keepdims=True)) / 0.05)
    return (weights * target[train][where]).sum(axis=1) / weights.sum(axis=1)


def _table(table: Scores, target: Scores, train: Scores, test: Scores) -> Scores:
    """Each task's mean, drawn to the mean of all by ten labels."""
    known = table[train]
    mean = target[train].mean()
    gaps = (known.T @ target[train] + 10 * mean) / (known.sum(axis=0) + 10)
    return table[test] @ gaps
