"""Shadow calls: replayed, graded and paid behind the user's back, and what they prove."""

from decimal import Decimal

import pytest
from tests.run.routed import AsyncModels, request, router

from farthing.attribution import Attribution, attributed
from farthing.errors import InputError
from farthing.money import usd
from farthing.routing import Draft, Rules
from farthing.routing.evidence import Bar, Evidence
from farthing.run import routing
from farthing.run.grading import Graded, JudgeModel, exact_match, json_equal
from farthing.run.routing import dispatcher

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
FAQ = Attribution(tenant='acme', task='faq', session='s1')


def always(score: float):
    def grader(graded: Graded) -> float:
        return score

    return grader


@pytest.fixture
def driver(ledger):
    def make(grader, **options):
        given = {'shadow_share': 1, 'ledger': ledger} | options
        return dispatcher(router().routes, LIGHT, 'standard', grader=grader, **given)

    return make


def served(made, models, text: str = 'Where is my parcel?', **facts) -> None:
    with attributed(tenant=FAQ.tenant, task=FAQ.task, session=FAQ.session):
        call = made.call(request(text, who=FAQ, **facts), models)
    call.ended(Draft(text=call.answer.content[0].text), 'thread')


def test_the_decided_route_answers_too_and_both_answers_are_graded(
    driver, ledger, models, decisions
) -> None:
    made = driver(lambda graded: 0.25 if graded.answer is graded.reference else 1)
    served(made, models)
    made.wait()

    assert ['standard', 'light'] == models.called
    (pair,) = ledger.pairs()
    assert ('faq', 'light', 'standard', 'standard') == (
        pair.task, pair.weak, pair.strong, pair.default
    )  # fmt: skip
    assert (1.0, 0.25, models.runs[0]) == (pair.weak_score, pair.strong_score, pair.run_id)
    assert ('claude-haiku-4-5', 'claude-sonnet-4-6') == pair.models
    user, shadow = decisions()
    assert ('user', 'shadow') == (user['purpose'], shadow['purpose'])
    assert [('acme', 'faq', 's1')] * 2 == [
        (e.entry.attribution.tenant, e.entry.attribution.task, e.entry.attribution.session)
        for e in ledger.entries()
    ]


async def test_an_async_call_is_replayed_in_a_thread(driver, ledger, models) -> None:
    made = driver(always(1))
    call = await made.acall(request(who=FAQ), AsyncModels(models))
    call.ended(Draft(text='Here.'), 'thread')
    made.wait()

    assert [1.0] == [pair.weak_score for pair in ledger.pairs()]


def test_where_the_default_was_decided_the_next_weaker_route_is_measured(
    driver, ledger, models
) -> None:
    made = driver(always(1))
    served(made, models, 'Prove it.')
    made.wait()

    assert ['standard', 'light'] == models.called


def test_a_sample_is_a_share_and_a_forced_route_is_no_experiment(driver, models) -> None:
    made = driver(always(1), shadow_share=0)
    served(made, models)
    other = driver(always(1))
    served(other, models, forced='heavy')
    made.wait()
    other.wait()

    assert ['standard', 'heavy'] == models.called


def test_a_task_is_promoted_on_evidence_and_returns_on_regression(driver, models) -> None:
    bar = Bar(margin=0.5, least_pairs=5, false_return=20)
    score = 1.0
    made = driver(lambda graded: 1.0 if graded.answer is graded.reference else score, bar=bar)
    for _ in range(12):
        served(made, models)
    made.wait()
    models.called.clear()
    served(made, models)
    made.wait()
    # The routed model serves, and the default is what is compared from now on.
    assert ['light', 'standard'] == models.called

    score = 0.0
    for _ in range(20):
        served(made, models)
    made.wait()
    models.called.clear()
    served(made, models)
    made.wait()
    assert 'standard' == models.called[0]


