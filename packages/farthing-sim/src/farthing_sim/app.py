"""The HTTP edge: reads a request, lets a surface answer it, and sends the answer or the fault."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from farthing_sim import anthropic, openai_chat, openai_embeddings, openai_responses
from farthing_sim.clock import Clock
from farthing_sim.faults import HEADER, Fault, FaultError, merged
from farthing_sim.send import Stream, Whole
from farthing_sim.state import State
from farthing_sim.surface import Event, Input, Json, Refusal, Stamp, Surface, Visit

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
        Route(path, _Endpoint(state, surface), methods=['POST'])
        for path, surface in surfaces.items()
    ]
    return Starlette(routes=[*routes, *_control(state)])


class _Endpoint:
    """One API at one path, as an ASGI application."""

    def __init__(self, state: State, surface: Surface) -> None:
        self.state = state
        self.surface = surface

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = await request.body()
        stamp = self.state.stamp()
        entry = self.state.record({
            'serial': stamp.serial, 'time_s': stamp.time_s, 'path': request.url.path,
            'api': self.surface.API, 'model': None, 'stream': False, 'status': 500, 'id': None,
            'usage': None, 'events_sent': 0, 'delivered': False,
        })  # fmt: skip
        fault = None
        try:
            fault = self._fault(request)
            body = _read(raw, request)
            entry |= {'model': body.get('model'), 'stream': bool(body.get('stream'))}
            # What a request reads from a cache is decided when it starts, before any wait.
            taken = self._take(request, body, stamp) if fault.status is None else None
            await asyncio.sleep(fault.delay_s)
            response = self._respond(taken or _refuse(fault), fault, entry)
        except Refusal as refusal:
            response = self._refused(refusal, fault, stamp, entry)
        response.headers[self.surface.REQUEST_ID] = _request_id(stamp)
        await response(scope, receive, send)

    def _fault(self, request: Request) -> Fault:
        asked = request.headers.get(HEADER)
        try:
            return self.state.next_fault() if asked is None else Fault.from_header(asked)
        except FaultError as error:
            raise Refusal(400, str(error)) from error

    def _take(self, request: Request, body: Json, stamp: Stamp) -> '_Taken':
        """Check a request, count it, and look it up in the provider's cache."""
        scope = _scope(request)
        with _readable():
            self.surface.check(body)
            stamp = self._continued(body, replace(stamp, scope=scope))
            visit = self.surface.visit(body, stamp, self.state.caches)
        if not self.state.caches.rules.enabled:
            visit = Visit(given=Input(total=visit.given.total))
        return _Taken(body=body, stamp=stamp, visit=visit)

    def _respond(self, taken: '_Taken', fault: Fault, entry: Json) -> Response:
        body, stamp = taken.body, taken.stamp
        with _readable():
            answer = self.surface.answer(body, stamp, taken.visit.given)
            if fault.usage is not None:
                answer['usage'] = merged(answer['usage'], fault.usage)
            if self.surface is anthropic and body.get('diagnostics') is not None:
                answer['diagnostics'] = anthropic.diagnose(body, stamp, answer, self.state.caches)
            response = self._response(taken, answer, fault, entry)
        if self.surface is openai_responses and body.get('store') is not False:
            items = openai_responses.items(body, stamp.history, answer)
            self.state.remember(answer['id'], items)
        entry |= {'status': 200, 'id': answer.get('id'), 'usage': answer['usage']}
        return response

    def _continued(self, body: Json, stamp: Stamp) -> Stamp:
        earlier = body.get('previous_response_id')
        if self.surface is not openai_responses or not earlier:
            return stamp
        history = self.state.conversation(earlier)
        if history is None:
            raise Refusal(
                400,
                f"Previous response with id '{earlier}' not found.",
                param='previous_response_id',
                code='previous_response_not_found',
            )
        return replace(stamp, history=history)

    def _response(self, taken: '_Taken', answer: Json, fault: Fault, entry: Json) -> Response:
        if not taken.body.get('stream'):
            return Whole(answer, fault, entry, taken.visit.begin)
        failed = self.surface.failure(Refusal(529, 'Overloaded'), _request_id(taken.stamp))
        error = Event(name='error', body=failed)
        events = self.surface.events(taken.body, answer)
        return Stream(events, error, fault, entry, taken.visit.begin)

    def _refused(
        self, refusal: Refusal, fault: Fault | None, stamp: Stamp, entry: Json
    ) -> Response:
        entry['status'] = refusal.status
        entry['delivered'] = True
        error = self.surface.failure(refusal, _request_id(stamp))
        headers = {}
        if fault is not None and fault.retry_after is not None:
            headers['retry-after'] = f'{fault.retry_after:g}'
        return JSONResponse(error, status_code=refusal.status, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A request that will be answered."""

    body: Json
    stamp: Stamp
    visit: Visit


def _refuse(fault: Fault) -> NoReturn:
    """Answer with the error that was asked for; an internal one unless its status was given."""
    status = fault.status or 500
    raise Refusal(status, fault.message or f'Simulated error {status}.')


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What the simulator cannot make sense of is the request's fault."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refusal(400, f'the simulator cannot read this request: {error!r}') from error


def _request_id(stamp: Stamp) -> str:
    return f'req_sim_{stamp.serial}'


def _read(raw: bytes, request: Request) -> Json:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, 'The request body is not valid JSON.') from error
    if not isinstance(body, dict):
        raise Refusal(400, 'The request body is not a JSON object.')
    if 'deployment' in request.path_params:
        body.setdefault('model', request.path_params['deployment'])
    return body


def _scope(request: Request) -> str:
    """Who asks, by the key: any key is a good one, but one must be there."""
    headers = request.headers
    keys = [headers.get(name) for name in ('x-api-key', 'authorization', 'api-key')]
    key = next(filter(None, keys), None)
    if key is None:
        raise Refusal(401, 'No API key was sent; the simulator takes any.')
    return hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()


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

    async def count_tokens(request: Request) -> Response:
        stamp = state.stamp()
        headers = {anthropic.REQUEST_ID: _request_id(stamp)}
        try:
            _scope(request)
            body = _read(await request.body(), request)
            anthropic.check_count(body)
            with _readable():
                return JSONResponse(anthropic.count(body), headers=headers)
        except Refusal as refusal:
            error = anthropic.failure(refusal, _request_id(stamp))
            return JSONResponse(error, status_code=refusal.status, headers=headers)

    return [
        Route('/v1/messages/count_tokens', count_tokens, methods=['POST']),
        Route('/__sim__/clock', clock, methods=['POST']),
        Route('/__sim__/faults', faults, methods=['POST']),
        Route('/__sim__/log', log),
        Route('/__sim__/reset', reset, methods=['POST']),
    ]
