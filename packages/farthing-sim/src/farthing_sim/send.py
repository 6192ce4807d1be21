"""How an answer leaves: as JSON or as events, whole or with the fault that was asked for.

A connection is cut by returning before the body is complete: the server then closes it, and the
client sees what it would see if a provider went away.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from farthing_sim.faults import Fault
from farthing_sim.spool import Spool
from farthing_sim.surface import Event, Json


class Whole(Response):
    """An answer in one piece.

    `begin` is called when the first byte of the answer leaves, also if the rest never does.
    """

    media_type = 'application/json'

    def __init__(self, answer: Json, fault: Fault, entry: Json, begin: Callable[[], None]) -> None:
        body = encode(answer)
        super().__init__(body[: len(body) // 2] if fault.malformed_sse else body)
        self.fault = fault
        self.entry = entry
        self.begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, or half of it."""
        self.begin()
        if self.fault.drop_after_events is None:
            self.entry['delivered'] = not self.fault.malformed_sse
            await super().__call__(scope, receive, send)
            return
        await _start(self, send)
        await _send_part(send, bytes(self.body)[: len(self.body) // 2])


class Lines(Response):
    """The lines of spools, one after the other, as they lie on disk.

    A fault cuts the connection after so many lines (`drop_after_events`).
    """

    media_type = 'application/x-jsonl'

    def __init__(self, spools: Sequence[Spool], fault: Fault, entry: Json) -> None:
        super().__init__()
        self.headers['content-length'] = str(sum(spool.size for spool in spools))
        self.spools = spools
        self.fault = fault
        self.entry = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the lines, or the first of them."""
        await _start(self, send)
        if self.fault.drop_after_events is not None:
            lines = itertools.chain.from_iterable(spool.lines() for spool in self.spools)
            for line in itertools.islice(lines, self.fault.drop_after_events):
                await _send_part(send, line + b'\n')
            return
        for spool in self.spools:
            for part in spool.parts():
                await _send_part(send, part)
        self.entry['delivered'] = True
        await send({'type': 'http.response.body', 'body': b'', 'more_body': False})


class Stream(Response):
    """An answer as server-sent events.

    `error` is what the stream ends with if the fault says that it ends by an error; `begin` is
    called when the first event leaves.
    """

    media_type = 'text/event-stream'

    def __init__(
        self,
        events: Iterable[Event],
        error: Event,
        fault: Fault,
        entry: Json,
        begin: Callable[[], None],
    ) -> None:
        super().__init__()
        del self.headers['content-length']
        self.headers['cache-control'] = 'no-cache'
        self.parts = [encode_event(event) for event in events]
        self.error = encode_event(error)
        self.fault = fault
        self.entry = entry
        self.begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the events until the client goes away."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await _start(self, send)
            if await self._send_events(send, gone):
                await send({'type': 'http.response.body', 'body': b'', 'more_body': False})
        finally:
            gone.cancel()

    async def _send_events(self, send: Send, gone: asyncio.Future[None]) -> bool:
        """Send what the fault lets through; whether the response may be closed in order."""
        fault = self.fault
        for number, part in enumerate(self.parts):
            if number == fault.drop_after_events:
                return False
            if number == fault.error_after_events:
                await _send_part(send, self.error)
                return True
            # Also without a delay: the loop must get to see that the client has gone.
            await asyncio.sleep(fault.event_delay_s)
            if gone.done():
                return False
            if number == 0:
                self.begin()
            if fault.malformed_sse and number == len(self.parts) // 2:
                await _send_part(send, part[: len(part) * 2 // 3] + b'\n\n')
            self.entry['events_sent'] = number + 1
            self.entry['delivered'] = number + 1 == len(self.parts) and not fault.malformed_sse
            await _send_part(send, part)
        return True


def encode(value: object) -> bytes:
    """JSON as the providers send it; half of a surrogate pair becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode('utf-8', 'replace')


def encode_event(event: Event) -> bytes:
    """One server-sent event, its name first where it has one."""
    data = event.body.encode() if isinstance(event.body, str) else encode(event.body)
    name = b'' if event.name is None else b'event: ' + event.name.encode() + b'\n'
    return name + b'data: ' + data + b'\n\n'


async def _start(response: Response, send: Send) -> None:
    await send(
        {
            'type': 'http.response.start',
            'status': response.status_code,
            'headers': response.raw_headers,
        }
    )


async def _send_part(send: Send, part: bytes) -> None:
    await send({'type': 'http.response.body', 'body': part, 'more_body': True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())['type'] != 'http.disconnect':
        pass
