"""Why Anthropic's cache was missed: a request beside the one that its `diagnostics` names.

https://platform.claude.com/docs/en/build-with-claude/cache-diagnostics. The comparison is of what
was sent, whether or not anything was cached; only requests that ask for it are remembered.
"""

from collections import OrderedDict
from dataclasses import dataclass

from farthing_sim.anthropic_blocks import Prompt, Tier
from farthing_sim.surface import Json, Stamp

_MOST = 1_000
_CHANGED: dict[Tier, str] = {
    'tools': 'tools_changed',
    'system': 'system_changed',
    'messages': 'messages_changed',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fingerprint:
    scope: str
    model: str
    prompt: Prompt


class Fingerprints:
    """The requests that later ones may be compared with, by the id of their answer."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Fingerprint] = OrderedDict()

    def diagnose(self, body: Json, prompt: Prompt, stamp: Stamp) -> Json | None:
        """The `diagnostics` of an answer; `None` where nothing was to compare, or nothing differs.

        Tokens missed are those of the earlier prompt behind the place where the two part.
        """
        earlier_id = body['diagnostics'].get('previous_message_id')
        if earlier_id is None:
            return None
        earlier = self._known.get(earlier_id)
        if earlier is None or earlier.scope != stamp.scope:
            return {'cache_miss_reason': {'type': 'previous_message_not_found'}}
        reason, common = _parted(earlier, body['model'], prompt)
        if reason is None:
            return None
        if reason == 'unavailable':
            return {'cache_miss_reason': {'type': reason}}
        missed = earlier.prompt.tokens - common
        return {'cache_miss_reason': {'type': reason, 'cache_missed_input_tokens': missed}}

    def remember(self, body: Json, prompt: Prompt, stamp: Stamp, answer_id: str) -> None:
        """Keep a request, so that a later one can be compared with it."""
        self._known[answer_id] = _Fingerprint(scope=stamp.scope, model=body['model'], prompt=prompt)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)


def _parted(earlier: _Fingerprint, model: str, prompt: Prompt) -> tuple[str | None, int]:
    """Where two prompts part, and how many tokens of the earlier one come before that."""
    if earlier.model != model:
        return 'model_changed', 0
    common = 0
    later = iter(prompt.blocks)
    for block in earlier.prompt.blocks:
        other = next(later, None)
        if other is None or (other.tier, other.digest) != (block.tier, block.digest):
            # The earlier tier is the one that lost a block or got one more.
            tiers = [one.tier for one in (block, other) if one is not None]
            return _CHANGED[min(tiers, key=list(_CHANGED).index)], common
        common = block.tokens
    return (None if earlier.prompt.parameters == prompt.parameters else 'unavailable'), common
