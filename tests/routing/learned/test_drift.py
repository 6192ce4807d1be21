"""Drift is silent on queries of the same kind and alarms on others."""

import pytest

from farthing.errors import InputError
from farthing.routing.drift import drift

from .conftest import made_up


def watched(calibrated, texts, tasks=None):
    return drift(
        calibrated.model,
        calibrated.threshold,
        calibrated.reference,
        texts,
        tasks or [None] * len(texts),
    )


def test_queries_of_the_same_kind_are_calm(calibrated):
    samples = [made_up(500, seed) for seed in range(10, 30)]

    alarms = [watched(calibrated, sample.prompts).alarms for sample in samples]

    assert 19 <= alarms.count(())


def test_more_hard_queries_raise_the_strong_share(calibrated):
    texts = [text for text in made_up(1_500, 8).prompts if any(w in text for w in ('prove', 'lem'))]

    found = watched(calibrated, texts)

    assert found.strong_share > 0.8
    assert any('go to the strong model' in alarm for alarm in found.alarms)


def test_other_shapes_alarm_though_scores_may_not(calibrated):
    found = watched(calibrated, ['hello\n' * 50] * 200)

    assert 'lines is spread otherwise' in found.alarms


def test_tasks_that_were_never_calibrated_alarm(by_task):
    labels = made_up(200, 8, told_by='task')

    found = watched(by_task, labels.prompts, ['poetry'] * 200)

    assert (1.0, None) == (found.unknown_tasks, found.strong_share)
    assert any('never calibrated' in alarm for alarm in found.alarms)


def test_a_small_sample_is_refused(calibrated):
    with pytest.raises(InputError, match='99 queries are too few'):
        watched(calibrated, ['hello'] * 99)
