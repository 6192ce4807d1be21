"""A whole answer as the events of a stream, for callers that asked for one: all text in one event.

A batch streams nothing. Who asked for a stream all the same reads one, in the provider's own form.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from farthing.wire.fields import inner, objects

Words = Mapping[str, Any]
Event = tuple[str | None, Any]


def streamed(api: str, answer: Words, request: Words) -> bytes:
    """The stream of an answer to a request of that API."""
    return b''.join(map(_event, _EVENTS[api](answer, request)))


def _event(event: Event) -> bytes:
    name, body = event
    text = body.encode() if isinstance(body, str) else orjson.dumps(body)
    head = b'' if name is None else b'event: %s\n' % name.encode()
    return head + b'data: ' + text + b'\n\n'


def _anthropic(answer: Words, request: Words) -> Iterator[Event]:
    del request
    usage = inner(answer, 'usage')
    head = {**answer, 'content': [], 'stop_reason': None, 'stop_sequence': None}
    yield 'message_start', {'type': 'message_start', 'message': head}
    for index, block in enumerate(objects(answer.get('content'))):
        empty, deltas = _anthropic_block(block)
        yield (
            'content_block_start',
            {'type': 'content_block_start', 'index': index, 'content_block': empty},
        )
        for delta in deltas:
            yield (
                'content_block_delta',
                {'type': 'content_block_delta', 'index': index, 'delta': delta},
            )
        yield 'content_block_stop', {'type': 'content_block_stop', 'index': index}
    ended = {name: answer.get(name) for name in ('stop_reason', 'stop_sequence')}
    told = {name: value for name, value in usage.items() if isinstance(value, int)}
    yield 'message_delta', {'type': 'message_delta', 'delta': ended, 'usage': told}
    yield 'message_stop', {'type': 'message_stop'}


def _anthropic_block(block: Words) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that fill it."""
    kind = block.get('type')
    if kind == 'text':
        cited = objects(block.get('citations'))
        empty = {**block, 'text': '', 'citations': []} if cited else {**block, 'text': ''}
        return empty, [
            {'type': 'text_delta', 'text': block.get('text')},
            *({'type': 'citations_delta', 'citation': one} for one in cited),
        ]
    if kind == 'thinking':
        return {**block, 'thinking': '', 'signature': ''}, [
            {'type': 'thinking_delta', 'thinking': block.get('thinking')},
            {'type': 'signature_delta', 'signature': block.get('signature')},
        ]
    if kind in {'tool_use', 'server_tool_use'}:
        written = orjson.dumps(block.get('input')).decode()
        return {**block, 'input': {}}, [{'type': 'input_json_delta', 'partial_json': written}]
    return dict(block), []


def _openai_chat(answer: Words, request: Words) -> Iterator[Event]:
    head = {**answer, 'object': 'chat.completion.chunk'}
    usage = head.pop('usage', None)
    choices = objects(answer.get('choices'))
    whole = [
        {
            'index': choice.get('index'),
            'delta': _openai_delta(inner(choice, 'message')),
            'finish_reason': None,
            'logprobs': choice.get('logprobs'),
        }
        for choice in choices
    ]
    ended: list[dict[str, Any]] = [
        {'index': one.get('index'), 'delta': {}, 'finish_reason': one.get('finish_reason')}
        for one in choices
    ]
    yield None, {**head, 'choices': whole}
    yield None, {**head, 'choices': ended}
    if inner(request, 'stream_options').get('include_usage'):
        yield None, {**head, 'choices': [], 'usage': usage}
    yield None, '[DONE]'


def _openai_delta(message: Words) -> dict[str, Any]:
    calls = [{'index': at, **one} for at, one in enumerate(objects(message.get('tool_calls')))]
    delta = {name: value for name, value in message.items() if name != 'tool_calls'}
    return {**delta, 'tool_calls': calls} if calls else delta


def _responses(answer: Words, request: Words) -> Iterator[Event]:
    del request
    number = 0

    def event(kind: str, **facts: Any) -> Event:
        nonlocal number
        number += 1
        return kind, {'type': kind, 'sequence_number': number - 1, **facts}

    begun = {**answer, 'output': [], 'status': 'in_progress', 'usage': None}
    yield event('response.created', response=begun)
    for index, item in enumerate(objects(answer.get('output'))):
        empty = {name: [] if name == 'content' else value for name, value in item.items()}
        if item.get('type') == 'function_call':
            empty['arguments'] = ''
        at = {'output_index': index, 'item_id': item.get('id')}
        yield event('response.output_item.added', output_index=index, item=empty)
        if item.get('type') == 'function_call':
            written = item.get('arguments')
            yield event('response.function_call_arguments.delta', **at, delta=written)
            yield event('response.function_call_arguments.done', **at, arguments=written)
        for place, part in enumerate(objects(item.get('content'))):
            here = {**at, 'content_index': place}
            refused = part.get('type') == 'refusal'
            begun_part = {**part, 'refusal' if refused else 'text': ''}
            yield event('response.content_part.added', **here, part=begun_part)
            if part.get('type') == 'output_text':
                text = part.get('text')
                yield event('response.output_text.delta', **here, delta=text, logprobs=[])
                yield event('response.output_text.done', **here, text=text, logprobs=[])
            if refused:
                text = part.get('refusal')
                yield event('response.refusal.delta', **here, delta=text)
                yield event('response.refusal.done', **here, refusal=text)
            yield event('response.content_part.done', **here, part=part)
        yield event('response.output_item.done', output_index=index, item=item)
    kind = 'completed' if answer.get('status') == 'completed' else answer.get('status')
    yield event(f'response.{kind}', response=dict(answer))


_EVENTS = {
    'anthropic_messages': _anthropic,
    'openai_chat': _openai_chat,
    'openai_responses': _responses,
}
