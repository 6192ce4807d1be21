"""Rules, task tables, classifiers, cascades and examples, each alone."""

from pathlib import Path

import pytest

from farthing.errors import InputError, RoutingError
from farthing.flow import run
from farthing.routing import (
    Attempt,
    Cascade,
    Draft,
    Judge,
    LLMClassifier,
    Measured,
    Query,
    Question,
    Rule,
    Rules,
    Session,
    TaskTable,
)
from farthing.routing.cascade import complete, is_json, pays, tool_arguments

from .conftest import NOON, route, router

CHOICES = {'light': 'greetings and look-ups', 'heavy': 'proofs and code'}
ASK = LLMClassifier(choices=CHOICES)


@pytest.mark.parametrize(
    ('rule', 'text', 'matches'),
    [
        ({'keywords': ['prove']}, 'Please PROVE it', True),
        ({'keywords': ['prove']}, 'Please improve it', False),
        ({'keywords': ['c++', 'go to']}, 'Why C++?', True),
        ({'regex': r'\d{4}'}, 'in 2026', True),
        ({'regex': r'\d{4}'}, 'in 26', False),
        ({'longer_than': 5}, '123456', True),
        ({'longer_than': 5}, '12345', False),
        ({'shorter_than': 5}, '1234', True),
        ({'shorter_than': 5}, '12345', False),
        ({'keywords': ['a'], 'longer_than': 5}, 'a', False),
    ],
)
def test_a_rule_matches_when_all_that_it_states_holds(rule, text, matches):
    found = Rules.of([{'route': 'heavy', **rule}]).choose(Query(text=text))

    assert matches == (found is not None)


def test_rules_know_task_and_tenant():
    rules = Rules.of(
        [
            {'route': 'heavy', 'tenants': 'acme', 'tasks': ['audit', 'tax']},
            {'route': 'light', 'tasks': ['audit', 'tax']},
        ]
    )

    routes = [
        rules.choose(Query(text='x', task=task, tenant=tenant))
        for task, tenant in [('tax', 'acme'), ('tax', 'globex'), ('chat', 'acme'), (None, None)]
    ]

    assert ['heavy', 'light', None, None] == [one and one.route for one in routes]


def test_rules_are_read_from_yaml(tmp_path: Path):
    path = tmp_path / 'rules.yaml'
    path.write_text('- {route: light, keywords: [thanks]}\n- {route: heavy, regex: "prove|derive"}')

    found = Rules.from_yaml(path)

    assert found.rules == (
        Rule(route='light', keywords=('thanks',)), Rule(route='heavy', regex='prove|derive')
    )  # fmt: skip
    assert 'heavy' == found.choose(Query(text='derive it')).route


def test_the_version_changes_with_the_rules():
    one, two = ({'route': name, 'keywords': ['x']} for name in ('light', 'heavy'))

    assert Rules.of([one]).version == Rules.of([one]).version
    assert 3 == len({Rules.of(rows).version for rows in ([one], [two], [one, two])})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{route: light}', 'no list of mappings'),
        ('- light', 'no list of mappings'),
        ('- {route: light}', 'states nothing'),
        ('- {route: light, keyword: x}', "has ['keyword']"),
        ('- {keywords: [x]}', 'the route None'),
        ('- {route: light, keywords: 3}', '`keywords` is 3'),
        ('- {route: light, longer_than: "3"}', "`longer_than` is '3'"),
        ('- {route: light, regex: "("}', 'is no pattern'),
        ('- {route: light, regex: 3}', '`regex` is 3'),
        ('- [', 'cannot be read'),
    ],
)
def test_rules_that_cannot_be_taken_say_why(tmp_path: Path, text, message):
    path = tmp_path / 'rules.yaml'
    path.write_text(text)

    with pytest.raises(InputError, match=message.replace('[', r'\[').replace('(', r'\(')):
        Rules.from_yaml(path)


def test_a_missing_rules_file_is_a_typed_error(tmp_path: Path):
    with pytest.raises(InputError, match='cannot be read'):
        Rules.from_yaml(tmp_path / 'none.yaml')


def table(**changes) -> TaskTable:
    fields = {
        'measured': {
            'proof': Measured(labels=90, gap=0.4),
            'chat': Measured(labels=90, gap=0.0),
            'rare': Measured(labels=2, gap=1.0),
        },
        'weak': 'light',
        'strong': 'heavy',
        'margin': 0.05,
    }
    return TaskTable(**(fields | changes))


def test_a_task_goes_where_its_measured_gap_says():
    # The mean gap is (36 + 0 + 2) / 182; ten labels at it: chat 2.088 / 100 = 0.0209.
    proof, chat = (table().choose(Query(text='x', task=task)) for task in ('proof', 'chat'))

    assert ('heavy', 'light') == (proof.route, chat.route)
    assert pytest.approx(38 / 182 * 10 / 100) == chat.scores['gap']


@pytest.mark.parametrize('task', ['rare', 'poetry', None])
def test_a_task_without_enough_labels_gets_no_opinion(task):
    assert table().choose(Query(text='x', task=task)) is None


def test_few_labels_are_drawn_to_the_mean():
    # 20 labels at .4 beside 80 at 0: mean .08, so (8 + .8) / 30 = .293 instead of .4.
    measured = {'proof': Measured(labels=20, gap=0.4), 'chat': Measured(labels=80, gap=0.0)}

    found = table(measured=measured).choose(Query(text='x', task='proof'))

    assert 0.2933 == pytest.approx(found.scores['gap'], abs=1e-4)


