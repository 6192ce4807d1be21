"""Options of a request that one provider knows and another refuses, for calls that change between.

Anthropic: https://platform.claude.com/docs/en/api/messages; OpenAI:
https://developers.openai.com/api/reference, both read 2026-11-25. An option that neither list names
is sent to whoever is asked.
"""

from collections.abc import Mapping
from typing import Literal

Family = Literal['anthropic', 'openai']
"""Whose request a model makes, whoever serves it."""

_ANTHROPIC = frozenset({
    'betas', 'cache_control', 'container', 'context_management', 'inference_geo', 'mcp_servers',
    'output_config', 'speed', 'thinking', 'top_k',
})  # fmt: skip
_OPENAI = frozenset({
    'audio', 'frequency_penalty', 'include', 'logit_bias', 'logprobs', 'modalities', 'n',
    'prediction', 'presence_penalty', 'previous_response_id', 'prompt_cache_key',
    'prompt_cache_options', 'prompt_cache_retention', 'reasoning', 'reasoning_effort',
    'safety_identifier', 'seed', 'store', 'stream_options', 'stream_usage', 'top_logprobs',
    'truncation', 'user', 'verbosity',
})  # fmt: skip
# What no third party has under these names.
_NOBODY_ELSES = frozenset({
    'betas', 'cache_control', 'container', 'mcp_servers', 'prompt_cache_key',
    'prompt_cache_options', 'prompt_cache_retention', 'safety_identifier', 'stream_usage',
})  # fmt: skip
_FOREIGN: Mapping[str | None, frozenset[str]] = {
    'anthropic': _OPENAI,
    'openai': _ANTHROPIC,
    None: _NOBODY_ELSES,
}
_CUT = frozenset({'MAX_TOKENS', 'incomplete', 'length', 'max_tokens'})


def foreign(family: Family | None) -> frozenset[str]:
    """The options that models of a family refuse; `None` is neither of the two."""
    return _FOREIGN[family]


def cut(finish: object) -> bool:
    """Whether an answer ended at a limit, by the reason that its provider gives."""
    return isinstance(finish, str) and finish in _CUT
