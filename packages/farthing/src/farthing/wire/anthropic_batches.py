"""Anthropic's Message Batches: requests inline, no label, results as lines in any order.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from farthing.batching.retrying import Ending
from farthing.errors import BatchError
from farthing.wire.batches import Dialect, Line, Remote, Words, page
from farthing.wire.fields import inner, text

_PATHS = frozenset({'/messages', '/messages?beta=true'})
_OK = 200
_ENDINGS: Mapping[str, Ending] = MappingProxyType(
    {
        'succeeded': 'answered',
        'errored': 'errored',
        'canceled': 'cancelled',
        'expired': 'expired',
    }
)
# https://platform.claude.com/docs/en/api/errors
_STATUS = {
    'invalid_request_error': 400,
    'authentication_error': 401,
    'billing_error': 402,
    'permission_error': 403,
    'not_found_error': 404,
    'request_too_large': 413,
    'rate_limit_error': 429,
    'api_error': 500,
    'timeout_error': 504,
    'overloaded_error': 529,
}


def line(custom_id: str, path: str, body: bytes) -> bytes:
    """One request of a batch; all of them go to Messages."""
    del path
    return b'{"custom_id":"%s","params":%s}' % (custom_id.encode(), body)


def batched(body: Words) -> dict[str, Any]:
    """A request without `stream`, which no batch takes."""
    return {name: value for name, value in body.items() if name != 'stream'}


def place(path: str) -> str:
    """Where batches are created."""
    head, mark, query = path.partition('?')
    return f'{head}/batches{mark}{query}'


def creation(label: str, path: str, file: str) -> dict[str, Any]:
    """Nothing beside the requests: a batch takes no label."""
    del label, path, file
    return {}


def remote(words: Words) -> Remote:
    """A batch as it is shown."""
    counts = inner(words, 'request_counts')
    ended = words.get('processing_status') == 'ended'
    found = _id(words)
    return Remote(
        id=found,
        state='ended' if ended else 'running',
        created_s=datetime.fromisoformat(str(words.get('created_at'))).timestamp(),
        requests=sum(n for n in counts.values() if isinstance(n, int)) if counts else None,
        # The key is never sent to an address that an answer tells: `results_url` is this one.
        answered=counts.get('succeeded') if ended else None,
        outputs=(f'/messages/batches/{found}/results',) if ended else (),
    )


def query(after: str | None) -> dict[str, str]:
    """The query of a page."""
    return {'limit': '1000', **({} if after is None else {'after_id': after})}


def result(words: Words) -> Line:
    """One result. An error says its type and no status, so that the status follows from it."""
    told = inner(words, 'result')
    custom_id = text(words, 'custom_id') or ''
    ending = _ENDINGS.get(text(told, 'type') or '', 'missing')
    if ending == 'answered':
        return Line(
            custom_id=custom_id, ending=ending, status=_OK, body=inner(told, 'message')
        )  # fmt: skip
    if ending != 'errored':
        return Line(custom_id=custom_id, ending=ending, kind=text(told, 'type'))
    body = inner(told, 'error')
    error = inner(body, 'error') or body
    kind = text(error, 'type')
    return Line(
        custom_id=custom_id,
        ending=ending,
        status=_STATUS.get(kind or '', 500),
        body=body if 'error' in body else {'type': 'error', 'error': dict(body)},
        kind=kind,
        message=text(error, 'message') or '',
    )


def failure(kind: str, message: str) -> dict[str, Any]:
    """An error in Anthropic's shape."""
    return {'type': 'error', 'error': {'type': kind, 'message': message}}


def _id(words: Words) -> str:
    found = text(words, 'id')
    if found is None:
        raise BatchError(f'a message batch has no `id`, only {sorted(words)}')
    return found


MESSAGE_BATCHES = Dialect(
    paths=_PATHS,
    headers=frozenset({'anthropic-version', 'anthropic-beta'}),
    uploads=False,
    line=line,
    opening=(b'{"requests":[', b',', b']}'),
    batched=batched,
    place=place,
    creation=creation,
    remote=remote,
    listing=partial(page, remote),
    query=query,
    result=result,
    failure=failure,
)