def test_a_spent_budget_ends_the_experiment_and_counts_what_the_ledger_holds(
    driver, ledger, models
) -> None:
    made = driver(always(1), shadow_budget_usd='0.000001')
    for _ in range(3):
        served(made, models)
        made.wait()
    assert 1 == models.called.count('light')
    assert {'graded': 1, 'unpaid': 2} == made.shadow.counts
    paid = ledger.report(where={'purpose': 'shadow'}).total.cost_usd
    assert paid == usd(made.shadow.spent) > Decimal('0.000001')

    another = driver(always(1), shadow_budget_usd='0.000001')
    served(another, models)
    another.wait()
    assert 1 == models.called.count('light')


def test_a_shadow_call_that_fails_is_counted_and_heard_by_nobody(
    driver, ledger, models, sim, caplog
) -> None:
    made = driver(always(1))
    sim.fault()
    sim.fault(status=500)
    served(made, models)
    made.wait()

    assert {'failed': 1} == made.shadow.counts
    assert [] == [pair for pair in ledger.pairs() if pair.gap is not None]
    assert 1 == caplog.text.count("a shadow call on route 'light' failed")


def test_a_grader_that_fails_or_has_no_opinion_makes_no_score(driver, ledger, models) -> None:
    made = driver(lambda graded: None)
    served(made, models)
    made.wait()
    broken = driver(lambda graded: 1 / 0)
    served(broken, models)
    broken.wait()

    assert ({'ungraded': 1}, {'failed': 1}) == (made.shadow.counts, broken.shadow.counts)
    (verdict,) = Evidence.of(ledger.pairs()).verdicts
    assert (0, 2) == (verdict.pairs, verdict.ungraded)


def test_a_judge_is_asked_about_each_answer_and_paid_from_the_budget(
    driver, ledger, models, decisions
) -> None:
    grades = iter(['8', '6/10'])
    models.answers = lambda question: next(grades)
    made = driver(JudgeModel(model='any'))
    served(made, models)
    made.wait()

    (pair,) = ledger.pairs()
    assert (0.6, 0.8) == (pair.weak_score, pair.strong_score)
    assert ['user', 'shadow', 'shadow', 'shadow'] == [one['purpose'] for one in decisions()]
    assert made.shadow.spent == sum(one['cost'] for one in decisions()[1:])


def test_a_shadow_call_that_is_never_sent_costs_nothing(driver, models) -> None:
    def refuses(route: str) -> Draft:
        raise NotImplementedError('no tools')

    models.replay = refuses
    made = driver(always(1))
    served(made, models)
    made.wait()

    assert (0, {'failed': 1}) == (made.shadow.spent, made.shadow.counts)


def test_a_route_without_a_price_ends_the_experiment(ledger, models, monkeypatch) -> None:
    monkeypatch.setitem(models.names, 'light', 'claude-haiku-99')
    made = dispatcher(
        router(light='claude-haiku-99').routes, LIGHT, 'standard', grader=always(1),
        shadow_share=1, ledger=ledger,
    )  # fmt: skip
    served(made, models)
    served(made, models)
    made.wait()

    assert None is made.shadow.spent
    assert {'graded': 1, 'unpaid': 1} == made.shadow.counts


def test_shadow_without_a_grader_warns_once(ledger, caplog, monkeypatch) -> None:
    monkeypatch.setattr(routing, '_warned', set())
    for _ in range(2):
        dispatcher(router().routes, LIGHT, 'standard', ledger=ledger)

    assert 1 == caplog.text.count('without a `grader`')


@pytest.mark.parametrize(
    'options', [{'shadow_share': 2}, {'shadow_budget_usd': 'much'}, {'grader': 'best'}]
)
def test_an_argument_that_cannot_be_taken_is_refused_at_once(driver, options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        driver(**{'grader': always(1)} | options)


def graded(answer: str, reference: str) -> Graded:
    return Graded(
        question='?', task=None, answer=Draft(text=answer), reference=Draft(text=reference), ask=str
    )


def test_equality_is_of_words_or_of_json() -> None:
    assert (1, 0) == (exact_match(graded('a ', 'a')), exact_match(graded('a', 'b')))
    assert (1, 0) == (
        json_equal(graded('{"a": 1, "b": 2}', '{"b":2,"a":1}')), json_equal(graded('x', '1'))
    )  # fmt: skip
    assert None is json_equal(graded('1', 'no JSON'))
