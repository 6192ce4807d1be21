"""Made-up labels: proofs, which the weak model mostly fails, and greetings, which it does not."""

from random import Random

import pytest

from farthing.routing.calibrating import Aim, Calibrated, calibrate
from farthing.routing.labels import Labels

HARD = ('prove', 'theorem', 'integral', 'lemma', 'derive', 'converges')
EASY = ('thanks', 'hello', 'where', 'opening', 'hours', 'address')
FILLER = ('please', 'the', 'a', 'of', 'about', 'tell', 'me', 'now', 'for', 'this')


def made_up(count: int, seed: int, *, told_by: str = 'words', gap: float = 0.7) -> Labels:
    """`count` queries; the weak model fails `gap` of the hard half, the strong one a tenth.

    Which half a query is of is told by its words, and then it has no task, or by its task alone.
    """
    chance = Random(seed)  # noqa: S311 - made-up labels
    prompts, labels, weak, strong = [], [], [], []
    for number in range(count):
        hard = chance.random() < 0.5
        kind = HARD + EASY if told_by == 'task' else HARD if hard else EASY
        words = chance.choices(kind, k=3) + chance.choices(FILLER, k=6)
        chance.shuffle(words)
        prompts.append(f'{" ".join(words)} {number}')
        labels.append(('maths' if hard else 'desk') if told_by == 'task' else None)
        weak.append(float(chance.random() > (gap if hard else 0.1)))
        strong.append(float(chance.random() > 0.1))
    return Labels(
        prompts=tuple(prompts), tasks=tuple(labels), weak=tuple(weak), strong=tuple(strong)
    )


@pytest.fixture(scope='session')
def calibrated() -> Calibrated:
    """Half of the queries go to the strong model; no task labels."""
    return calibrate(made_up(400, 1), Aim(strong_share=0.5), salt=3)


@pytest.fixture(scope='session')
def by_task() -> Calibrated:
    """The same where only the task tells."""
    return calibrate(made_up(400, 1, told_by='task'), Aim(strong_share=0.5), salt=3)
