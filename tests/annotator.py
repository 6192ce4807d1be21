"""A hand-written annotator that keeps the contract of `farthing.run.annotates.Annotates`.

It marks the last tool, the last system block and the last block of the last message, within
Anthropic's limit of four; for OpenAI it takes those marks out and sets a key.
"""

from collections.abc import Mapping
from typing import Any

MARK = {'type': 'ephemeral'}
KEY = 'farthing-test'
_MOST = 4


class Marking:
    """Marks as described above; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    def annotate(
        self, payload: Mapping[str, Any], *, provider: str, api: str, model: str | None = None
    ) -> Mapping[str, Any]:
        self.asked.append((provider, api, payload.get('model') or model))
        if api == 'anthropic_messages':
            return _marked(payload)
        return {**_unmarked(payload), 'prompt_cache_key': KEY}

    def __reduce__(self):
        return type(self), ()


def marks(body: Any) -> list[str]:
    """Where a body carries Anthropic's marks, as paths."""
    return list(_marks(body, ''))


def _marks(value: Any, path: str):
    if isinstance(value, dict):
        if 'cache_control' in value:
            yield path
        for name, inner in value.items():
            yield from _marks(inner, f'{path}/{name}')
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _marks(inner, f'{path}/{i}')


def without_marks(body: Any) -> Any:
    """A body as it would be without any annotation."""
    if isinstance(body, dict):
        told = {'cache_control', 'prompt_cache_key'}
        return {name: without_marks(inner) for name, inner in body.items() if name not in told}
    if isinstance(body, list):
        return [without_marks(inner) for inner in body]
    return body


def plain(body: Any) -> Any:
    """A body without marks, whose strings of content are blocks: what the provider reads."""
    if isinstance(body, dict):
        told = without_marks(body)
        for name in {'content', 'system'} & told.keys():
            if isinstance(told[name], str):
                told[name] = [{'type': 'text', 'text': told[name]}]
        return {name: plain(inner) for name, inner in told.items()}
    return [plain(inner) for inner in body] if isinstance(body, list) else body


def _marked(payload: Mapping[str, Any]) -> dict[str, Any]:
    sent = dict(payload)
    free = _MOST - len(marks(sent))
    if free > 0 and sent.get('system'):
        sent['system'] = _last(sent['system'])
        free -= 1
    if free > 0 and sent.get('tools'):
        sent['tools'] = _last(sent['tools'])
        free -= 1
    if free > 0 and sent['messages'] and sent['messages'][-1]['content']:
        *earlier, last = sent['messages']
        sent['messages'] = [*earlier, {**last, 'content': _last(last['content'])}]
    return sent


def _last(blocks: Any) -> list[Any]:
    if isinstance(blocks, str):
        blocks = [{'type': 'text', 'text': blocks}]
    *earlier, last = blocks
    return [*earlier, {'cache_control': MARK, **last}]


def _unmarked(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Only lists and dicts of the prompt are walked: other values may be classes."""
    return {name: _stripped(value) for name, value in payload.items()}


def _stripped(value: Any) -> Any:
    if type(value) is dict:
        return {name: _stripped(one) for name, one in value.items() if name != 'cache_control'}
    return [_stripped(one) for one in value] if type(value) is list else value
