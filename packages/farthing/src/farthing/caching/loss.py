"""What lost cache reads cost: the call as it was billed, less the same call with them."""

from collections.abc import Callable
from dataclasses import replace

from farthing.usage import Usage

_WRITES = ('cache_write_1h_tokens', 'cache_write_5m_tokens', 'cache_write_30m_tokens')


def with_reads(usage: Usage, tokens: int) -> Usage:
    """The counts of the same call, had it read `tokens` more.

    They follow what was read, so what was written is taken first, the longest lifetime before the
    others, and then plain input.

    Raises:
        UsageError: There are not so many tokens beside those that were read.
    """
    rest = tokens
    changed = {}
    for name in _WRITES:
        taken = min(rest, getattr(usage, name))
        changed[name] = getattr(usage, name) - taken
        rest -= taken
    unsplit = min(rest, usage.cache_write_unsplit_tokens)
    written = sum(changed.values()) + usage.cache_write_unsplit_tokens - unsplit
    return replace(
        usage,
        cache_read_tokens=usage.cache_read_tokens + tokens,
        cache_write_tokens=written,
        **changed,
    )


def cost_lost(usage: Usage, tokens: int, price: Callable[[Usage], int | None]) -> int | None:
    """What reading `tokens` more would have saved, in 1e-12 USD; `None` where it has no price.

    It may be below zero, where a read costs more than what was paid.
    """
    paid, better = price(usage), price(with_reads(usage, tokens))
    return None if paid is None or better is None else paid - better
