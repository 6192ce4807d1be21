"""OpenAI Chat Completions, plain and streamed.

https://platform.openai.com/docs/api-reference/chat. A stream carries usage only if it was asked
to by `stream_options.include_usage`; cached and reasoning tokens are parts of the totals.
"""

import json
from collections.abc import Iterator
from typing import Any

from farthing_sim import tokens
from farthing_sim.caches import Caches
from farthing_sim.openai_common import (
    REQUEST_ID,
    check_model,
    failure,
    function_schema,
    reasons,
    served_tier,
)
from farthing_sim.openai_prompt import Prompt, check_cache, has_breakpoints
from farthing_sim.reply import Ask, Reply, Tool, reply
from farthing_sim.surface import Event, Input, Json, Refusal, Stamp, Visit, as_list, require

__all__ = ['API', 'REQUEST_ID', 'answer', 'check', 'check_model', 'events', 'failure', 'visit']

API = 'openai_chat'
_STOP = {'end': 'stop', 'length': 'length', 'sequence': 'stop', 'tool': 'tool_calls'}
_ROLES = frozenset({'system', 'developer', 'user', 'assistant', 'tool', 'function'})


def check(body: Json) -> None:
    """Raise a `Refusal` where OpenAI would."""
    require(body, 'model', str)
    messages = require(body, 'messages', list)
    if not messages:
        raise Refusal(400, "Invalid 'messages': empty array.", param='messages', code='empty_array')
    for i, message in enumerate(messages):
        if message.get('role') not in _ROLES:
            raise Refusal(
                400, f'Invalid value: {message.get("role")!r}.', param=f'messages[{i}].role',
                code='invalid_value',
            )  # fmt: skip
    _check_pairs(messages)
    if body.get('stream_options') and not body.get('stream'):
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param='stream_options',
        )
    check_cache(body, [message.get('content') for message in messages])


def visit(body: Json, stamp: Stamp, caches: Caches) -> Visit:
    """Count a checked request and look it up: the form of the answer, tools, messages."""
    prompt = Prompt()
    form = _schema(body)
    prompt.add(tokens.json_pieces(form) if form else ())
    for tool in body.get('tools') or ():
        prompt.add(tokens.json_pieces(tool))
    for message in body['messages']:
        calls = [call['function'] for call in message.get('tool_calls') or () if 'function' in call]
        called = [text for call in calls for text in (call['name'], call['arguments'])]
        prompt.add_message(message['role'], message.get('content'), *called)
    return caches.openai.visit(prompt, body, stamp)


def answer(body: Json, stamp: Stamp, given: Input) -> Json:
    """The `chat.completion` that answers a checked request."""
    replies = [reply(_read(body, variant=i)) for i in range(body.get('n') or 1)]
    return {
        'id': f'chatcmpl-sim{stamp.serial}',
        'object': 'chat.completion',
        'created': int(stamp.time_s),
        'model': body['model'],
        'choices': [_choice(i, said, stamp.serial) for i, said in enumerate(replies)],
        'usage': _usage(body, replies, given),
        'service_tier': served_tier(body),
        'system_fingerprint': 'fp_sim',
    }


def events(body: Json, answer: Json) -> Iterator[Event]:
    """The completion as chunks, closed by `[DONE]`."""
    with_usage = bool((body.get('stream_options') or {}).get('include_usage'))
    head = {
        **{key: answer[key] for key in ('id', 'created', 'model', 'service_tier')},
        'object': 'chat.completion.chunk',
        'system_fingerprint': answer['system_fingerprint'],
    }
    silent = {'usage': None} if with_usage else {}
    for choice in answer['choices']:
        for delta, reason in _deltas(choice):
            part = {
                'index': choice['index'],
                'delta': delta,
                'logprobs': None,
                'finish_reason': reason,
            }
            yield Event(body={**head, 'choices': [part], **silent})
    if with_usage:
        yield Event(body={**head, 'choices': [], 'usage': answer['usage']})
    yield Event(body='[DONE]')


def _check_pairs(messages: list[Json]) -> None:
    """Every tool call is answered before anything else is said."""
    open_ids: list[str] = []
    for i, message in enumerate(messages):
        if message['role'] == 'tool':
            if message.get('tool_call_id') not in open_ids:
                raise Refusal(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'.",
                    param=f'messages.[{i}].role',
                )
            open_ids.remove(message['tool_call_id'])
            continue
        if open_ids:
            break
        open_ids = [call['id'] for call in message.get('tool_calls') or ()]
    if open_ids:
        raise Refusal(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            f'{", ".join(open_ids)}',
            param='messages',
        )


