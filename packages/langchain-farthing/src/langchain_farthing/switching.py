"""Switching on a provider's own compaction, for models whose requests can ask for it."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel

from farthing.context import Policy
from farthing.context.server import ServerCompaction

# https://platform.claude.com/docs/en/build-with-claude/compaction
_BETA = 'compact-2026-01-12'
_EDIT = 'compact_20260112'


def compacting(policies: Sequence[Policy], model: Any) -> dict[str, Any]:
    """What a call is given besides; nothing where no policy asks for it, or the model cannot."""
    policy = next((one for one in policies if isinstance(one, ServerCompaction)), None)
    if policy is None or not isinstance(model, BaseChatModel):
        return {}
    kind = model._llm_type  # noqa: SLF001 - LangChain tells models apart by it
    if kind == 'anthropic-chat':
        trigger = {'type': 'input_tokens', 'value': policy.at_tokens}
        betas = [*(getattr(model, 'betas', None) or ()), _BETA]
        return {
            'betas': list(dict.fromkeys(betas)),
            'context_management': {'edits': [{'type': _EDIT, 'trigger': trigger}]},
        }
    if kind == 'openai-chat' and getattr(model, 'use_responses_api', None):
        compaction = {'type': 'compaction', 'compact_threshold': policy.at_tokens}
        return {'context_management': [compaction]}
    return {}
