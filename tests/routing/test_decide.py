"""The order of a decision: forced, guards, session, policies, default."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import entry
from farthing.errors import RoutingError
from farthing.flow import run
from farthing.routing import Cascade, Choice, Query, Question, Rules, Session
from farthing.routing.cascade import complete

from .conftest import MODELS, NOON, route, router

LIGHT_GREETINGS = Rules.of([{'route': 'light', 'keywords': ['thanks']}])
HEAVY_PROOFS = Rules.of([{'route': 'heavy', 'keywords': ['prove']}])


@dataclass(frozen=True)
class Broken:
    """A policy that fails."""

    name: str = 'broken'
    version: str = '1'

    def choose(self, query: Query) -> Choice | None:
        raise TimeoutError(query.text)


@dataclass(frozen=True)
class Asking:
    """A policy whose answer is the route."""

    name: str = 'asking'
    version: str = '1'

    def choosing(self, query: Query):
        reply = yield Question(prompt=query.text)
        return Choice(route=reply, reason='as answered')


def session(**changes) -> Session:
    """A conversation of 50,000 tokens on `heavy`, all of them warm there."""
    fields = {
        'id': 's',
        'route': 'heavy',
        'prefix_tokens': 50_000,
        'warm_tokens': {'heavy': 50_000},
        'new_tokens': 2_000,
        'output_tokens': 500,
    }
    return Session(**(fields | changes))


def decided(decider, query, ask=None):
    return run(decider.decide(query, NOON), ask)


def test_the_first_policy_with_an_opinion_decides():
    found = decided(router(HEAVY_PROOFS, LIGHT_GREETINGS), Query(text='Thanks!'))

    assert ('light', 'rules', 'rule 1') == (found.route, found.policy, found.reason)
    assert LIGHT_GREETINGS.version == found.version


def test_without_an_opinion_the_default_route_serves():
    found = decided(router(HEAVY_PROOFS), Query(text='Hello'))

    assert ('standard', 'default') == (found.route, found.policy)


def test_a_forced_route_is_taken_before_anything_is_asked():
    found = decided(router(Broken()), Query(text='x', forced='heavy'))

    assert ('heavy', 'forced') == (found.route, found.policy)


def test_a_forced_route_that_does_not_exist_is_an_error_that_names_the_others():
    with pytest.raises(RoutingError, match='known: light, standard, heavy'):
        decided(router(), Query(text='x', forced='huge'))


def test_a_policy_that_fails_means_the_default_route_and_no_text_in_the_record():
    found = decided(router(Broken(), LIGHT_GREETINGS), Query(text='Thanks for the secret'))

    assert ('standard', 'broken: TimeoutError') == (found.route, found.failed)
    assert 'secret' not in repr(found)


def test_a_question_that_cannot_be_answered_means_the_default_route():
    def rate_limited(question):
        raise ConnectionError('429')

    found = decided(router(Asking()), Query(text='x'), rate_limited)

    assert ('standard', 'asking: ConnectionError') == (found.route, found.failed)


def test_a_policy_that_names_no_route_of_ours_has_failed():
    found = decided(router(Asking()), Query(text='x'), lambda question: 'gpt-9')

    assert ('standard', 'asking: RoutingError') == (found.route, found.failed)


@pytest.mark.parametrize(
    ('changes', 'query', 'reason'),
    [
        ({'abilities': frozenset({'tools'})}, {'needs': frozenset({'image'})}, 'cannot do image'),
        ({'context_tokens': 1_000}, {'input_tokens': 900, 'output_tokens': 101}, 'holds 1000'),
        ({'max_output_tokens': 100}, {'output_tokens': 101}, 'writes at most 100'),
        ({'not_tenants': frozenset({'acme'})}, {'tenant': 'acme'}, 'not allowed'),
        ({'tenants': frozenset({'globex'})}, {'tenant': 'acme'}, 'not allowed'),
        ({'tenants': frozenset({'globex'})}, {}, 'not allowed'),
    ],
)
def test_a_route_that_cannot_serve_gives_way_to_the_next_stronger(changes, query, reason):
    guarded = router(LIGHT_GREETINGS, light=route('light', **changes))

    found = decided(guarded, Query(text='Thanks', **query))

    assert ('standard', 'light') == (found.route, found.wanted)
    assert reason in found.refused['light']
    assert reason in found.reason


def test_unknown_counts_refuse_nothing():
    found = decided(
        router(LIGHT_GREETINGS, light=route('light', context_tokens=10)), Query(text='Thanks')
    )

    assert 'light' == found.route


def test_where_no_route_seems_able_the_wanted_one_is_called_and_says_why_itself():
    small = {name: route(name, context_tokens=10) for name in MODELS}

    found = decided(router(LIGHT_GREETINGS, **small), Query(text='Thanks', input_tokens=11))

    assert 'light' == found.route
    assert {*MODELS} == {*found.refused}


def test_a_pending_tool_call_stays_with_its_model():
    query = Query(text='Thanks', session=session(route='light', pending_tool_call=True))

    found = decided(router(Broken()), query)

    assert ('light', 'session') == (found.route, found.policy)


def test_a_warm_cache_is_kept_where_leaving_it_does_not_pay():
    # Opus to Haiku at a prefix of 50,000: the first turn costs 1.25 x 1 against 0.1 x 5 a token.
    query = Query(text='Thanks', session=session(turns_left=0))

    found = decided(router(Asking()), query)  # nobody is asked
    told = decided(router(LIGHT_GREETINGS), query)  # what a policy wants for nothing is recorded

    assert ('heavy', 'session') == (found.route, found.policy)
    assert ('heavy', 'light', 'rules') == (told.route, told.wanted, told.policy)
    assert told.reason == 'rule 1; heavy serves it, for leaving its cache does not pay'
    assert told.facts['switch_first'] > 0


def test_a_strong_cache_is_returned_to_before_it_expires():
    waiting = session(
        route='light', warm_tokens={'heavy': 50_000, 'light': 50_000}, again=0.5, turns_left=10,
        turn_s=60, idle_s={'heavy': 290, 'light': 30},
    )  # fmt: skip

    found = decided(router(LIGHT_GREETINGS), Query(text='Thanks', session=waiting))
    fresh = replace(waiting, idle_s={'heavy': 30, 'light': 30})
    calm = decided(router(LIGHT_GREETINGS), Query(text='Thanks', session=fresh))

    assert ('heavy', 'light') == (found.route, calm.route)


def test_a_warm_cache_is_left_for_a_cheaper_route_once_enough_turns_remain():
    found = decided(router(LIGHT_GREETINGS), Query(text='Thanks', session=session(turns_left=1)))

    assert ('light', 'rules') == (found.route, found.policy)
    assert found.switch is not None
    assert found.facts['switch_later'] > 0


def test_a_switch_to_a_stronger_route_is_never_held_back():
    query = Query(text='Please prove it', session=session(route='light', warm_tokens={}))

    assert 'heavy' == decided(router(HEAVY_PROOFS), query).route


def test_without_an_opinion_a_conversation_stays_where_it_is():
    # After a hard turn: the cheaper route would pay, and yet nothing says that this turn is easy.
    query = Query(text='commit it', session=session(turns_left=50))

    found = decided(router(LIGHT_GREETINGS), query)

    assert ('heavy', 'session') == (found.route, found.policy)


def test_without_an_opinion_a_sub_agent_begins_at_the_default():
    query = Query(text='look it up', session=session(free='sub_agent'))

    assert 'standard' == decided(router(LIGHT_GREETINGS), query).route


def test_no_draft_is_made_where_the_switch_would_not_pay():
    # One more turn pays on `light`, not on `standard`: the cascade must not draft there.
    policy = Cascade(weak='standard', strong='heavy', checks=(complete,), version='1')

    found = decided(router(policy), Query(text='x', session=session(turns_left=1)))

    assert 'heavy' == found.route


@pytest.mark.parametrize('point', ['expired', 'compacted', 'sub_agent', 'new_thread'])
def test_at_a_free_switch_point_the_policies_decide(point):
    query = Query(text='Thanks', session=session(free=point))

    assert 'light' == decided(router(LIGHT_GREETINGS), query).route


@pytest.mark.parametrize(('least', 'route'), [(0.02, 'heavy'), (0.6, 'light')])
def test_a_first_turn_goes_to_the_weaker_route_where_enough_turns_want_it(least, route):
    query = Query(
        text='Thanks',
        session=session(
            free='first_turn', warm_tokens={}, again=0.7, again_least=least, turns_left=20,
            turn_s=60,
        ),
    )  # fmt: skip

    assert route == decided(router(LIGHT_GREETINGS), query).route


def test_a_first_turn_without_an_opinion_begins_at_the_default():
    query = Query(
        text='hello', session=session(free='first_turn', route='standard', warm_tokens={})
    )

    assert 'standard' == decided(router(LIGHT_GREETINGS), query).route


def test_a_first_turn_at_a_route_without_a_price_is_free():
    unknown = route('light', model='no-such-model')
    query = Query(text='Thanks', session=session(free='first_turn', warm_tokens={}))

    assert 'light' == decided(router(LIGHT_GREETINGS, light=unknown), query).route


def test_where_a_price_is_unknown_the_session_stays():
    unknown = route('light', model='no-such-model')
    query = Query(text='Thanks', session=session(turns_left=100, warm_tokens={}, route='standard'))

    found = decided(router(LIGHT_GREETINGS, light=unknown), query)

    assert 'standard' == found.route
    assert 'its price is unknown' in found.reason


def test_a_session_of_a_route_that_is_gone_is_a_new_one():
    query = Query(text='Thanks', session=session(route='retired', warm_tokens={}))

    assert 'light' == decided(router(LIGHT_GREETINGS), query).route


def test_a_default_that_is_no_route_is_refused():
    with pytest.raises(RoutingError, match='`default`'):
        type(router())(routes={}, policies=(), default='standard', book=router().book)


def test_a_decision_stands_in_the_ledger_without_the_text():
    guarded = router(LIGHT_GREETINGS, light=route('light', context_tokens=10))
    found = decided(guarded, Query(text='Thanks for the secret', input_tokens=11))

    row = entry.Decision(
        entry_id='call-1',
        time=NOON,
        lever='routing',
        policy=found.policy,
        version=found.version,
        chosen=found.route,
        reason=found.reason,
        facts=found.facts,
    )

    refused = {'light': 'holds 10 tokens, 11 are needed'}
    assert {'wanted': 'light', 'refused': refused} == row.facts
    assert 'rule 1; light holds 10 tokens, 11 are needed' == row.reason


@given(
    text=st.sampled_from(['Thanks', 'prove it', 'hello']),
    needs=st.sets(st.sampled_from(['tools', 'image'])),
    able=st.lists(st.sets(st.sampled_from(['tools', 'image'])), min_size=3, max_size=3),
    where=st.sampled_from([None, *MODELS]),
    pending=st.booleans(),
    turns_left=st.none() | st.integers(0, 50),
)
def test_a_route_that_can_serve_is_found_wherever_there_is_one(
    text, needs, able, where, pending, turns_left
):
    routes = {
        name: route(name, abilities=frozenset(can)) for name, can in zip(MODELS, able, strict=True)
    }
    at = None
    if where is not None:
        at = session(route=where, warm_tokens={}, pending_tool_call=pending, turns_left=turns_left)

    found = decided(
        router(HEAVY_PROOFS, LIGHT_GREETINGS, **routes),
        Query(text=text, needs=frozenset(needs), session=at),
    )

    capable = {name for name, one in routes.items() if needs <= one.abilities}
    assert found.route in capable or not capable
    assert {*MODELS} - capable == {*found.refused}
