"""OpenAI's Batch API: operations on batches.

https://platform.openai.com/docs/guides/batch. A batch is made from an uploaded file; what is wrong
with the file is found afterwards, and fails the batch.
"""

from operator import attrgetter
from typing import Any

from starlette.routing import Route

from farthing_sim.batch import Batch
from farthing_sim.edge import json_object
from farthing_sim.files import File
from farthing_sim.openai_batch_lines import API, DIALECT, SURFACES, error_file_id, output_file_id
from farthing_sim.openai_common import REQUEST_ID, failure
from farthing_sim.openai_files import listing
from farthing_sim.operation import Asked, operations, page
from farthing_sim.schedule import Schedule
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal, require

_MOST_LISTED = 100
_MOST_PAIRS = 16
_LONGEST_KEY = 64
_LONGEST_VALUE = 512
_COUNTERS = {
    'input_tokens': ('input_tokens', 'prompt_tokens'),
    'cached_tokens': (
        'input_tokens_details.cached_tokens', 'prompt_tokens_details.cached_tokens',
    ),
    'output_tokens': ('output_tokens', 'completion_tokens'),
    'reasoning_tokens': (
        'output_tokens_details.reasoning_tokens', 'completion_tokens_details.reasoning_tokens',
    ),
    'total_tokens': ('total_tokens',),
}  # fmt: skip
"""Counters of a batch's usage, and what the APIs call them."""


def routes(state: State, prefix: str) -> list[Route]:
    """The operations on batches, at their paths."""
    batches = f'{prefix}/batches'
    return operations(
        state,
        {
            ('create', 'POST', batches): create,
            ('list', 'GET', batches): list_,
            ('retrieve', 'GET', f'{batches}/{{id}}'): retrieve,
            ('cancel', 'POST', f'{batches}/{{id}}/cancel'): cancel,
        },
        api=API,
        request_id=REQUEST_ID,
        failure=failure,
    )


async def create(asked: Asked) -> Json:
    """Take a batch of an uploaded file."""
    body = json_object(b''.join(asked.body.parts()))
    file, surface = _checked(body, asked)
    batch = Batch(
        id=f'batch_sim{asked.stamp.serial}',
        scope=asked.stamp.scope,
        dialect=DIALECT,
        surface=surface,
        requests=file.content,
        schedule=Schedule(
            rules=asked.state.batches.rules, fault=asked.fault, created_s=asked.now, total=0
        ),
        facts={
            'endpoint': body['endpoint'],
            'input_file_id': file.id,
            'metadata': body.get('metadata'),
            'output_life_s': (body.get('output_expires_after') or {}).get('seconds'),
            'model': None,
            'enqueued': 0,
        },
        listed_s=asked.now + asked.fault.hidden_s,
        state=asked.state,
    )
    asked.state.batches.add(batch)
    return view(batch)


async def list_(asked: Asked) -> Json:
    """A page of batches, newest first."""
    batches = asked.state.batches.listed(API, asked.stamp.scope, asked.now)
    found, more = page(
        batches, attrgetter('id'), limit=asked.number('limit', 20, _MOST_LISTED),
        after=asked.request.query_params.get('after'),
    )  # fmt: skip
    await asked.state.batches.looked_at(found)
    return listing([view(batch) for batch in found], more=more)


async def retrieve(asked: Asked) -> Json:
    """A batch as it is now."""
    return view(await _found(asked))


async def cancel(asked: Asked) -> Json:
    """Ask for the end of a batch; what was answered so far stays."""
    batch = await _found(asked)
    status = _status(batch)
    if batch.ended:
        raise Refusal(409, f"Cannot cancel a batch with status '{status}'.")
    if batch.schedule.cancelled_s is None:
        batch.cancel()
    return view(batch)


