"""OpenAI Responses, plain and streamed.

https://platform.openai.com/docs/api-reference/responses and .../responses-streaming. A request
may go on from an earlier answer (`previous_response_id`); its items come in `Stamp.history` and
are billed as input again.
"""

import json
from collections.abc import Iterable, Iterator
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
from farthing_sim.openai_prompt import Prompt, check_cache
from farthing_sim.reply import Ask, Reply, Tool, reply
from farthing_sim.surface import Event, Input, Json, Refusal, Stamp, Visit, require

__all__ = [
    'API',
    'REQUEST_ID',
    'answer',
    'check',
    'check_model',
    'events',
    'failure',
    'items',
    'visit',
]

API = 'openai_responses'
_ECHOED: Json = {
    'background': False, 'instructions': None, 'max_output_tokens': None, 'max_tool_calls': None,
    'metadata': {}, 'parallel_tool_calls': True, 'previous_response_id': None,
    'prompt_cache_key': None, 'safety_identifier': None, 'store': True, 'temperature': 1.0,
    'tool_choice': 'auto', 'top_logprobs': 0, 'top_p': 1.0, 'truncation': 'disabled', 'user': None,
}  # fmt: skip
_TEXT_KINDS = frozenset({'input_text', 'output_text', 'text'})


def check(body: Json) -> None:
    """Raise a `Refusal` where OpenAI would."""
    require(body, 'model', str)
    given = require(body, 'input', (str, list))
    if not given and 'previous_response_id' not in body:
        raise Refusal(400, "Invalid 'input': it is empty.", param='input')
    least = 16  # https://platform.openai.com/docs/api-reference/responses/create
    most = body.get('max_output_tokens')
    if most is not None and most < least:
        raise Refusal(
            400,
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f'{least}, but got {most} instead.',
            param='max_output_tokens',
            code='integer_below_min_value',
        )
    items = _items(given)
    check_cache(body, [item.get('content', item.get('output')) for item in items])


def visit(body: Json, stamp: Stamp, caches: Caches) -> Visit:
    """Count a checked request and look it up: the form of the answer, tools, text, items."""
    prompt = Prompt()
    form = _format(body).get('schema')
    prompt.add(tokens.json_pieces(form) if form else ())
    for tool in body.get('tools') or ():
        prompt.add(tokens.json_pieces(tool))
    prompt.add(tokens.content_pieces(body.get('instructions')))
    for item in (*stamp.history, *_items(body['input'])):
        match item.get('type'):
            case 'reasoning':
                pass
            case 'function_call':
                prompt.add(tokens.content_pieces([item['name'], item['arguments']]))
            case kind:
                prompt.add_message(str(item.get('role') or kind), *tokens.read_values(item))
    return caches.openai.visit(prompt, body, stamp)


def answer(body: Json, stamp: Stamp, given: Input) -> Json:
    """The `response` that answers a checked request."""
    said = reply(_read(body, stamp.history))
    created = int(stamp.time_s)
    cut = said.stop == 'length'
    searches = {'web_search': {'num_requests': int(said.search is not None)}}
    return {
        'id': f'resp_sim{stamp.serial}',
        'object': 'response',
        'created_at': created,
        'status': 'incomplete' if cut else 'completed',
        'completed_at': None if cut else created,
        'error': None,
        'incomplete_details': {'reason': 'max_output_tokens'} if cut else None,
        'model': body['model'],
        'output': _output(body, said, stamp.serial),
        'frequency_penalty': 0.0,
        'presence_penalty': 0.0,
        'reasoning': {'effort': None, 'summary': None} | (body.get('reasoning') or {}),
        'service_tier': served_tier(body),
        'text': {'format': _format(body), 'verbosity': 'medium'},
        'tools': [_echoed_tool(tool) for tool in body.get('tools') or ()],
        'tool_usage': searches,
        'usage': _usage(said, given),
        **{key: _or_default(body.get(key), default) for key, default in _ECHOED.items()},
    }


def items(body: Json, history: tuple[Json, ...], answer: Json) -> tuple[Json, ...]:
    """The conversation up to an answer, as a later request goes on from it."""
    return (*history, *_items(body['input']), *answer['output'])


def events(body: Json, answer: Json) -> Iterator[Event]:  # noqa: ARG001 - as every surface
    """The response as numbered events."""
    for number, event in enumerate(_events(answer)):
        yield Event(name=event['type'], body={**event, 'sequence_number': number})


def _items(given: Any) -> list[Json]:
    return [{'role': 'user', 'content': given}] if isinstance(given, str) else list(given)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part['text'] for part in content or () if part.get('type') in _TEXT_KINDS]


def _read(body: Json, history: tuple[Json, ...]) -> Ask:
    whole = [*history, *_items(body['input'])]
    last_user = max((i for i, item in enumerate(whole) if item.get('role') == 'user'), default=0)
    after = whole[last_user:]
    choice = body.get('tool_choice') or 'auto'
    if isinstance(choice, dict):
        choice = f'only {choice["name"]}' if 'name' in choice else 'any'
    form = _format(body)
    declared = body.get('tools') or ()
    return Ask(
        text='\n'.join(_texts(whole[last_user].get('content'))) if whole else '',
        tools=tuple(
            Tool(
                name=tool['name'],
                description=tool.get('description') or '',
                schema=function_schema(tool),
            )
            for tool in declared
            if tool['type'] == 'function'
        ),
        choice='any' if choice == 'required' else choice,
        parallel=body.get('parallel_tool_calls') is not False,
        called=tuple(i['name'] for i in after if i.get('type') == 'function_call'),
        results=tuple(
            '\n'.join(_texts(i['output'])) for i in after if i.get('type') == 'function_call_output'
        ),
        schema=form.get('schema') if form['type'] == 'json_schema' else None,
        json_mode=form['type'] == 'json_object',
        thinks=reasons(body['model'], (body.get('reasoning') or {}).get('effort')),
        may_search=any(tool['type'].startswith('web_search') for tool in declared),
        max_tokens=body.get('max_output_tokens'),
    )


