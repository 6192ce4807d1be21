"""What OpenAI's APIs share: errors, service tiers, who reasons."""

import re
from collections.abc import Mapping
from typing import Any

from farthing_sim.surface import Json, Refusal

REQUEST_ID = 'x-request-id'

_KINDS = {429: 'requests', 500: 'server_error', 503: 'server_error', 529: 'server_error'}
_CODES = {401: 'invalid_api_key', 404: 'model_not_found', 429: 'rate_limit_exceeded'}
_REASONING_MODEL = re.compile(r'(?:.*/)?(?:o[134](?:-|$)|gpt-5(?:-mini|-nano)?(?:-\d{4}|$))')


def failure(refusal: Refusal, request_id: str) -> Json:  # noqa: ARG001 - here only in the header
    """An error in OpenAI's shape."""
    return {
        'error': {
            'message': refusal.message,
            'type': refusal.kind or _KINDS.get(refusal.status, 'invalid_request_error'),
            'param': refusal.param,
            'code': refusal.code or _CODES.get(refusal.status),
        }
    }


def check_model(body: Json, models: Mapping[str, int]) -> None:
    """Refuse a model that is none of these, or more output than it gives."""
    model = body['model']
    if model not in models:
        # https://github.com/openai/openai-python/issues/3071
        raise Refusal(404, f'The model `{model}` does not exist or you do not have access to it.')
    for name in ('max_tokens', 'max_completion_tokens', 'max_output_tokens'):
        asked = body.get(name)
        # https://github.com/tailcallhq/forgecode/issues/1185
        if asked is not None and asked > models[model]:
            raise Refusal(
                400,
                f'{name} is too large: {asked}. This model supports at most {models[model]} '
                f'completion tokens, whereas you provided {asked}.',
                param=name,
                code='invalid_value',
            )


def served_tier(body: Json) -> str:
    """The tier that serves a request: what it asks for, `auto` being the default one."""
    asked = body.get('service_tier')
    return 'default' if asked in {None, 'auto'} else str(asked)


def reasons(model: str, effort: str | None) -> bool:
    """Whether a model spends reasoning tokens; models that need not do so only when asked."""
    if effort is not None:
        return effort != 'none'
    return _REASONING_MODEL.match(model) is not None


def function_schema(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a function's arguments; a function without any takes none."""
    return function.get('parameters') or {'type': 'object', 'properties': {}}