def view(batch: Batch) -> Json:
    """A batch in OpenAI's words, as it is now."""
    schedule, status, now = batch.schedule, _status(batch), batch.state.clock()
    told = batch.ended and now >= schedule.end_s + schedule.fault.output_late_s
    at = {
        'in_progress_at': schedule.begun_s if batch.validated and not batch.problems else None,
        'finalizing_at': schedule.answered_s
        if status in {'finalizing', 'completed'}
        else None,
        'completed_at': None, 'failed_at': None, 'expired_at': None,
        'cancelling_at': schedule.cancelled_s, 'cancelled_at': None,
    }  # fmt: skip
    if batch.ended:
        at[f'{status}_at'] = schedule.begun_s if batch.problems else schedule.end_s
    return {
        'id': batch.id,
        'object': 'batch',
        'endpoint': batch.facts['endpoint'],
        'model': batch.facts['model'],
        'errors': {'object': 'list', 'data': batch.problems} if batch.problems else None,
        'input_file_id': batch.facts['input_file_id'],
        'completion_window': '24h',
        'status': status,
        'output_file_id': output_file_id(batch) if told and batch.results.size else None,
        'error_file_id': error_file_id(batch) if told and batch.failures.size else None,
        'created_at': int(schedule.created_s),
        'expires_at': int(schedule.expires_s),
        **{key: None if time_s is None else int(time_s) for key, time_s in at.items()},
        'request_counts': {
            'total': schedule.total,
            'completed': batch.counts['succeeded'],
            'failed': batch.counts['errored'],
        },
        'usage': _usage(batch),
        'metadata': batch.facts['metadata'],
    }


def _status(batch: Batch) -> str:
    if batch.problems:
        return 'failed'
    if batch.ended:
        return batch.schedule.end
    if batch.schedule.cancelled_s is not None:
        return 'cancelling'
    if not batch.validated:
        return 'validating'
    return 'finalizing' if batch.finished else 'in_progress'


def _usage(batch: Batch) -> Json:
    sums = {name: sum(batch.usage[word] for word in words) for name, words in _COUNTERS.items()}
    return {
        'input_tokens': sums['input_tokens'],
        'input_tokens_details': {'cached_tokens': sums['cached_tokens']},
        'output_tokens': sums['output_tokens'],
        'output_tokens_details': {'reasoning_tokens': sums['reasoning_tokens']},
        'total_tokens': sums['total_tokens'],
    }


def _checked(body: Json, asked: Asked) -> tuple[File, Any]:
    """The file of a new batch, and the API that is asked by its requests.

    Raises:
        Refusal: OpenAI would not take it.
    """
    endpoint = require(body, 'endpoint', str)
    if endpoint not in SURFACES:
        raise Refusal(
            400, f"Invalid value: '{endpoint}'. Supported values are: {sorted(SURFACES)}.",
            param='endpoint', code='invalid_value',
        )  # fmt: skip
    if require(body, 'completion_window', str) != '24h':
        raise Refusal(
            400, "Invalid value for 'completion_window': expected '24h'.",
            param='completion_window', code='invalid_value',
        )  # fmt: skip
    _check_metadata(body.get('metadata') or {})
    file_id = require(body, 'input_file_id', str)
    file = asked.state.files.find(file_id, asked.stamp.scope, asked.now)
    if file is None or file.purpose != 'batch':
        raise Refusal(
            400, f"Invalid 'input_file_id': no file {file_id!r} with the purpose 'batch'.",
            param='input_file_id',
        )  # fmt: skip
    return file, SURFACES[endpoint]


def _check_metadata(metadata: Json) -> None:
    if len(metadata) > _MOST_PAIRS or not all(
        isinstance(value, str) and len(value) <= _LONGEST_VALUE and len(key) <= _LONGEST_KEY
        for key, value in metadata.items()
    ):
        raise Refusal(
            400,
            f"Invalid 'metadata': expected up to {_MOST_PAIRS} texts of up to {_LONGEST_VALUE} "
            f'characters, with keys of up to {_LONGEST_KEY}.',
            param='metadata',
        )


async def _found(asked: Asked) -> Batch:
    batch = await asked.state.batches.find(asked.id, API, asked.stamp.scope)
    if batch is None:
        raise Refusal(404, f"No batch found with id '{asked.id}'.")
    return batch
