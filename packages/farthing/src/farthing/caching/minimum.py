"""The shortest prefix, in tokens, that a provider caches, by model.

Anthropic: `anthropics/skills`, `skills/claude-api/shared/prompt-caching.md`, read 2026-11-23.
OpenAI: https://developers.openai.com/api/docs/guides/prompt-caching, read 2026-11-23.
Google: https://ai.google.dev/gemini-api/docs/caching, read 2026-11-23: 1,024 to 4,096 by model and
date, which the page does not resolve further. Models that no page names are absent.
"""

from functools import lru_cache
from typing import Literal

_ANTHROPIC = {
    'claude-opus-5': 512,
    'claude-opus-5-5': 512,
    'claude-fable-5': 512,
    'claude-fable-5-1': 512,
    'claude-mythos-5': 512,
    'claude-mythos-5-1': 512,
    'claude-opus-4-8': 1_024,
    'claude-sonnet-5': 1_024,
    'claude-sonnet-4-6': 1_024,
    'claude-sonnet-4-5': 1_024,
    'claude-opus-4-1': 1_024,
    'claude-opus-4': 1_024,
    'claude-sonnet-4': 1_024,
    'claude-opus-4-7': 2_048,
    'claude-3-5-haiku': 2_048,
    'claude-opus-4-6': 4_096,
    'claude-opus-4-5': 4_096,
    'claude-haiku-4-5': 4_096,
}
_OPENAI_TOKENS = 1_024
_OPENAI_FAMILIES = ('gpt-4o', 'gpt-4.1', 'gpt-5', 'gpt-6', 'o1', 'o3', 'o4-mini')
_OPENAI_UNCACHED = ('gpt-3.5', 'gpt-4-', 'text-embedding')
_GOOGLE_TOKENS = (1_024, 4_096)


def cacheable(
    provider: str, model: str, input_tokens: int | None
) -> Literal['yes', 'no', 'unknown']:
    """Whether a request of `input_tokens` reaches the model's minimum.

    The whole input is the longest prefix that can be marked, so `yes` means that a mark could
    work, not that one is set.
    """
    bounds = _bounds(provider, model)
    if bounds is None:
        return 'unknown'
    low, high = bounds
    if low is None:
        return 'no'
    if input_tokens is None:
        return 'unknown'
    if input_tokens < low:
        return 'no'
    return 'yes' if input_tokens >= high else 'unknown'


def minimum(provider: str, model: str) -> int | None:
    """The shortest prefix that the model may cache, in tokens; `None` where it caches none.

    A model that no page names has the least minimum of its provider: a mark that is set below
    the true one costs nothing, and one that is not set is lost.
    """
    bounds = _bounds(provider, model)
    if bounds is None:
        return min(_ANTHROPIC.values()) if provider == 'anthropic' else _OPENAI_TOKENS
    return bounds[0]


@lru_cache(maxsize=1024)
def _bounds(provider: str, model: str) -> tuple[int | None, int] | None:
    """The least minimum and the largest; `(None, 0)` where the model caches nothing."""
    name = model.rpartition('/')[2]
    if provider == 'anthropic':
        known = _ANTHROPIC.get(_undated(name))
        return None if known is None else (known, known)
    if provider in {'openai', 'azure'}:
        if name.startswith(_OPENAI_FAMILIES):
            return _OPENAI_TOKENS, _OPENAI_TOKENS
        return (None, 0) if name == 'gpt-4' or name.startswith(_OPENAI_UNCACHED) else None
    if provider in {'google', 'google-vertex'} and name.startswith('gemini-'):
        return _GOOGLE_TOKENS
    return None


def _undated(name: str) -> str:
    """`claude-sonnet-4-5` for `claude-sonnet-4-5-20250929` and `claude-sonnet-4-5-latest`."""
    head, _, tail = name.rpartition('-')
    if tail in {'latest', '0'} or (tail.isdigit() and len(tail) == 8):  # noqa: PLR2004 - YYYYMMDD
        return _undated(head)
    return name
