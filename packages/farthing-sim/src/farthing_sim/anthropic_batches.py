"""Anthropic's Message Batches.

https://platform.claude.com/docs/en/build-with-claude/batch-processing. Requests are checked when
they are processed, not when the batch is made; their counts stay at `processing` until all of it
has ended.
"""

import asyncio
import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from starlette.routing import Route

from farthing_sim import anthropic
from farthing_sim.batch import Batch, Outcome
from farthing_sim.edge import request_id
from farthing_sim.json_array import ArrayError, objects
from farthing_sim.operation import Asked, operations, page
from farthing_sim.schedule import Schedule
from farthing_sim.spool import Spool
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal, require

API = 'anthropic_batches'

_CUSTOM_ID = re.compile(r'[a-zA-Z0-9_-]{1,64}')
_ARCHIVED_AFTER_S = 29 * 86_400.0
_MOST_LISTED = 1_000
_SLICE = 1_000
"""Requests between which others are served while a batch is read."""


def routes(state: State, prefix: str) -> list[Route]:
    """The operations on batches, at their paths."""
    batches = f'{prefix}/messages/batches'
    return operations(
        state,
        {
            ('create', 'POST', batches): create,
            ('list', 'GET', batches): list_,
            ('retrieve', 'GET', f'{batches}/{{id}}'): retrieve,
            ('delete', 'DELETE', f'{batches}/{{id}}'): delete,
            ('cancel', 'POST', f'{batches}/{{id}}/cancel'): cancel,
            ('results', 'GET', f'{batches}/{{id}}/results'): results,
        },
        api=API,
        request_id=anthropic.REQUEST_ID,
        failure=anthropic.failure,
    )


async def create(asked: Asked) -> Json:
    """Take a batch."""
    rules = asked.state.batches.rules
    if asked.body.size > rules.anthropic_bytes:
        raise Refusal(413, 'Request exceeds the maximum size')
    requests, count = await _requests(asked.body, rules.anthropic_requests)
    batch = Batch(
        id=f'msgbatch_sim_{asked.stamp.serial}',
        scope=asked.stamp.scope,
        dialect=_DIALECT,
        surface=anthropic,
        requests=requests,
        schedule=Schedule(
            rules=replace(rules, validating_s=0, finalizing_s=0),
            fault=asked.fault,
            created_s=asked.now,
            total=count,
        ),
        facts={'base_url': str(asked.request.base_url)},
        listed_s=asked.now + asked.fault.hidden_s,
        state=asked.state,
    )
    asked.state.batches.add(batch)
    return view(batch)


async def list_(asked: Asked) -> Json:
    """A page of batches, newest first."""
    query = asked.request.query_params
    batches = asked.state.batches.listed(API, asked.stamp.scope, asked.now)
    found, more = page(
        batches, attrgetter('id'), limit=asked.number('limit', 20, _MOST_LISTED),
        after=query.get('after_id'), before=query.get('before_id'),
    )  # fmt: skip
    data = [view(batch) for batch in await asked.state.batches.looked_at(found)]
    return {
        'data': data,
        'has_more': more,
        'first_id': data[0]['id'] if data else None,
        'last_id': data[-1]['id'] if data else None,
    }


async def retrieve(asked: Asked) -> Json:
    """A batch as it is now."""
    return view(await _found(asked))


async def cancel(asked: Asked) -> Json:
    """Ask for the end of a batch; what was answered so far stays."""
    batch = await _found(asked)
    if batch.ended:
        raise Refusal(400, f'Batch {batch.id} cannot be canceled: it has ended.')
    if batch.schedule.cancelled_s is None:
        batch.cancel()
    return view(batch)


async def delete(asked: Asked) -> Json:
    """Forget a batch that has ended."""
    batch = await _found(asked)
    if not batch.ended:
        raise Refusal(400, f'Batch {batch.id} cannot be deleted before it has ended.')
    batch.deleted = True
    return {'id': batch.id, 'type': 'message_batch_deleted'}


async def results(asked: Asked) -> Sequence[Spool]:
    """The results of a batch that has ended."""
    batch = await _found(asked)
    if view(batch)['results_url'] is None:
        raise Refusal(400, f'Batch {batch.id} has no results (any more); see its `results_url`.')
    return batch.results, batch.failures


