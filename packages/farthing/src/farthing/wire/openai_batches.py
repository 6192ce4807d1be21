"""OpenAI's Batch API: a file goes up, a batch is made of it, and two files come down.

https://platform.openai.com/docs/guides/batch
"""

from functools import partial
from typing import Any

from farthing.errors import BatchError
from farthing.wire.batches import Dialect, Line, Remote, Words, page
from farthing.wire.fields import inner, objects, text

_PATHS = frozenset({'/chat/completions', '/responses', '/embeddings'})
_LABEL = 'farthing_sub'
_STREAMS = frozenset({'stream', 'stream_options'})
_ENDED = frozenset({'completed', 'expired', 'cancelled'})
_EXPIRED = frozenset({'batch_expired', 'request_timeout'})
_CANCELLED = frozenset({'batch_cancelled'})
_FIRST_ERROR = 400
_OF_THE_FILE = frozenset({'model_not_found'})
"""Errors of which the first line is told, and which all lines of a file share."""


def line(custom_id: str, path: str, body: bytes) -> bytes:
    """One line of the file."""
    return b'{"custom_id":"%s","method":"POST","url":"/v1%s","body":%s}' % (
        custom_id.encode(),
        path.encode(),
        body,
    )


def batched(body: Words) -> dict[str, Any]:
    """A request without what asks for a stream, which no batch takes."""
    return {name: value for name, value in body.items() if name not in _STREAMS}


def place(path: str) -> str:
    """Where batches are created: one place for all paths."""
    del path
    return '/batches'


def creation(label: str, path: str, file: str) -> dict[str, Any]:
    """The body that creates a batch."""
    return {
        'input_file_id': file,
        'endpoint': f'/v1{path}',
        'completion_window': '24h',
        'metadata': {_LABEL: label},
    }


def remote(words: Words) -> Remote:
    """A batch as it is shown."""
    status = words.get('status')
    errors = objects(inner(words, 'errors').get('data'))
    shared = any(one.get('code') in _OF_THE_FILE for one in errors)
    lines = [] if shared else [one.get('line') for one in errors]
    outputs = (text(words, 'output_file_id'), text(words, 'error_file_id'))
    counts = inner(words, 'request_counts')
    created, total = words.get('created_at'), counts.get('total')
    found = text(words, 'id')
    if found is None or not isinstance(created, int):
        raise BatchError(f'a batch has no `id` or `created_at`, only {sorted(words)}')
    # For a moment a completed batch does not say where its results are.
    # https://github.com/BerriAI/litellm/issues/33987
    needed = outputs[:1] if counts.get('completed') else outputs
    told = any(needed) or not (counts.get('completed') or counts.get('failed'))
    return Remote(
        id=found,
        state='failed'
        if status == 'failed'
        else 'ended'
        if status in _ENDED and told
        else 'running',
        created_s=float(created),
        requests=total if isinstance(total, int) and total > 0 else None,
        label=text(inner(words, 'metadata'), _LABEL),
        file=text(words, 'input_file_id'),
        # A file that holds nothing is null, and now and then an empty string.
        # https://github.com/tobert/kaibo/pull/93
        outputs=tuple(f'/files/{one}/content' for one in outputs if one),
        answered=counts.get('completed'),
        # A batch of before September 2025, or of a gateway, has no usage, or one of zeros.
        tokens=inner(words, 'usage').get('total_tokens') or None,
        full=any(one.get('code') == 'token_limit_exceeded' for one in errors),
        large=any(_is_size(one.get('code')) for one in errors),
        refused=tuple(one - 1 for one in lines if isinstance(one, int) and one > 0),
        reason='; '.join(text(one, 'message') or text(one, 'code') or '' for one in errors) or None,
    )


def _is_size(code: Any) -> bool:
    """Whether an error is about how much a file holds: bytes, requests, or texts to embed."""
    return isinstance(code, str) and ('too_large' in code or 'too_many' in code)


def query(after: str | None) -> dict[str, str]:
    """The query of a page."""
    return {'limit': '100', **({} if after is None else {'after': after})}


def result(words: Words) -> Line:
    """One result, of the file of answers or of the file of errors."""
    response, error = inner(words, 'response'), inner(words, 'error')
    custom_id = text(words, 'custom_id') or ''
    kind, message = text(error, 'code'), text(error, 'message') or ''
    if kind in _EXPIRED:
        return Line(custom_id=custom_id, ending='expired', kind=kind, message=message)
    if kind in _CANCELLED:
        return Line(custom_id=custom_id, ending='cancelled', kind=kind, message=message)
    status = response.get('status_code')
    status = status if isinstance(status, int) else 0
    body = response.get('body')
    body = body if isinstance(body, dict) else None
    if 0 < status < _FIRST_ERROR and body is not None:
        return Line(
            custom_id=custom_id,
            ending='answered',
            status=status,
            body=body,
            tokens=inner(body, 'usage').get('total_tokens'),
        )
    told = inner(body or {}, 'error')
    kind = kind or text(told, 'code') or text(told, 'type')
    return Line(
        custom_id=custom_id,
        ending='errored',
        status=status,
        body=body,
        kind=kind,
        message=message or text(told, 'message') or '',
    )


def failure(kind: str, message: str) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {'error': {'message': message, 'type': kind, 'param': None, 'code': kind}}


def file_named(page: Words, name: str, size: int) -> str | None:
    """The id of an uploaded file on a page of a listing."""
    for one in objects(page.get('data')):
        if one.get('filename') == name and one.get('bytes') == size:
            return text(one, 'id')
    return None


BATCHES = Dialect(
    paths=_PATHS,
    headers=frozenset({'openai-beta'}),
    uploads=True,
    line=line,
    opening=(b'', b'\n', b'\n'),
    batched=batched,
    place=place,
    creation=creation,
    remote=remote,
    listing=partial(page, remote),
    query=query,
    result=result,
    failure=failure,
)
