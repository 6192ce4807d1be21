"""Anthropic Messages: plain, streamed, and `count_tokens`.

https://docs.claude.com/en/api/messages and .../messages-streaming. `input_tokens` is the part
of the input that no cache served or stored, as there.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from farthing_sim import tokens
from farthing_sim.anthropic_blocks import render
from farthing_sim.anthropic_stream import stream
from farthing_sim.caches import Caches
from farthing_sim.reply import Ask, Reply, Tool, reply
from farthing_sim.surface import Event, Input, Json, Refusal, Stamp, Visit, as_list, require

API = 'anthropic_messages'
REQUEST_ID = 'request-id'

_MOST_MARKS = 4
_LEAST_THINKING = 1_024
_KINDS = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    500: 'api_error',
    529: 'overloaded_error',
}
_CALLER = {'type': 'direct'}
_STOP = {'end': 'end_turn', 'length': 'max_tokens', 'sequence': 'stop_sequence', 'tool': 'tool_use'}


def check(body: Json) -> None:
    """Raise a `Refusal` where Anthropic would."""
    most = require(body, 'max_tokens', int)
    if most < 0:
        raise Refusal(400, f'max_tokens: must be at least 0, not {most}')
    check_count(body)
    if most == 0:
        _check_warming(body)
    thinking = body.get('thinking') or {}
    if thinking.get('type') == 'enabled':
        budget = require(thinking, 'budget_tokens', int)
        if budget < _LEAST_THINKING or budget >= most:
            raise Refusal(
                400,
                f'thinking.budget_tokens: must be at least {_LEAST_THINKING} and below '
                f'`max_tokens` ({most}), not {budget}',
            )
        if (body.get('tool_choice') or {}).get('type') in {'any', 'tool'}:
            raise Refusal(400, 'Thinking may not be enabled when tool_choice forces tool use.')


def check_model(body: Json, models: Mapping[str, int]) -> None:
    """Refuse a model that is none of these, or more output than it gives."""
    model, asked = body['model'], body['max_tokens']
    if model not in models:
        raise Refusal(404, f'model: {model}')
    # https://github.com/anthropics/claude-code/issues/24451
    if asked > models[model]:
        raise Refusal(
            400,
            f'max_tokens: {asked} > {models[model]}, which is the maximum allowed number of output '
            f'tokens for {model}',
        )


def check_count(body: Json) -> None:
    """Raise a `Refusal` where `count_tokens` would."""
    require(body, 'model', str)
    messages = require(body, 'messages', list)
    if not messages:
        raise Refusal(400, 'messages: at least one message is required')
    for i, message in enumerate(messages):
        if message.get('role') not in {'user', 'assistant', 'system'}:
            raise Refusal(400, f'messages.{i}.role: Input should be `user` or `assistant`')
        require(message, 'content', (str, list))
    _check_pairs(messages)
    marks = sum(_count_marks(body.get(part)) for part in ('tools', 'system', 'messages'))
    marks += bool(body.get('cache_control'))
    if marks > _MOST_MARKS:
        raise Refusal(
            400,
            f'A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {marks}.',
        )


def visit(body: Json, stamp: Stamp, caches: Caches) -> Visit:
    """Count a checked request and look it up.

    Raises:
        Refusal: A mark stands where none may.
    """
    return caches.anthropic.visit(render(body), body['model'], stamp)


def answer(body: Json, stamp: Stamp, given: Input) -> Json:
    """The `message` that answers a checked request."""
    said = reply(_read(body))
    return {
        'model': body['model'],
        'id': f'msg_sim_{stamp.serial}',
        'type': 'message',
        'role': 'assistant',
        # Nothing is said to a request that only fills the cache.
        'content': _blocks(said, stamp.serial) if body['max_tokens'] else [],
        'stop_reason': _STOP[said.stop],
        'stop_sequence': said.stop_sequence,
        'stop_details': None,
        'usage': _usage(body, said, given),
    }


def diagnose(body: Json, stamp: Stamp, answer: Json, caches: Caches) -> Json | None:
    """The answer's `diagnostics`; its request is remembered for those that come after it."""
    prompt = render(body)
    diagnostics = caches.fingerprints.diagnose(body, prompt, stamp)
    caches.fingerprints.remember(body, prompt, stamp, answer['id'])
    return diagnostics


def count(body: Json) -> Json:
    """The answer of `count_tokens`: the input tokens that the same request is billed for."""
    return {'input_tokens': render(body).tokens}


def events(body: Json, answer: Json) -> Iterator[Event]:  # noqa: ARG001 - as every surface
    """The message as server-sent events."""
    for event in stream(answer):
        yield Event(name=event['type'], body=event)


def failure(refusal: Refusal, request_id: str) -> Json:
    """An error in Anthropic's shape."""
    kind = refusal.kind or _KINDS.get(refusal.status, 'api_error')
    error = {'type': kind, 'message': refusal.message}
    return {'type': 'error', 'error': error, 'request_id': request_id}


def _check_warming(body: Json) -> None:
    """No tokens are asked for: what would need some is refused."""
    forbidden = {
        'stream': body.get('stream'),
        'thinking': (body.get('thinking') or {}).get('type') == 'enabled',
        'output_config.format': (body.get('output_config') or {}).get('format'),
        'tool_choice': (body.get('tool_choice') or {}).get('type') in {'any', 'tool'},
    }
    for name, asked in forbidden.items():
        if asked:
            raise Refusal(400, f'max_tokens: 0 is not allowed together with {name}')