def _format(body: Json) -> Json:
    form: Json = (body.get('text') or {}).get('format') or {'type': 'text'}
    if form['type'] != 'json_schema':
        return form
    return {'type': 'json_schema', 'description': None, 'strict': False} | form


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _echoed_tool(tool: Json) -> Json:
    if tool['type'] != 'function':
        return tool
    return {'description': None, 'strict': True} | tool | {'parameters': function_schema(tool)}


def _output(body: Json, said: Reply, serial: str) -> list[Json]:
    ended = 'incomplete' if said.stop == 'length' else 'completed'
    output: list[Json] = []
    if said.thinking_tokens:
        told = bool((body.get('reasoning') or {}).get('summary'))
        summary = [{'type': 'summary_text', 'text': said.thinking}] if told else []
        output.append({'id': f'rs_sim{serial}', 'type': 'reasoning', 'summary': summary})
    if said.search is not None:
        action = {'type': 'search', 'query': said.search}
        output.append({
            'id': f'ws_sim{serial}', 'type': 'web_search_call', 'status': 'completed',
            'action': action,
        })  # fmt: skip
    if said.text:
        part = {'type': 'output_text', 'text': said.text, 'annotations': [], 'logprobs': []}
        output.append({
            'id': f'msg_sim{serial}', 'type': 'message', 'status': ended, 'role': 'assistant',
            'content': [part],
        })  # fmt: skip
    output += [
        {
            'id': f'fc_sim{serial}_{i}',
            'type': 'function_call',
            'status': 'completed',
            'call_id': f'call_sim{serial}_{i}',
            'name': call.name,
            'arguments': json.dumps(call.arguments, ensure_ascii=False),
        }
        for i, call in enumerate(said.calls)
    ]
    return output


def _usage(said: Reply, given: Input) -> Json:
    return {
        'input_tokens': given.total,
        'input_tokens_details': {'cached_tokens': given.read, 'cache_write_tokens': given.write},
        'output_tokens': said.output_tokens,
        'output_tokens_details': {'reasoning_tokens': said.thinking_tokens},
        'total_tokens': given.total + said.output_tokens,
    }


def _events(answer: Json) -> Iterator[Json]:
    begun = answer | {
        'status': 'in_progress', 'output': [], 'usage': None, 'completed_at': None,
        'incomplete_details': None,
        'service_tier': 'auto' if answer['service_tier'] == 'default' else answer['service_tier'],
    }  # fmt: skip
    yield {'type': 'response.created', 'response': begun}
    yield {'type': 'response.in_progress', 'response': begun}
    for index, item in enumerate(answer['output']):
        for event in _item_events(item):
            yield {**event, 'output_index': index}
    yield {'type': f'response.{answer["status"]}', 'response': answer}


def _item_events(item: Json) -> Iterator[Json]:
    at = {'item_id': item['id']}
    opened = item
    inner: Iterable[Json] = ()
    match item['type']:
        case 'message':
            opened = item | {'status': 'in_progress', 'content': []}
            inner = _text_events(item['content'][0], at)
        case 'function_call':
            opened = item | {'status': 'in_progress', 'arguments': ''}
            inner = _argument_events(item['arguments'], at)
        case 'reasoning':
            opened = item | {'summary': []}
            inner = _summary_events(item['summary'], at)
        case 'web_search_call':
            opened = {key: item[key] for key in ('id', 'type')} | {'status': 'in_progress'}
            steps = ('in_progress', 'searching', 'completed')
            inner = [{'type': f'response.web_search_call.{step}', **at} for step in steps]
    yield {'type': 'response.output_item.added', 'item': opened}
    yield from inner
    yield {'type': 'response.output_item.done', 'item': item}


def _text_events(part: Json, at: Json) -> Iterator[Json]:
    at = {**at, 'content_index': 0}
    yield {'type': 'response.content_part.added', **at, 'part': part | {'text': ''}}
    for piece in tokens.pieces(part['text']):
        yield {'type': 'response.output_text.delta', **at, 'delta': piece, 'logprobs': []}
    yield {'type': 'response.output_text.done', **at, 'text': part['text'], 'logprobs': []}
    yield {'type': 'response.content_part.done', **at, 'part': part}


def _argument_events(arguments: str, at: Json) -> Iterator[Json]:
    for piece in tokens.pieces(arguments):
        yield {'type': 'response.function_call_arguments.delta', **at, 'delta': piece}
    yield {'type': 'response.function_call_arguments.done', **at, 'arguments': arguments}


def _summary_events(summary: list[Json], at: Json) -> Iterator[Json]:
    for index, part in enumerate(summary):
        here = {**at, 'summary_index': index}
        yield {'type': 'response.reasoning_summary_part.added', **here, 'part': part | {'text': ''}}
        for piece in tokens.pieces(part['text']):
            yield {'type': 'response.reasoning_summary_text.delta', **here, 'delta': piece}
        yield {'type': 'response.reasoning_summary_text.done', **here, 'text': part['text']}
        yield {'type': 'response.reasoning_summary_part.done', **here, 'part': part}
