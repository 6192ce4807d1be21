"""The files of OpenAI's batches: what their requests must be, and what is told of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from farthing_sim import openai_chat, openai_embeddings, openai_responses
from farthing_sim.batch import Batch, Outcome
from farthing_sim.edge import request_id
from farthing_sim.files import File
from farthing_sim.openai_common import failure
from farthing_sim.openai_files import BATCH_LIFE_S
from farthing_sim.surface import Json, Refusal, Surface

API = 'openai_batches'

SURFACES: dict[str, Surface] = {
    '/v1/chat/completions': openai_chat,
    '/v1/responses': openai_responses,
    '/v1/embeddings': openai_embeddings,
}

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
        """Check all lines; then the number of requests and their model are known."""
        ids = set[str]()
        total = 0
        for total, line in enumerate(batch.requests.lines(), 1):
            problem = _problem(line, batch, ids)
            if problem is not None:
                batch.problems.append(problem | {'line': total})
            yield
        batch.schedule = replace(batch.schedule, total=total)

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


def _problem(line: bytes, batch: Batch, ids: set[str]) -> Json | None:
    """What is wrong with a line, in OpenAI's words."""
    try:
        request = json.loads(line)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        return _error('invalid_json_line', 'This line is not parseable as valid JSON.')
    for key, kind in _LINE.items():
        if not isinstance(request.get(key), kind):
            message = f"Missing required parameter: '{key}'."
            return _error('missing_required_parameter', message, key)
    custom_id, model = request['custom_id'], request['body'].get('model')
    batch.facts['model'] = batch.facts['model'] or model
    wrong = {
        'custom_id': custom_id in ids and (
            'duplicate_custom_id',
            f'The custom_id {custom_id!r} is that of another request as well.',
        ),
        'method': request['method'] != 'POST' and (
            'invalid_method', 'The HTTP method must be POST.',
        ),
        'url': request['url'] != batch.facts['endpoint'] and (
            'invalid_url',
            'The URL provided for this request does not match the batch endpoint.',
        ),
        'body.model': model != batch.facts['model'] and (
            'mismatched_model',
            f'The model {model!r} does not match the rest of the batch, which is for one model.',
        ),
    }  # fmt: skip
    ids.add(custom_id)
    return next((_error(*told, param) for param, told in wrong.items() if told), None)


def _error(code: str, message: str, param: str | None = None) -> Json:
    return {'code': code, 'message': message, 'param': param, 'line': None}
