"""What a request asks, whatever it says about caches: two that differ in that alone are one.

Cache marks depend on what was learned so far, so that a request which is made again may carry
others. It must be known again all the same: an answer that is paid for is not paid for again.
"""

from collections.abc import Mapping
from typing import Any

_OF_CACHES = frozenset(
    {
        'cache_control', 'diagnostics', 'prompt_cache_breakpoint', 'prompt_cache_key',
        'prompt_cache_options', 'prompt_cache_retention',
    }
)  # fmt: skip
_MARKED = frozenset({'input', 'messages', 'system', 'tools'})
_TEXTS = ({'type': 'text'}, {'type': 'input_text'})


def identity(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body without what it says about caches; a list of one plain text is that text."""
    return {
        name: _bare(value) if name in _MARKED else value
        for name, value in body.items()
        if name not in _OF_CACHES
    }


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        bare = [_bare(one) for one in value]
        return bare[0]['text'] if len(bare) == 1 and _is_text(bare[0]) else bare
    if isinstance(value, dict):
        return {
            name: _bare(one) if name == 'content' else one
            for name, one in value.items()
            if name not in _OF_CACHES
        }
    return value


def _is_text(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and isinstance(block.get('text'), str)
        and {name: one for name, one in block.items() if name != 'text'} in _TEXTS
    )
