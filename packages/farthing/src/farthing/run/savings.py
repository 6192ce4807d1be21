"""What context control saved on a call that was answered: a measured cost against a modelled one.

Without it the whole history would have been sent. All that the last call sent would have been read
from the cache while that was warm, and the rest been paid as this call paid for what was new to it.
Lengths are scaled by what the provider counted of the prompt that was sent.
"""

from dataclasses import replace
from typing import Any

from farthing.usage import Usage

_LIFETIMES = ('cache_write_5m_tokens', 'cache_write_1h_tokens', 'cache_write_30m_tokens')


def whole(usage: Usage, *, sent: int, full: int, before: int | None) -> Usage:
    """The usage of the same call with the whole history.

    Args:
        usage: As reported.
        sent: What we counted of the prompt that was sent.
        full: What we counted of the prompt with the whole history.
        before: And of the one that the last call would have sent; `None` once the cache is cold.
    """
    tokens = full * usage.input_tokens // sent
    plain = replace(
        usage,
        input_tokens=tokens,
        cache_read_audio_tokens=None,
        cache_read_image_tokens=None,
    )
    if not (usage.cache_read_tokens or usage.cache_write_tokens):
        return plain
    read = usage.cache_read_tokens if before is None else before * usage.input_tokens // sent
    read = min(read, tokens)
    written = 0
    if usage.cache_write_tokens:
        written = tokens - read - min(usage.uncached_input_tokens, tokens - read)
    longest = max(_LIFETIMES, key=lambda name: getattr(usage, name) or 0)
    lives: dict[str, Any] = dict.fromkeys(_LIFETIMES, 0)
    if getattr(usage, longest):
        lives[longest] = written
    return replace(plain, cache_read_tokens=read, cache_write_tokens=written, **lives)
