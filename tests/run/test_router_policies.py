"""Policies that learn their routes from the router, and those that cannot be loaded."""

from datetime import UTC, datetime

import pytest
from tests.routing.learned.conftest import made_up
from tests.run.routed import router

from farthing.attribution import current
from farthing.errors import ArtefactError, InputError
from farthing.routing import LLMClassifier, Query, Rules, artefact
from farthing.routing.calibrating import Aim, calibrate
from farthing.run.policies import Embedding, TaskTable, Trained, ready

ROUTES = router().routes


@pytest.fixture(scope='module')
def content() -> bytes:
    found = calibrate(made_up(400, 1), Aim(strong_share=0.5), salt=3)
    made = datetime(2026, 11, 2, tzinfo=UTC)
    return artefact.written(found, weak='standard', strong='heavy', embedding=None, made=made)


@pytest.fixture
def path(tmp_path, content):
    (tmp_path / 'router.json').write_bytes(content)
    return tmp_path / 'router.json'


def test_a_trained_router_takes_the_routes_that_it_was_calibrated_for(path) -> None:
    (found,) = ready(Trained.load(path), ROUTES)

    assert ('standard', 'heavy') == (found.weak, found.strong)


def test_where_they_are_no_routes_it_takes_the_two_weakest_or_those_it_is_given(path) -> None:
    light = {'light': ROUTES['light'], 'other': ROUTES['heavy']}
    (by_place,) = ready(Trained.load(path), light)
    (by_name,) = ready(Trained.load(path, weak='light', strong='heavy'), ROUTES)

    assert ('light', 'other') == (by_place.weak, by_place.strong)
    assert ('light', 'heavy') == (by_name.weak, by_name.strong)
    with pytest.raises(InputError, match="the route 'huge'"):
        ready(Trained.load(path, weak='huge'), ROUTES)


def test_one_that_is_damaged_fails_at_each_call_and_says_so_once(path, caplog) -> None:
    path.write_bytes(path.read_bytes().replace(b'"threshold"', b'"treshold"'))
    (found,) = ready(Trained.load(path), ROUTES)
    (absent,) = ready(Trained.load(path / 'absent'), ROUTES)

    for policy in (found, absent):
        with pytest.raises(ArtefactError):
            policy.choose(Query(text='?'))
    assert 2 == caplog.text.count("the policy 'trained' cannot be used")


def test_a_classifier_is_told_of_all_routes_unless_it_has_choices() -> None:
    (told,) = ready(LLMClassifier(model='any'), ROUTES)
    (given,) = ready(LLMClassifier(choices={'light': 'a', 'heavy': 'b'}), ROUTES)

    assert ([*ROUTES], ['light', 'heavy']) == ([*told.choices], [*given.choices])


def test_a_task_table_of_a_ledger_that_cannot_be_read_fails_at_each_call(tmp_path) -> None:
    (tmp_path / 'broken.db').write_bytes(b'no ledger' * 1_000)
    (found,) = ready(TaskTable.from_ledger(f'sqlite:///{tmp_path}/broken.db'), ROUTES)

    with pytest.raises(OSError, match='ledger'):
        found.choose(Query(text='?'))


def test_embeddings_of_any_framework_are_billed_as_routing() -> None:
    purposes = []

    class Embeddings:
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            purposes.append(current().purpose)
            return [[float('a' in text), float('b' in text)] for text in texts]

    policy = Embedding({'light': ['a'], 'heavy': ['b']}, Embeddings())

    assert 'heavy' == policy.choose(Query(text='b')).route
    assert {'routing'} == {*purposes}
    with pytest.raises(InputError, match='`embed` is int'):
        Embedding({'light': ['a']}, 1)


def test_one_policy_need_not_stand_in_a_list() -> None:
    rules = Rules.of([{'route': 'light', 'keywords': ['a']}])

    assert (rules,) == ready(rules, ROUTES) == ready([rules], ROUTES)
    with pytest.raises(InputError, match='expected policies'):
        ready([rules, 'rules.yaml'], ROUTES)
