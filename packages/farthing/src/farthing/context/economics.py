"""When a rewrite of the prompt pays.

A token in the prompt costs a cache read on every call; to drop tokens from its middle, what stands
behind them is written again. Who waits longer between two rewrites pays for fewer of them and reads
more meanwhile: the economic order quantity. With `rewritten` tokens a time, fixed costs F and
`growth` tokens a call, the cheapest amount to let grow is

    sqrt(2 ((write - read) rewritten + F) growth / read)
"""

from math import isqrt

from farthing.context.rates import Rates
from farthing.context.values import Setting


def is_due(
    setting: Setting,
    *,
    dropped: int,
    rewritten: int,
    added: int,
    calls: int,
    fixed_cost: int = 0,
    token_cost: int = 0,
) -> bool:
    """Whether dropping tokens pays now.

    Args:
        setting: Rates, and the expected number of calls where it is known.
        dropped: Tokens that would be dropped.
        rewritten: Tokens that would be written again.
        added: Tokens that came in over `calls` calls: how fast there is more to drop.
        calls: How many calls that was.
        fixed_cost: What each time costs besides, in 1e-12 USD, however much is dropped.
        token_cost: And for each token dropped: it says whether to drop, not how much at a time.
    """
    rates = setting.rates
    if dropped < 1 or not rates.read:
        return False
    once = rewrite_cost(rates, rewritten) + fixed_cost
    if dropped < isqrt(2 * once * added // (rates.read * max(calls, 1))):
        return False
    remaining = setting.remaining_calls
    return remaining is None or rates.read * dropped * remaining > once + token_cost * dropped


def rewrite_cost(rates: Rates, tokens: int) -> int:
    """What it costs to write `tokens` again instead of reading them, in 1e-12 USD."""
    return (rates.write - rates.read) * tokens
