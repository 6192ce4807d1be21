"""The files of OpenAI's batches: what their requests must be, and what is told of them."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from farthing_sim import openai_chat, openai_embeddings, openai_responses
from farthing_sim.answering import readable
from farthing_sim.batch import Batch, Outcome
from farthing_sim.caches import DEFAULT_RULES, Caches
from farthing_sim.edge import request_id
from farthing_sim.files import File
from farthing_sim.openai_common import failure
from farthing_sim.openai_files import BATCH_LIFE_S
from farthing_sim.surface import Json, Refusal, Stamp, Surface

API = 'openai_batches'

SURFACES: dict[str, Surface] = {
    '/v1/chat/completions': openai_chat,
    '/v1/responses': openai_responses,
    '/v1/embeddings': openai_embeddings,
}

_MOST_EMBEDDED = 50_000
"""Texts that one batch of embeddings may hold; it is their documented limit."""

_UNSERVED = {
    'expired': (
        'batch_expired',
        'This request could not be executed before the completion window expired.',
    ),
    'canceled': ('batch_cancelled', 'The batch was cancelled before this request was executed.'),
}


def output_file_id(batch: Batch) -> str:
    """The id of the file with what succeeded."""
    return f'file-{batch.id.removeprefix("batch_")}output'


def error_file_id(batch: Batch) -> str:
    """The id of the file with what did not."""
    return f'file-{batch.id.removeprefix("batch_")}error'


class _Dialect:
    """OpenAI's words for what is in a batch."""

    API = API
    USAGE: Mapping[str, Any] = MappingProxyType({})

    def validate(self, batch: Batch) -> Iterator[None]:
        """Check all lines; then the number of requests, their model and their size are known."""
        ids, inputs, enqueued, total = set[str](), 0, 0, 0
        counts_queue = bool(batch.schedule.rules.openai_queue)
        for total, line in enumerate(batch.requests.lines(), 1):
            problem, body = _read(line, batch, ids)
            if problem is None and total == 1:
                problem = _no_model(batch)
            if problem is not None:
                batch.problems.append(problem | {'line': total})
            inputs += _embedded(body)
            enqueued += _input_tokens(batch, body) if counts_queue else 0
            yield
        batch.problems += _too_large(batch, total, inputs)
        if not batch.problems:
            batch.problems += _queue_full(batch, enqueued)
        batch.facts['enqueued'] = 0 if batch.problems else enqueued
        batch.schedule = replace(batch.schedule, total=0 if batch.problems else total)

    def open(self, line: Json) -> tuple[str, Json]:
        """The id and the body of a request."""
        return line['custom_id'], line['body']

    def check(self, body: Json) -> None:
        """Refuse what no batch takes."""
        if body.get('stream'):
            raise Refusal(400, 'Streaming is not supported in a batch.', param='stream')

    def write(self, outcome: Outcome) -> Json:
        """A line of the output file or of the error file."""
        line = {
            'id': f'batch_req_sim{outcome.stamp.serial}', 'custom_id': outcome.custom_id,
            'response': None, 'error': None,
        }  # fmt: skip
        if outcome.kind in _UNSERVED:
            code, message = _UNSERVED[outcome.kind]
            return line | {'error': {'code': code, 'message': message}}
        name = request_id(outcome.stamp)
        if outcome.refusal is not None:
            status, body = outcome.refusal.status, failure(outcome.refusal, name)
        elif outcome.answer is not None:
            status, body = 200, outcome.answer
        else:
            status, name, body = 0, '', {}
        return line | {'response': {'status_code': status, 'request_id': name, 'body': body}}

    def finish(self, batch: Batch) -> None:
        """Keep the results as files."""
        now = batch.schedule.end_s
        life_s = batch.facts['output_life_s'] or BATCH_LIFE_S
        for file_id, kind, content in (
            (output_file_id(batch), 'output', batch.results),
            (error_file_id(batch), 'error', batch.failures),
        ):
            if content.size:
                batch.state.files.add(File(
                    id=file_id, scope=batch.scope, created_s=now, listed_s=now,
                    expires_s=now + life_s, name=f'{batch.id}_{kind}.jsonl',
                    purpose='batch_output', content=content,
                ))  # fmt: skip


