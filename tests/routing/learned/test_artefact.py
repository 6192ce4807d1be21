"""A router's file gives back the router, holds no text, and is refused when it is not whole."""

from datetime import UTC, datetime

import orjson
import pytest
from tests.routing.conftest import NOON, router

from farthing.errors import ArtefactError
from farthing.flow import run
from farthing.routing import Query, Trained, artefact

from .conftest import EASY, HARD, made_up

MADE = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope='module')
def content(by_task) -> bytes:
    return artefact.written(by_task, weak='haiku', strong='opus', embedding=None, made=MADE)


def test_what_is_read_scores_as_what_was_written(content, by_task):
    labels = made_up(50, 9, told_by='task')

    found = artefact.read(content)

    before, after = (one.model.scores(labels.prompts, labels.tasks) for one in (by_task, found))
    assert before.tolist() == after.tolist()
    assert (by_task.threshold, 'haiku', 'opus', 400) == (
        found.threshold, found.weak, found.strong, found.labels
    )  # fmt: skip
    assert by_task.reference == found.reference


def test_no_word_of_a_query_is_in_the_file(content):
    text = content.decode()

    assert not [word for word in (*HARD, *EASY) if word in text]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda body: b'{', 'no JSON'),
        (lambda body: b'[]', 'no router'),
        (lambda body: orjson.dumps({**body, 'format': 'x'}), 'no router'),
        (lambda body: orjson.dumps({**body, 'version': 2}), 'has the version 2'),
        (lambda body: orjson.dumps({**body, 'threshold': 0.1}), 'was changed'),
        (lambda body: orjson.dumps({**body, 'checksum': None}), 'was changed'),
    ],
)
def test_a_file_that_is_not_whole_is_refused(content, change, message):
    with pytest.raises(ArtefactError, match=message):
        artefact.read(change(orjson.loads(content)))


@pytest.mark.parametrize(
    ('part', 'value'),
    [
        ('shape', [1.0]),
        ('shape_mean', [1.0]),
        ('rarity', {}),
        ('bags', {'words': [1.0]}),
        ('bags', None),
        ('tasks', 3),
    ],
)
def test_a_file_with_other_features_is_refused_although_its_checksum_is_right(content, part, value):
    body = orjson.loads(content)
    body['model']['bags'] = {'words': [0.0] * 512}
    body['model']['rarity'] = {'words': [0.0] * 512}
    body['model'][part] = value
    del body['checksum']
    body['checksum'] = artefact._checksum(body)

    with pytest.raises(ArtefactError):
        artefact.read(orjson.dumps(body))


def test_the_policy_routes_by_score(content, tmp_path):
    path = tmp_path / 'router.json'
    path.write_bytes(content)
    policy = Trained.load(path, weak='light', strong='heavy')

    easy = policy.choose(Query(text='hello opening hours', task='desk'))
    hard = policy.choose(Query(text='prove the theorem', task='maths'))

    assert ('light', 'heavy') == (easy.route, hard.route)
    assert easy.scores['difficulty'] < easy.threshold < hard.scores['difficulty']
    assert policy.version == artefact.read(content).version


def test_a_task_that_was_never_calibrated_gets_no_opinion(content):
    policy = Trained(router=artefact.read(content), weak='light', strong='heavy')

    assert policy.choose(Query(text='prove it', task='poetry')) is None
    assert 'standard' == run(router(policy).decide(Query(text='prove it'), NOON), None).route


def test_a_missing_file_is_a_typed_error(tmp_path):
    with pytest.raises(ArtefactError, match='cannot be read'):
        Trained.load(tmp_path / 'none.json', weak='light', strong='heavy')