def _read(body: Json, *, variant: int) -> Ask:
    messages = body['messages']
    last_user = max((i for i, m in enumerate(messages) if m['role'] == 'user'), default=0)
    after = messages[last_user:]
    called = [c['function']['name'] for m in after for c in m.get('tool_calls') or ()]
    stop = body.get('stop') or ()
    return Ask(
        text='\n'.join(_texts(messages[last_user])),
        tools=tuple(
            Tool(
                name=t['function']['name'],
                description=t['function'].get('description') or '',
                schema=function_schema(t['function']),
            )
            for t in body.get('tools') or ()
            if t.get('type') == 'function'
        ),
        choice=_choice_asked(body.get('tool_choice')),
        parallel=body.get('parallel_tool_calls') is not False,
        called=tuple(called),
        results=tuple('\n'.join(_texts(m)) for m in after if m['role'] == 'tool'),
        schema=_schema(body),
        json_mode=(body.get('response_format') or {}).get('type') == 'json_object',
        thinks=reasons(body['model'], body.get('reasoning_effort')),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        max_tokens=body.get('max_completion_tokens') or body.get('max_tokens'),
        variant=variant,
    )


def _texts(message: Json) -> list[str]:
    return [b['text'] for b in as_list(message.get('content')) if b.get('type') == 'text']


def _choice_asked(choice: Any) -> str:
    if isinstance(choice, dict):
        return f'only {choice["function"]["name"]}' if 'function' in choice else 'any'
    return {'required': 'any', None: 'auto'}.get(choice, str(choice))


def _schema(body: Json) -> Json | None:
    form = body.get('response_format') or {}
    if form.get('type') != 'json_schema':
        return None
    schema: Json = form['json_schema'].get('schema') or {}
    return schema


def _choice(index: int, said: Reply, serial: str) -> Json:
    message: Json = {
        'role': 'assistant',
        'content': said.text or (None if said.calls else ''),
        'refusal': None,
        'annotations': [],
    }
    if said.calls:
        message['tool_calls'] = [
            {
                'id': f'call_sim{serial}_{index}_{i}',
                'type': 'function',
                'function': {
                    'name': call.name,
                    'arguments': json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for i, call in enumerate(said.calls)
        ]
    return {
        'index': index,
        'message': message,
        'logprobs': None,
        'finish_reason': _STOP[said.stop],
    }


def _usage(body: Json, replies: list[Reply], given: Input) -> Json:
    completion = sum(said.output_tokens for said in replies)
    blocks = [b for m in body['messages'] for b in as_list(m.get('content'))]
    heard = sum(tokens.AUDIO_TOKENS for b in blocks if b.get('type') == 'input_audio')
    prompt_details = {'cached_tokens': given.read, 'audio_tokens': heard}
    if has_breakpoints(body['model']):
        prompt_details['cache_write_tokens'] = given.write
    return {
        'prompt_tokens': given.total,
        'completion_tokens': completion,
        'total_tokens': given.total + completion,
        'prompt_tokens_details': prompt_details,
        'completion_tokens_details': {
            'reasoning_tokens': sum(said.thinking_tokens for said in replies),
            'audio_tokens': 0,
            'accepted_prediction_tokens': 0,
            'rejected_prediction_tokens': 0,
        },
    }


def _deltas(choice: Json) -> Iterator[tuple[Json, str | None]]:
    """The deltas that make up a choice, each with the finish reason that it carries."""
    message = choice['message']
    calls = message.get('tool_calls', [])
    first = None if calls and not message['content'] else ''
    yield {'role': 'assistant', 'content': first, 'refusal': None}, None
    for piece in tokens.pieces(message['content'] or ''):
        yield {'content': piece}, None
    for index, call in enumerate(calls):
        opened = {**call, 'index': index, 'function': {**call['function'], 'arguments': ''}}
        yield {'tool_calls': [opened]}, None
        for piece in tokens.pieces(call['function']['arguments']):
            yield {'tool_calls': [{'index': index, 'function': {'arguments': piece}}]}, None
    yield {}, choice['finish_reason']