def view(batch: Batch) -> Json:
    """A batch in Anthropic's words, as it is now."""
    schedule = batch.schedule
    archived_s = schedule.created_s + _ARCHIVED_AFTER_S
    archived = batch.state.clock() >= archived_s
    url = f'{batch.facts["base_url"]}v1/messages/batches/{batch.id}/results'
    status = 'in_progress' if schedule.cancelled_s is None else 'canceling'
    done = Counter(batch.counts if batch.ended else {})
    return {
        'id': batch.id,
        'type': 'message_batch',
        'processing_status': 'ended' if batch.ended else status,
        'request_counts': {
            'processing': schedule.total - done.total(),
            'succeeded': done['succeeded'],
            'errored': done['errored'],
            'canceled': done['canceled'],
            'expired': done['expired'],
        },
        'created_at': _time(schedule.created_s),
        'expires_at': _time(schedule.expires_s),
        'ended_at': _time(schedule.end_s) if batch.ended else None,
        'cancel_initiated_at': _time(schedule.cancelled_s),
        'archived_at': _time(archived_s) if archived else None,
        'results_url': url if batch.ended and not archived else None,
    }


class _Dialect:
    """Anthropic's words for what is in a batch."""

    API = API
    USAGE: Mapping[str, Any] = MappingProxyType({'service_tier': 'batch'})

    def validate(self, batch: Batch) -> Iterator[None]:  # noqa: ARG002 - as every dialect
        """Nothing is checked before it is processed."""
        return iter(())

    def open(self, line: Json) -> tuple[str, Json]:
        """The id and the body of a request."""
        return line['custom_id'], line['params']

    def check(self, body: Json) -> None:
        """Refuse what no batch takes."""
        if body.get('stream'):
            raise Refusal(400, 'stream: streaming is not supported in a batch')
        if body.get('max_tokens') == 0:
            raise Refusal(400, 'max_tokens: 0 is not allowed in a batch')

    def write(self, outcome: Outcome) -> Json:
        """A line of the results."""
        result: Json = {'type': outcome.kind}
        if outcome.kind == 'succeeded':
            result['message'] = outcome.answer
        if outcome.refusal is not None:
            result['error'] = anthropic.failure(outcome.refusal, request_id(outcome.stamp))
        return {'custom_id': outcome.custom_id, 'result': result}

    def finish(self, batch: Batch) -> None:
        """Nothing more is to be done."""


_DIALECT = _Dialect()


async def _found(asked: Asked) -> Batch:
    batch = await asked.state.batches.find(asked.id, API, asked.stamp.scope)
    if batch is None:
        raise Refusal(404, f'No such message batch: {asked.id}')
    return batch


async def _requests(body: Spool, most: int) -> tuple[Spool, int]:
    """The requests of a body, one a line, and their number.

    Raises:
        Refusal: 400, they are no batch.
    """
    requests, ids = Spool(), set[str]()
    try:
        for position, (written, request) in enumerate(objects(body.parts(), 'requests')):
            ids.add(_custom_id(request, position, ids))
            requests.append(written.replace('\n', ' ').encode() + b'\n')
            if position % _SLICE == 0:
                await asyncio.sleep(0)
    except ArrayError as error:
        raise Refusal(400, f'requests: {error}') from error
    if not 1 <= len(ids) <= most:
        raise Refusal(400, f'requests: List should have from 1 to {most} items, not {len(ids)}')
    return requests, len(ids)


def _custom_id(request: Json, position: int, others: AbstractSet[str]) -> str:
    custom_id = require(request, 'custom_id', str)
    require(request, 'params', dict)
    where = f'requests.{position}'
    if strange := request.keys() - {'custom_id', 'params'}:
        raise Refusal(400, f'{where}.{min(strange)}: Extra inputs are not permitted')
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise Refusal(
            400, f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
        )
    if custom_id in others:
        raise Refusal(400, f'{where}.custom_id: {custom_id!r} is not unique in this batch')
    return str(custom_id)


def _time(time_s: float | None) -> str | None:
    return None if time_s is None else dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat()
