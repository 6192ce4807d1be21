"""What policies cost on a conversation that a reader can price by hand."""

import pytest

from farthing.context import PeriodicSummary, Rates, Setting, Window
from farthing.context.economics import is_due
from farthing.context.optimum import optimum
from farthing.context.replay import Calls, Session, Whole, replay
from farthing.context.values import History
from farthing.errors import ContextError

from .conftest import HAIKU, NOW, SETTING, SONNET, chat, tariff

# 100 turns of 120 tokens asked and 280 said, after 3,000 tokens of system text.
HUNDRED = Session(blocks=chat(100))
USD = 10**12


def cost(policy, **how) -> float:
    return round(replay(HUNDRED, policy, tariff(), **how).cost / USD, 4)


def test_the_whole_history_costs_what_arithmetic_says() -> None:
    # The i-th prompt has 3,120 + 400 (i - 1) tokens; 28,000 tokens are said at 15 USD a million.
    sent = sum(3_120 + 400 * i for i in range(100))
    read = sum(3_120 + 400 * i for i in range(99))
    written = 3_120 + 400 * 99

    assert round((3 * sent + 15 * 28_000) / 1e6, 4) == cost(Whole(), cacheable=lambda _: False)
    assert round((0.3 * read + 3.75 * written + 15 * 28_000) / 1e6, 4) == cost(Whole())
    assert (7.296, 1.255) == (cost(Whole(), cacheable=lambda _: False), cost(Whole()))


def test_a_window_that_moves_each_turn_costs_more_than_the_whole_history() -> None:
    assert 1.9198 == cost(Window(keep_turns=10, every=1))


def test_a_window_that_moves_when_it_pays_is_as_cheap_as_hindsight() -> None:
    best = optimum(HUNDRED, tariff(), keep_turns=10).cost / USD

    assert 0.9169 == cost(Window(keep_turns=10)) <= 0.93
    assert 0.9169 == round(best, 4)


def test_a_summary_when_it_pays_is_cheaper_than_the_whole_history_its_own_cost_included() -> None:
    assert 0.986 == cost(PeriodicSummary(keep_turns=10, rates=HAIKU)) <= 1.00
    assert 1.1324 == cost(PeriodicSummary(keep_turns=10, rates=HAIKU, every=5))


def test_a_short_conversation_is_left_alone() -> None:
    short = Session(blocks=chat(20))
    whole = replay(short, Whole(), tariff())

    for policy in (Window(keep_turns=10), PeriodicSummary(keep_turns=10, rates=HAIKU)):
        assert whole == replay(short, policy, tariff())


def test_the_interval_is_the_economic_order_quantity() -> None:
    # sqrt(2 (3.75 - 0.30) / 0.30 x 4,000 x 400) = sqrt(23 x 1,600,000) = 6,066 tokens
    facts = {'rewritten': 4_000, 'added': 4_000, 'calls': 10}

    assert not is_due(SETTING, dropped=6_065, **facts)
    assert is_due(SETTING, dropped=6_066, **facts)


def test_no_rewrite_is_made_that_the_remaining_calls_do_not_pay() -> None:
    # 11.5 x 4,000 / 8,000 = 5.75 calls
    facts = {'dropped': 8_000, 'rewritten': 4_000, 'added': 4_000, 'calls': 10}

    def soon(calls: int) -> Setting:
        return Setting(rates=SONNET, now=NOW, remaining_calls=calls)

    assert not is_due(soon(5), **facts)
    assert is_due(soon(6), **facts)


def test_where_reading_is_free_nothing_is_ever_dropped() -> None:
    free = Setting(rates=Rates(input=1, read=0, write=1, output=1), now=NOW)

    assert not is_due(free, dropped=10**9, rewritten=0, added=1, calls=1)


@pytest.mark.parametrize(
    ('provider', 'model', 'rates'),
    [
        ('anthropic', 'claude-sonnet-4-6', SONNET),
        # OpenAI sells no writes for these: what it caches is plain input.
        ('openai', 'gpt-4o', Rates(input=2_500_000, read=1_250_000, write=2_500_000, output=10**7)),
    ],
)
def test_rates_are_the_price_books(provider: str, model: str, rates: Rates) -> None:
    assert rates == tariff(provider, model).rates


def test_what_the_price_book_assumes_is_said() -> None:
    assert () == tariff().assumed
    assert 'rate of input' in tariff('openai', 'gpt-5.6').assumed


def test_a_model_without_a_price_is_no_free_one() -> None:
    with pytest.raises(ContextError, match='no price for model'):
        tariff('anthropic', 'claude-of-tomorrow')


def test_who_sets_the_state_back_asks_something_else_of_the_same_session() -> None:
    calls = Calls(Window(keep_turns=10), tariff())
    history = History(blocks=HUNDRED.blocks[:-1])
    calls.make(history, output_tokens=280)
    over = calls.state
    first = calls.make(history, output_tokens=280)
    calls.state = over

    assert first == calls.make(history, output_tokens=280)