def test_an_empty_table_has_no_opinion():
    assert table(measured={}).choose(Query(text='x', task='proof')) is None


def test_a_task_without_labels_is_refused():
    with pytest.raises(InputError, match='1 tasks has 0 labels'):
        table(measured={'proof': Measured(labels=0, gap=0.0)})


@pytest.mark.parametrize('reply', ['heavy', ' Heavy.\n', '**heavy**'])
def test_the_classifier_takes_the_route_that_is_named(reply):
    assert 'heavy' == run(ASK.choosing(Query(text='x')), lambda _: reply).route


@pytest.mark.parametrize('reply', ['', 'medium', 'light or heavy', 'I cannot say', Draft(text='')])
def test_a_classifier_that_answers_nonsense_means_the_default_route(reply):
    found = run(router(ASK).decide(Query(text='x'), NOON), lambda _: reply)

    assert ('standard', 'llm_classifier: RoutingError') == (found.route, found.failed)


def test_the_classifier_shows_both_ends_of_a_long_text_and_keys_the_user_turn():
    asked: list[Question] = []

    def ask(question):
        asked.append(question)
        return 'light'

    text = 'start' + 'x' * 10_000 + 'end'
    query = Query(text=text, session=Session(id='s', route='light', prefix_tokens=0))
    run(ASK.choosing(query), ask)
    run(ASK.choosing(query), ask)
    run(ASK.choosing(Query(text=text)), ask)

    assert 'start' in asked[0].prompt
    assert 'end\n>>>' in asked[0].prompt
    assert len(asked[0].prompt) < 5_000
    assert asked[0].key == asked[1].key
    assert asked[2].key is None


def test_one_choice_is_none():
    with pytest.raises(RoutingError, match='give two'):
        LLMClassifier(choices={'light': 'all'})


def cascade(*checks, judge=None) -> Cascade:
    return Cascade(weak='light', strong='heavy', checks=checks, judge=judge, version='1')


def cascaded(policy: Cascade, draft: Draft, judged: str = 'yes'):
    asked = []

    def ask(question):
        asked.append(question)
        return draft if isinstance(question, Attempt) else judged

    return run(policy.choosing(Query(text='x')), ask), asked


GOOD = Draft(text='{"a": 1}', answer='the framework answer')


def test_an_accepted_draft_is_the_answer():
    found, asked = cascaded(cascade(complete, is_json), GOOD)

    assert ('light', GOOD) == (found.route, found.draft)
    assert [Attempt(route='light')] == asked


@pytest.mark.parametrize(
    ('draft', 'reason'),
    [
        (Draft(text='{', complete=False), 'it was cut off'),
        (Draft(text=' '), 'it is empty'),
        (Draft(text='{'), 'it is no JSON'),
    ],
)
def test_a_refused_draft_goes_to_the_strong_route(draft, reason):
    found, _ = cascaded(cascade(complete, is_json), draft)

    assert ('heavy', None) == (found.route, found.draft)
    assert f'draft refused: {reason}' == found.reason


@pytest.mark.parametrize(
    ('calls', 'reason'),
    [
        ((('find', {'q': 'x'}),), None),
        ((('look', {}),), 'it calls an unknown tool'),
        ((('find', None),), 'its tool arguments are no JSON'),
        ((('find', {}),), 'its tool arguments do not fit'),
        ((('find', {'q': 'x', 'z': 1}),), 'its tool arguments do not fit'),
    ],
)
def test_tool_calls_are_checked_against_their_schemas(calls, reason):
    schema = {'properties': {'q': {}}, 'required': ['q'], 'additionalProperties': False}
    check = tool_arguments({'find': schema})

    assert reason == check(Query(text='x'), Draft(text='', tool_calls=calls))


@pytest.mark.parametrize(('judged', 'route'), [('Yes.', 'light'), ('no', 'heavy')])
def test_a_judge_is_asked_last(judged, route):
    policy = cascade(complete, judge=Judge(instruction='It must be polite.'))

    found, asked = cascaded(policy, GOOD, judged)

    assert route == found.route
    assert [Attempt, Question] == [type(one) for one in asked]


def test_a_judge_that_answers_neither_is_a_failure():
    with pytest.raises(RoutingError, match='neither yes nor no'):
        cascaded(cascade(judge=Judge(instruction='x')), GOOD, 'perhaps')


def test_a_cascade_drafts_on_no_route_that_cannot_serve(nobody_asks):
    policy = cascade(complete)
    guarded = router(policy, light=route('light', context_tokens=10))

    found = run(guarded.decide(Query(text='x', input_tokens=11), NOON), nobody_asks)

    assert 'heavy' == found.route


def test_a_cascade_without_a_check_is_refused():
    with pytest.raises(RoutingError, match='accepts every draft'):
        cascade()


def test_a_cascade_pays_below_the_share_of_refused_drafts_that_costs_allow():
    # e < 1 - (c_w + c_v) / c_s = 1 - (10 + 10) / 100 = .8
    assert pays(draft=10, check=10, strong=100, refused=0.79)
    assert not pays(draft=10, check=10, strong=100, refused=0.8)
    assert not pays(draft=10, check=10, strong=100, refused=0.81)