def _check_pairs(messages: list[Json]) -> None:
    """Every `tool_use` is answered by the next turn, and nothing else is."""
    asked: set[str] = set()
    for i, blocks in enumerate([*_turns(messages), []]):
        answered = {b['tool_use_id'] for b in blocks if b.get('type') == 'tool_result'}
        if asked - answered:
            raise Refusal(
                400,
                f'messages: turn {i}: `tool_use` ids were found without `tool_result` blocks '
                f'immediately after: {", ".join(sorted(asked - answered))}.',
            )
        if answered - asked:
            raise Refusal(
                400,
                f'messages: turn {i}: unexpected `tool_use_id` found in `tool_result` blocks: '
                f'{", ".join(sorted(answered - asked))}.',
            )
        asked = {b['id'] for b in blocks if b.get('type') == 'tool_use'}


def _turns(messages: list[Json]) -> list[list[Json]]:
    """The blocks of each turn: messages of one role in a row are one turn to the API."""
    return [
        [block for message in turn for block in as_list(message['content'])]
        for _, turn in itertools.groupby(messages, key=itemgetter('role'))
    ]


def _count_marks(part: Any) -> int:
    if isinstance(part, dict):
        own = 1 if part.get('cache_control') else 0
        return own + sum(_count_marks(part.get(key)) for key in ('content',))
    return sum(map(_count_marks, part)) if isinstance(part, list) else 0


def _read(body: Json) -> Ask:
    messages = body['messages']
    last_user = max((i for i, m in enumerate(messages) if _texts(m)), default=0)
    after = messages[last_user:]
    called = [
        b['name'] for m in after for b in as_list(m['content']) if b.get('type') == 'tool_use'
    ]
    results = [
        '\n'.join(_strings(b.get('content')))
        for m in after
        for b in as_list(m['content'])
        if b.get('type') == 'tool_result'
    ]
    declared = body.get('tools') or ()
    choice = body.get('tool_choice') or {}
    output = body.get('output_config') or {}
    form = output.get('format') or body.get('output_format') or {}
    return Ask(
        text='\n'.join(_texts(messages[last_user])),
        tools=tuple(
            Tool(name=t['name'], description=t.get('description', ''), schema=t['input_schema'])
            for t in declared
            if 'input_schema' in t
        ),
        choice=f'only {choice["name"]}'
        if choice.get('type') == 'tool'
        else choice.get('type', 'auto'),
        parallel=not choice.get('disable_parallel_tool_use', False),
        called=tuple(called),
        results=tuple(results),
        schema=form.get('schema') if form.get('type') == 'json_schema' else None,
        thinks=(body.get('thinking') or {}).get('type') in {'enabled', 'adaptive'},
        may_search=body['max_tokens'] > 0
        and any(str(t.get('type', '')).startswith('web_search') for t in declared),
        stop=tuple(body.get('stop_sequences') or ()),
        max_tokens=body['max_tokens'],
    )


def _texts(message: Json) -> list[str]:
    """What a user message says itself, beside the results of tools that it carries."""
    if message['role'] != 'user':
        return []
    return [b['text'] for b in as_list(message['content']) if b.get('type') == 'text' and b['text']]


def _strings(content: Any) -> list[str]:
    return [block['text'] for block in as_list(content) if block.get('type') == 'text']


def _blocks(said: Reply, serial: str) -> list[Json]:
    blocks: list[Json] = []
    if said.thinking:
        signature = hashlib.sha256(said.thinking.encode('utf-8', 'replace')).hexdigest()
        blocks.append({'type': 'thinking', 'thinking': said.thinking, 'signature': signature})
    if said.search is not None:
        blocks += _search_blocks(said.search, f'srvtoolu_sim_{serial}')
    if said.text or not said.calls:
        blocks.append({'type': 'text', 'text': said.text})
    for i, call in enumerate(said.calls):
        blocks.append(
            {
                'type': 'tool_use',
                'id': f'toolu_sim_{serial}_{i}',
                'name': call.name,
                'input': dict(call.arguments),
                'caller': _CALLER,
            }
        )
    return blocks


def _search_blocks(query: str, block_id: str) -> list[Json]:
    found = {
        'type': 'web_search_result',
        'title': f'Simulated page about {query}',
        'url': 'https://example.com/',
        'encrypted_content': hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest(),
        'page_age': None,
    }
    asked = {
        'type': 'server_tool_use', 'id': block_id, 'name': 'web_search',
        'input': {'query': query}, 'caller': _CALLER,
    }  # fmt: skip
    result = {
        'type': 'web_search_tool_result', 'tool_use_id': block_id, 'content': [found],
        'caller': _CALLER,
    }  # fmt: skip
    return [asked, result]


def _usage(body: Json, said: Reply, given: Input) -> Json:
    searches = int(said.search is not None)
    usage: Json = {
        'input_tokens': given.total - given.read - given.write + searches * tokens.SEARCH_TOKENS,
        'cache_creation_input_tokens': given.write,
        'cache_read_input_tokens': given.read,
        'cache_creation': {
            'ephemeral_5m_input_tokens': given.write_5m,
            'ephemeral_1h_input_tokens': given.write_1h,
        },
        'output_tokens': said.output_tokens,
        'service_tier': 'standard',
        'inference_geo': body.get('inference_geo') or 'global',
    }
    if said.thinking_tokens:
        usage['output_tokens_details'] = {'thinking_tokens': said.thinking_tokens}
    if body.get('speed'):
        usage['speed'] = body['speed']
    if any(str(tool.get('type', '')).startswith('web_') for tool in body.get('tools') or ()):
        usage['server_tool_use'] = {'web_search_requests': searches, 'web_fetch_requests': 0}
    return usage
