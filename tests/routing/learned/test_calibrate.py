"""Calibration finds what can be learned, promises no more, and meets its target."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InputError
from farthing.routing.calibrating import Aim, calibrate, threshold
from farthing.routing.labels import Labels
from farthing.routing.linear import Moments
from farthing.routing.measures import Ranking, apgr
from farthing.routing.methods import TASK_TABLE, candidates
from farthing.routing.training import Seen, folds, out_of_fold

from .conftest import made_up

HELD_OUT = made_up(400, 2)
HELD_OUT_TASKS = made_up(400, 2, told_by='task')


def share_above(found, labels: Labels) -> float:
    return float((found.model.scores(labels.prompts, labels.tasks) > found.threshold).mean())


def reached(found, labels: Labels) -> float:
    scores = found.model.scores(labels.prompts, labels.tasks)
    return apgr(Ranking.of(scores, np.array(labels.weak), np.array(labels.strong)).curve())


def test_words_tell_hard_queries_from_easy_ones(calibrated):
    assert 0.7 < reached(calibrated, HELD_OUT)
    assert reached(calibrated, HELD_OUT) == pytest.approx(calibrated.apgr, abs=0.06)


def test_task_labels_do_as_well(by_task):
    assert 0.7 < reached(by_task, HELD_OUT_TASKS)
    assert all('task' in method.blocks for method in by_task.methods)


def test_the_calibrated_share_is_met_on_unseen_queries(calibrated, by_task):
    # 400 queries: two standard errors are five points.
    assert 0.5 == pytest.approx(share_above(calibrated, HELD_OUT), abs=0.05)
    assert 0.5 == pytest.approx(share_above(by_task, HELD_OUT_TASKS), abs=0.05)


def test_labels_of_pure_chance_promise_nothing():
    chance = Random(6)  # noqa: S311 - made-up labels
    by_chance = Labels(
        prompts=HELD_OUT.prompts,
        tasks=HELD_OUT.tasks,
        weak=tuple(float(chance.random() < 0.5) for _ in HELD_OUT.prompts),
        strong=tuple(float(chance.random() < 0.8) for _ in HELD_OUT.prompts),
    )

    found = calibrate(by_chance, Aim(strong_share=0.5), salt=1)

    assert 0.5 == pytest.approx(found.apgr, abs=0.12)


def test_too_few_labels_are_refused_with_the_number():
    with pytest.raises(InputError, match='199 labels are too few: expected at least 200'):
        calibrate(made_up(199, 1), Aim(strong_share=0.5), salt=1)


@pytest.mark.parametrize(
    ('aim', 'message'),
    [
        ({}, 'exactly one aim'),
        ({'quality': 0.9, 'cost': 0.5}, 'exactly one aim'),
        ({'quality': 1.1}, 'expected a share of 0 to 1'),
        ({'cost': 0.5, 'price_ratio': 1}, 'expected above 1'),
    ],
)
def test_an_aim_that_cannot_be_taken_says_why(aim, message):
    with pytest.raises(InputError, match=message):
        Aim(**aim)


def test_each_aim_becomes_the_share_that_meets_it():
    # Strong alone 1, weak alone .5, hindsight: 90 % of the quality at 40 % of the calls.
    weak, strong = np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4)
    curve = Ranking.of(strong - weak, weak, strong).curve()

    assert 0.4 == pytest.approx(Aim(quality=0.9).share(curve))
    # A cost of .52 at a ratio of 5 is 40 % strong calls: .4 + .6 / 5.
    assert 0.4 == pytest.approx(Aim(cost=0.52).share(curve))
    assert 0.3 == Aim(strong_share=0.3).share(curve)


def test_a_cost_below_always_weak_is_refused():
    weak, strong = np.zeros(4), np.ones(4)

    with pytest.raises(InputError, match=r'0\.1 is below always-weak, which is 0\.2'):
        Aim(cost=0.1).share(Ranking.of(strong, weak, strong).curve())


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_none_and_all_mean_none_and_all(share, calibrated):
    scores = calibrated.model.scores(HELD_OUT.prompts, HELD_OUT.tasks)

    assert share == (scores > threshold(scores, share)).mean()


def test_the_same_labels_and_salt_give_the_same_router(calibrated):
    again = calibrate(made_up(400, 1), Aim(strong_share=0.5), salt=3)

    assert calibrated.threshold == again.threshold
    assert calibrated.methods == again.methods


@given(
    groups=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    number=st.integers(2, 6),
    seed=st.integers(0, 9),
)
def test_rows_of_one_group_share_their_fold(groups, number, seed):
    found = folds(np.array(groups), number, seed)

    assert len({*groups}) == len({*zip(groups, found.tolist(), strict=True)})


def test_the_task_block_is_the_shrunk_mean_of_each_task():
    # Tasks a (30 queries, gap 1) and b (10 queries, gap 0); each is drawn to the common constant
    # by ten pseudo labels. By hand, c minimises 30 (1-c-a)^2 + 10 (c+b)^2 + 10 a^2 + 10 b^2:
    # a = 30 (1-c) / 40, b = -10 c / 20, and 30 a + 10 b = 30 - 40 c, so c = 0.6.
    labels = Labels(
        prompts=tuple(map(str, range(40))),
        tasks=('a',) * 30 + ('b',) * 10,
        weak=(0.0,) * 40,
        strong=(1.0,) * 30 + (0.0,) * 10,
    )
    seen = Seen.of(labels, salt=0)
    columns = np.hstack((np.ones((40, 1)), np.eye(2)[seen.task]))

    found = Moments.of(columns, seen.targets).solve([(slice(1, 3), 10.0)])[:, 0]

    assert (0.6, 0.3, -0.3) == pytest.approx(tuple(found))


def test_a_query_is_scored_without_its_own_fold():
    labels = made_up(60, 4, told_by='task')
    seen = Seen.of(labels, salt=0)
    fold = folds(seen.group, 5, 0)
    changed = Seen.of(
        Labels(
            prompts=labels.prompts,
            tasks=labels.tasks,
            weak=tuple(9.0 if at == 0 else one for at, one in zip(fold, labels.weak, strict=True)),
            strong=labels.strong,
        ),
        salt=0,
    )

    before, after = (out_of_fold(one, [TASK_TABLE], fold)[:, 0] for one in (seen, changed))

    assert np.array_equal(before[fold == 0], after[fold == 0])
    assert not np.array_equal(before[fold != 0], after[fold != 0])


def test_methods_look_only_at_what_is_given():
    alone = candidates(tasks=False, embedding=False)
    everything = candidates(tasks=True, embedding=True)

    assert {'shape', 'words', 'stems'} == set().union(*(method.blocks for method in alone))
    assert {'task', 'embedding'} <= set().union(*(method.blocks for method in everything))
    assert len(everything) == len({method.name for method in everything})


def test_an_embedding_is_looked_at_where_it_helps():
    def embed(texts):
        return [[1.0, float('theorem' in text or 'prove' in text)] for text in texts]

    labels = made_up(240, 3)

    found = calibrate(labels, Aim(strong_share=0.5), salt=1, embed=embed)

    assert 0.6 < found.apgr
