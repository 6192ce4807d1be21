"""What context control saved on a call that was answered: a measured cost against a modelled one.

Without it the whole history would have been sent. All that the last call sent would have been read
from the cache while that was warm, and the rest been paid as this call paid for what was new to it.
Lengths are as the provider would count them, by what it counted of the prompt that was sent.
"""

from dataclasses import replace
from typing import Any

from farthing.usage import Usage

_LIFETIMES = ('cache_write_5m_tokens', 'cache_write_1h_tokens', 'cache_write_30m_tokens')


def reported(tokens: int, usage: Usage, *, sent: int, complete: bool) -> int:
    """What the provider would count of a prompt of which we count `tokens`.

    Args:
        tokens: By our count.
        usage: Of the prompt that was sent.
        sent: What we counted of that.
        complete: Whether we saw all of it. Else what was reported beyond our count is taken for
            what is in every prompt and was not seen: system text, tools.
    """
    if complete or usage.input_tokens <= sent:
        return tokens * usage.input_tokens // sent
    return tokens + usage.input_tokens - sent


def whole(usage: Usage, *, full: int, before: int | None, grows: bool = True) -> Usage:
    """The usage of the same call with the whole history.

    Args:
        usage: As reported.
        full: Input tokens of the prompt with the whole history.
        before: And of the one that the last call would have sent; `None` once the cache is cold.
        grows: Whether what is cached grows with the history.
    """
    plain = replace(
        usage,
        input_tokens=full,
        cache_read_audio_tokens=None,
        cache_read_image_tokens=None,
    )
    if not grows or not (usage.cache_read_tokens or usage.cache_write_tokens):
        return plain
    read = min(usage.cache_read_tokens if before is None else before, full)
    written = 0
    if usage.cache_write_tokens:
        written = full - read - min(usage.uncached_input_tokens, full - read)
    longest = max(_LIFETIMES, key=lambda name: getattr(usage, name) or 0)
    lives: dict[str, Any] = dict.fromkeys(_LIFETIMES, 0)
    if getattr(usage, longest):
        lives[longest] = written
    return replace(plain, cache_read_tokens=read, cache_write_tokens=written, **lives)