DIALECT = _Dialect()


_LINE = {'custom_id': str, 'method': str, 'url': str, 'body': dict}


def _read(line: bytes, batch: Batch, ids: set[str]) -> tuple[Json | None, Json]:
    """What is wrong with a line, in OpenAI's words, and the body of its request."""
    try:
        request = json.loads(line)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        return _error('invalid_json_line', 'This line is not parseable as valid JSON.'), {}
    for key, kind in _LINE.items():
        if not isinstance(request.get(key), kind):
            message = f"Missing required parameter: '{key}'."
            return _error('missing_required_parameter', message, key), {}
    body = request['body']
    batch.facts['model'] = batch.facts['model'] or body.get('model')
    problem = _mismatch(request, batch, ids)
    ids.add(request['custom_id'])
    return problem, body


def _mismatch(request: Json, batch: Batch, ids: AbstractSet[str]) -> Json | None:
    """What of a request does not fit its batch."""
    custom_id, model = request['custom_id'], request['body'].get('model')
    if custom_id in ids:
        message = f'The custom_id {custom_id!r} is that of another request as well.'
        return _error('duplicate_custom_id', message, 'custom_id')
    if request['method'] != 'POST':
        return _error('invalid_method', 'The HTTP method must be POST.', 'method')
    if request['url'] != batch.facts['endpoint']:
        message = 'The URL provided for this request does not match the batch endpoint.'
        return _error('invalid_url', message, 'url')
    if model != batch.facts['model']:
        message = f'The model {model!r} does not match the rest of the batch; it is for one model.'
        return _error('mismatched_model', message, 'body.model')
    return None


def _no_model(batch: Batch) -> Json | None:
    """A model that there is not fails the whole file, and the first line is told for all."""
    model, models = batch.facts['model'], batch.state.models
    if models is None or model in models:
        return None
    message = f'The provided model {model!r} is not supported by the Batch API.'
    return _error('model_not_found', message, 'body.model')


def _embedded(body: Json) -> int:
    """How many texts a request wants embedded."""
    given = body.get('input')
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return len(given)
    return 1


def _input_tokens(batch: Batch, body: Json) -> int:
    """What a request adds to the queue; nothing if it will be refused."""
    with contextlib.suppress(Refusal), readable():
        batch.surface.check(body)
        stamp = Stamp(serial='', time_s=0)
        return batch.surface.visit(body, stamp, Caches(DEFAULT_RULES)).given.total
    return 0


def _too_large(batch: Batch, total: int, inputs: int) -> Iterator[Json]:
    rules = batch.schedule.rules
    embeds = batch.surface is openai_embeddings
    if not total:
        yield _error('empty_file', 'The batch file is empty.')
    for name, seen, most in (
        ('too_many_tasks', total, rules.openai_requests),
        ('file_too_large', batch.requests.size, rules.openai_bytes),
        ('too_many_inputs', inputs if embeds else 0, _MOST_EMBEDDED),
    ):
        if seen > most:
            yield _error(name, f'The batch file is too large: {seen:,}, the limit is {most:,}.')


def _queue_full(batch: Batch, enqueued: int) -> Iterator[Json]:
    """Whether the requests of a model that wait in open batches are too many with these."""
    model, now = batch.facts['model'], batch.state.clock()
    most = (batch.schedule.rules.openai_queue or {}).get(model)
    waiting = enqueued + sum(
        other.facts['enqueued']
        for other in batch.state.batches
        if other.dialect.API == API
        and (other.scope, other.facts['model']) == (batch.scope, model)
        and now < other.schedule.end_s
    )
    if batch.schedule.fault.queue_full or (most is not None and waiting > most):
        limit = 'none is left' if most is None else f'{most:,} enqueued tokens'
        yield _error(
            'token_limit_exceeded',
            f'Enqueued token limit reached for {model}. Limit: {limit}. Please try again once '
            'some in_progress batches have been completed.',
        )


def _error(code: str, message: str, param: str | None = None) -> Json:
    return {'code': code, 'message': message, 'param': param, 'line': None}
