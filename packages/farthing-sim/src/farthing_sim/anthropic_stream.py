"""A message of Anthropic's as it is streamed.

https://docs.claude.com/en/api/messages-streaming. The first event knows the input, as far as the
request tells it, and the cache; the last one the rest.
"""

import json
from collections.abc import Iterator

from farthing_sim import tokens
from farthing_sim.surface import Json

_TOLD_AT_THE_END = ('server_tool_use', 'output_tokens_details')
# What only the first event of a stream tells; the last one repeats the rest, cumulated.
_TOLD_AT_THE_START = ('cache_creation', 'service_tier', 'inference_geo', 'speed')


def stream(answer: Json) -> Iterator[Json]:
    """The events of a whole answer, in their order."""
    usage = answer['usage']
    searched = (usage.get('server_tool_use') or {}).get('web_search_requests', 0)
    begun = {key: usage[key] for key in usage if key not in _TOLD_AT_THE_END}
    begun |= {
        'input_tokens': usage['input_tokens'] - searched * tokens.SEARCH_TOKENS,
        'output_tokens': min(1, usage['output_tokens']),
    }
    empty: Json = {'content': [], 'stop_reason': None, 'stop_sequence': None, 'usage': begun}
    yield {'type': 'message_start', 'message': {**answer, **empty}}
    for index, block in enumerate(answer['content']):
        start, deltas = _deltas(block)
        yield {'type': 'content_block_start', 'index': index, 'content_block': start}
        if index == 0:
            yield {'type': 'ping'}
        for delta in deltas:
            yield {'type': 'content_block_delta', 'index': index, 'delta': delta}
        yield {'type': 'content_block_stop', 'index': index}
    yield {
        'type': 'message_delta',
        'delta': {key: answer[key] for key in ('stop_reason', 'stop_sequence', 'stop_details')},
        'usage': {key: usage[key] for key in usage if key not in _TOLD_AT_THE_START},
    }
    yield {'type': 'message_stop'}


def _deltas(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts, and the deltas that complete it."""
    match block['type']:
        case 'text':
            parts = tokens.pieces(block['text'])
            return {**block, 'text': ''}, [{'type': 'text_delta', 'text': part} for part in parts]
        case 'thinking':
            deltas = [
                {'type': 'thinking_delta', 'thinking': part}
                for part in tokens.pieces(block['thinking'])
            ]
            deltas.append({'type': 'signature_delta', 'signature': block['signature']})
            return {**block, 'thinking': '', 'signature': ''}, deltas
        case 'tool_use' | 'server_tool_use':
            written = json.dumps(block['input'], ensure_ascii=False) if block['input'] else ''
            parts = ['', *tokens.pieces(written)]
            return {**block, 'input': {}}, [
                {'type': 'input_json_delta', 'partial_json': part} for part in parts
            ]
        case _:
            return block, []
