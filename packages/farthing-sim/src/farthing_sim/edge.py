"""The HTTP edge: what every endpoint does around its own answer.

It is logged, takes a fault, is asked for by a key, refuses in its provider's own shape, and
names its request.
"""

import abc
import asyncio
import hashlib
import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from farthing_sim.faults import HEADER, Fault, FaultError
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal, Stamp


class Endpoint(abc.ABC):
    """One operation of one API, as an ASGI application.

    Args:
        state: What the server remembers.
        api: The operation's name in the log and in a fault's `on`.
        request_id: The header that names a request.
        failure: Writes an error in the provider's shape.
    """

    def __init__(
        self,
        state: State,
        *,
        api: str,
        request_id: str,
        failure: Callable[[Refusal, str], Json],
    ) -> None:
        self.state = state
        self.api = api
        self._request_id = request_id
        self._failure = failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        raw = await self.read(request)
        stamp = self.state.stamp()
        entry = self.state.record({
            'serial': stamp.serial, 'time_s': stamp.time_s, 'path': request.url.path,
            'api': self.api, 'model': None, 'stream': False, 'status': 500, 'id': None,
            'usage': None, 'events_sent': 0, 'delivered': False,
        })  # fmt: skip
        fault = None
        try:
            fault = self._fault(request)
            response = await self.respond(request, raw, stamp, fault, entry)
        except Refusal as refusal:
            response = self._refused(refusal, fault, stamp, entry)
        response.headers[self._request_id] = request_id(stamp)
        await response(scope, receive, send)

    async def read(self, request: Request) -> bytes:
        """What is read of a request before it is counted; its body."""
        return await request.body()

    def planned(self) -> Fault:
        """The fault of the plan that this operation takes."""
        return self.state.next_fault(self.api)

    @abc.abstractmethod
    async def respond(
        self, request: Request, raw: bytes, stamp: Stamp, fault: Fault, entry: Json
    ) -> Response:
        """The response of this operation.

        Raises:
            Refusal: The provider would refuse, or the fault says so.
        """

    def _fault(self, request: Request) -> Fault:
        asked = request.headers.get(HEADER)
        try:
            return self.planned() if asked is None else Fault.from_header(asked)
        except FaultError as error:
            raise Refusal(400, str(error)) from error

    def _refused(
        self, refusal: Refusal, fault: Fault | None, stamp: Stamp, entry: Json
    ) -> Response:
        entry['status'] = refusal.status
        entry['delivered'] = True
        error = self._failure(refusal, request_id(stamp))
        headers = {}
        if fault is not None and fault.retry_after is not None:
            headers['retry-after'] = f'{fault.retry_after:g}'
        return JSONResponse(error, status_code=refusal.status, headers=headers)


def request_id(stamp: Stamp) -> str:
    """The name of a request."""
    return f'req_sim_{stamp.serial}'


async def refuse_if_asked(fault: Fault) -> None:
    """Answer with the error that a fault asks for, after its delay.

    Raises:
        Refusal: The fault asks for one.
    """
    if fault.status is not None:
        await asyncio.sleep(fault.delay_s)
        raise Refusal(fault.status, fault.message or f'Simulated error {fault.status}.')


def json_object(raw: bytes) -> Json:
    """A request's body.

    Raises:
        Refusal: 400, it is no JSON object.
    """
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, 'The request body is not valid JSON.') from error
    if not isinstance(body, dict):
        raise Refusal(400, 'The request body is not a JSON object.')
    return body


def scope_of(request: Request) -> str:
    """Who asks, by the key: any key is a good one, but one must be there.

    Raises:
        Refusal: 401, there is none.
    """
    headers = request.headers
    keys = [headers.get(name) for name in ('x-api-key', 'authorization', 'api-key')]
    key = next(filter(None, keys), None)
    if key is None:
        raise Refusal(401, 'No API key was sent; the simulator takes any.')
    # One key is the same key whichever header an SDK sends it in.
    key = key.removeprefix('Bearer ')
    return hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()
