"""The ASGI application: which API is served at which path, and how a call to a model is answered.

Files and batches stand in modules of their own, with their providers' names.
"""

import asyncio
import json
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from farthing_sim import (
    anthropic,
    anthropic_batches,
    openai_batches,
    openai_chat,
    openai_embeddings,
    openai_files,
    openai_responses,
)
from farthing_sim.answering import Taken, answer, readable, take
from farthing_sim.clock import Clock
from farthing_sim.edge import Endpoint, json_object, refuse_if_asked, request_id, scope_of
from farthing_sim.faults import NO_FAULT, Fault, FaultError
from farthing_sim.send import Lines, Stream, Whole, encode
from farthing_sim.spool import Spool
from farthing_sim.state import State
from farthing_sim.surface import Event, Json, Refusal, Stamp, Surface

_ANTHROPIC: dict[str, Surface] = {
    '/v1/messages': anthropic,
}
_OPENAI: dict[str, Surface] = {
    '/chat/completions': openai_chat,
    '/responses': openai_responses,
    '/embeddings': openai_embeddings,
}


def build(state: State) -> ASGIApp:
    """The ASGI application of a server; Azure's paths of the same APIs are served as well."""
    surfaces = {
        **_ANTHROPIC,
        **{f'/v1{path}': surface for path, surface in _OPENAI.items()},
        **{f'/openai/v1{path}': surface for path, surface in _OPENAI.items()},
        **{f'/openai/deployments/{{deployment}}{path}': s for path, s in _OPENAI.items()},
    }
    routes = [
        Route(path, _Model(state, surface), methods=['POST']) for path, surface in surfaces.items()
    ]
    routes += anthropic_batches.routes(state, '/v1')
    for prefix in ('/v1', '/openai/v1', '/openai'):
        routes += openai_files.routes(state, prefix)
        routes += openai_batches.routes(state, prefix)
    return Starlette(routes=[*routes, _count_tokens(state), *_control(state)])


class _Model(Endpoint):
    """One API of a model at one path."""

    def __init__(self, state: State, surface: Surface) -> None:
        super().__init__(
            state, api=surface.API, request_id=surface.REQUEST_ID, failure=surface.failure
        )
        self.surface = surface

    async def respond(
        self, request: Request, raw: bytes, stamp: Stamp, fault: Fault, entry: Json
    ) -> Response:
        """The answer, plain or streamed."""
        body = json_object(raw)
        if 'deployment' in request.path_params:
            body.setdefault('model', request.path_params['deployment'])
        entry |= {'model': body.get('model'), 'stream': bool(body.get('stream'))}
        await refuse_if_asked(fault)
        # What a request reads from a cache is decided when it starts, before any wait.
        taken = take(self.surface, body, replace(stamp, scope=scope_of(request)), self.state)
        await asyncio.sleep(fault.delay_s)
        said = answer(self.surface, taken, self.state, usage=fault.usage)
        with readable():
            response = self._response(taken, said, fault, entry)
        entry |= {'status': 200, 'id': said.get('id'), 'usage': said['usage']}
        return response

    def _response(self, taken: Taken, said: Json, fault: Fault, entry: Json) -> Response:
        if not taken.body.get('stream'):
            return Whole(said, fault, entry, taken.visit.begin)
        failed = self.surface.failure(Refusal(529, 'Overloaded'), request_id(taken.stamp))
        error = Event(name='error', body=failed)
        events = self.surface.events(taken.body, said)
        return Stream(events, error, fault, entry, taken.visit.begin)


def _count_tokens(state: State) -> Route:
    async def count_tokens(request: Request) -> Response:
        stamp = state.stamp()
        headers = {anthropic.REQUEST_ID: request_id(stamp)}
        try:
            scope_of(request)
            body = json_object(await request.body())
            anthropic.check_count(body)
            with readable():
                return JSONResponse(anthropic.count(body), headers=headers)
        except Refusal as refusal:
            error = anthropic.failure(refusal, request_id(stamp))
            return JSONResponse(error, status_code=refusal.status, headers=headers)

    return Route('/v1/messages/count_tokens', count_tokens, methods=['POST'])


def _move(clock: Clock, *, set_s: float | None = None, advance_s: float = 0) -> None:
    if set_s is not None:
        clock.set(set_s)
    clock.advance(advance_s)


def _control(state: State) -> list[Route]:
    async def faults(request: Request) -> Response:
        try:
            state.plan((await request.json())['plan'])
        except (FaultError, KeyError, TypeError, json.JSONDecodeError) as error:
            expected = 'expected {"plan": [fault, ...]}'
            return JSONResponse({'error': f'{error}; {expected}'}, status_code=400)
        return JSONResponse({})

    async def log(_: Request) -> Response:
        return JSONResponse(state.log())

    async def charges(_: Request) -> Response:
        batches = await state.batches.caught_up()
        calls = Spool()
        for entry in state.log():
            if entry['usage'] is not None:
                charge = {key: entry[key] for key in ('time_s', 'api', 'model', 'id', 'usage')}
                calls.append(encode(charge | {'batch_id': None, 'custom_id': None}) + b'\n')
        return Lines([calls, *(batch.charges for batch in batches)], NO_FAULT, {})

    async def clock(request: Request) -> Response:
        try:
            _move(state.clock, **await request.json())
        except (TypeError, ValueError) as error:
            expected = 'expected {"set_s": Unix time, "advance_s": seconds}, or one of them'
            return JSONResponse({'error': f'{error}; {expected}'}, status_code=400)
        return JSONResponse({'time_s': state.clock()})

    async def reset(_: Request) -> Response:
        state.reset()
        return JSONResponse({})

    return [
        Route('/__sim__/charges', charges),
        Route('/__sim__/clock', clock, methods=['POST']),
        Route('/__sim__/faults', faults, methods=['POST']),
        Route('/__sim__/log', log),
        Route('/__sim__/reset', reset, methods=['POST']),
    ]
