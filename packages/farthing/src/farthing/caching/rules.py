"""The rules by which a provider's prompt cache reads and writes, as far as explaining needs them.

Anthropic writes at marks and reads what was written up to twenty blocks before a mark. OpenAI
writes every prefix by itself up to GPT-5.5, and from GPT-5.6 on at marks and at the last block.
`anthropics/skills`, `skills/claude-api/shared/prompt-caching.md`, and
https://developers.openai.com/api/docs/guides/prompt-caching, both read 2026-11-23.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

SECOND_US = 1_000_000
LIFETIMES_US: Mapping[str, int] = MappingProxyType(
    {'5m': 300 * SECOND_US, '30m': 1_800 * SECOND_US, '1h': 3_600 * SECOND_US}
)


class Rules(NamedTuple):
    """How one family of caches works.

    Attributes:
        name: The family.
        marked: Whether only prefixes that end at a mark are written; else every one is.
        implied: Lifetime of the mark that the provider sets on the last block unasked.
        lookback: How many blocks before a mark a write is found, the mark's own included.
        reach_us: How long an earlier call can still explain a miss.
    """

    name: str
    marked: bool
    implied: str | None
    lookback: int
    reach_us: int


# The longest lifetime is an hour: a pause of up to twice that is told as an expiry.
_ANTHROPIC = Rules('anthropic', True, None, 20, 7_200 * SECOND_US)  # noqa: FBT003 - `marked`
_DAY_US = 86_400 * SECOND_US
# Kept for five minutes at least; up to a day where the user's account lets it.
_OPENAI = Rules('openai', False, '5m', 1_000_000, _DAY_US)  # noqa: FBT003 - `marked`
_OPENAI_MARKED = Rules('openai marked', True, '30m', 80, _DAY_US)  # noqa: FBT003 - `marked`
_OPENAI_APIS = frozenset({'openai_chat', 'openai_responses'})
_GPT = re.compile(r'gpt-(\d+)(?:\.(\d+))?(?![\d])')
_FIRST_MARKED = (5, 6)


def rules_for(api: str, model: str) -> Rules | None:
    """The rules of the cache that a model's API has; `None` where we know none."""
    if api == 'anthropic_messages':
        return _ANTHROPIC
    if api not in _OPENAI_APIS:
        return None
    found = _GPT.match(model.rpartition('/')[2])
    version = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    return _OPENAI_MARKED if version >= _FIRST_MARKED else _OPENAI
