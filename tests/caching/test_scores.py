"""Policies against the oracle, over regimes and shapes; `bench/caching_score.py` has the table."""

import pytest

from farthing.caching.machine import Cache, Request
from farthing.caching.oracle import Oracle
from farthing.caching.rates import Rates
from farthing.caching.simulation import simulate

from .shapes import MODELS, RANDOM, REGULAR, SHAPES, requests

GRID = [
    *((shape, gaps, 'claude-sonnet-4-5') for shape in SHAPES for gaps in REGULAR),
    *(('agent loops', gaps, 'claude-sonnet-4-5') for gaps in RANDOM),
    *(('shared one-shots', gaps, 'claude-sonnet-4-5') for gaps in RANDOM),
    *(('agent loops', '8 min', model) for model in MODELS),
    *(('shared one-shots', '2 min', model) for model in MODELS),
    *((shape, '40 min', 'gpt-5.6-sol') for shape in SHAPES),
]
POINT, BAR, ALMOST_NOTHING, NEARLY_FREE = 0.01, 0.97, 0.01, 1.005
RATES = Rates(model='m', input=100, read=10, writes={'5m': 125, '1h': 200})


@pytest.mark.parametrize(('shape', 'gaps', 'model'), GRID, ids=' | '.join)
def test_the_planner_gets_what_can_be_had(shape, gaps, model):
    made = requests(shape, (REGULAR | RANDOM)[gaps], model)
    found = {score.policy: score for score in simulate(lambda: made)}
    ours, none, oracle = found['farthing'], found['none'], found['oracle']

    if none.scored_cost - oracle.scored_cost < ALMOST_NOTHING * none.scored_cost:
        assert ours.scored_cost <= NEARLY_FREE * none.scored_cost
        return
    assert ours.score >= 0
    assert ours.score >= max(found['5m'].score, found['1h'].score) - POINT
    assert ours.score >= (BAR if gaps in REGULAR else BAR * float(found['informed'].score))


def test_each_fixed_lifetime_loses_badly_somewhere():
    def score(gaps, policy):
        made = requests('agent loops', REGULAR[gaps], 'claude-sonnet-4-5')
        return {one.policy: one.score for one in simulate(lambda: made)}[policy]

    assert score('8 min', '5m') < -0.2
    assert score('5 fast, 90 min', '1h') < 0.85


def agent(gap, turns=30):
    """The notes' example: 8,000 static tokens, 900 a turn."""
    for turn in range(turns):
        tokens = [8_000 + 900 * n for n in range(turn + 1)]
        digests = [bytes([n]) for n in range(turn + 1)]
        yield Request(gap * turn, digests, tokens, RATES, 1_024, lookback=True)


def cost(made, life=None):
    cache = Cache()
    return sum(cache.send(one, [(len(one.tokens) - 1, life)] if life else ()).cost for one in made)


@pytest.mark.parametrize(
    ('gap', 'life', 'tokens'),
    # In input prices of one token: 8,000 x (1.25 + 29 x 0.1) for the static part, and for what
    # each turn n brings 900 x (1.25 + (29 - n) x 0.1); an hour writes at 2. Without a cache it is
    # 30 x 8,000 + 900 x 435 = 631,500, and 1.25 times that where every write dies unread.
    [(20, '5m', 102_365), (20, '1h', 127_940), (480, '5m', 789_375), (480, '1h', 127_940)],
)
def test_the_cost_model_agrees_with_costs_worked_by_hand(gap, life, tokens):
    assert 631_500 * RATES.input == cost(agent(gap))
    assert tokens * RATES.input == cost(agent(gap), life)


@pytest.mark.parametrize('gap', [20, 480, 3_000, 5_400])
def test_no_fixed_policy_costs_less_than_the_oracle(gap):
    made, oracle = list(agent(gap)), Oracle()
    for one in made:
        oracle.send(one, scored=True)

    assert oracle.least().cost <= min(cost(made), cost(made, '5m'), cost(made, '1h'))


def test_the_oracle_never_writes_what_is_not_sent_again():
    oracle = Oracle()
    for one in agent(5_400):
        oracle.send(one, scored=True)

    assert cost(agent(5_400)) == oracle.least().cost


def test_the_oracle_reads_across_conversations_what_they_share():
    oracle = Oracle()
    for chain in range(3):
        digests, tokens = [b'rules', bytes([chain])], [6_000, 8_000]
        oracle.send(Request(60 * chain, digests, tokens, RATES, 1_024, lookback=True), scored=True)

    # The shared part is written once and read twice, the questions are paid plainly.
    assert 6_000 * (125 + 10 + 10) + 3 * 2_000 * 100 == oracle.least().cost


def test_a_mark_looks_back_over_twenty_blocks():
    def billed(added):
        cache = Cache()
        first = [bytes([n]) for n in range(5)]
        later = [bytes([n]) for n in range(5 + added)]
        tokens = [2_000 * (n + 1) for n in range(5 + added)]
        cache.send(Request(0, first, tokens[:5], RATES, 1_024, lookback=True), [(4, '5m')])
        bill = cache.send(
            Request(60, later, tokens, RATES, 1_024, lookback=True), [(4 + added, '5m')]
        )
        return bill.read_tokens

    assert 10_000 == billed(19)
    assert 0 == billed(20)


def test_what_starts_together_cannot_be_read():
    cache, oracle = Cache(), Oracle()
    bills = []
    for _ in range(3):
        one = Request(0, [b'rules'], [6_000], RATES, 1_024, lookback=True)
        bills.append(cache.send(one, [(0, '5m')]))
        oracle.send(one, scored=True)

    assert [0, 0, 0] == [bill.read_tokens for bill in bills]
    assert 3 * 6_000 * 100 == oracle.least().cost
