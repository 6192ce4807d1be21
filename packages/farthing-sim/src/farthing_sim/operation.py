"""An operation on files or batches: done at once, answered after the fault's delay."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from farthing_sim.answering import readable
from farthing_sim.edge import Endpoint, refuse_if_asked, scope_of
from farthing_sim.faults import Fault
from farthing_sim.send import Lines, Whole
from farthing_sim.spool import Spool
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal, Stamp, nothing

T = TypeVar('T')


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for an operation, its body read: who asks when, and what goes wrong."""

    request: Request
    body: Spool
    state: State
    stamp: Stamp
    fault: Fault

    @property
    def now(self) -> float:
        """The server's time, in Unix time."""
        return self.stamp.time_s

    @property
    def id(self) -> str:
        """The object that the path names."""
        return str(self.request.path_params['id'])

    def number(self, name: str, default: int, most: int) -> int:
        """A number of the query, from 1 to `most`.

        Raises:
            Refusal: 400, it is none.
        """
        text = self.request.query_params.get(name, str(default))
        if not (text.isdecimal() and 1 <= int(text) <= most):
            raise Refusal(400, f'{name}: must be a number from 1 to {most}, not {text!r}')
        return int(text)


Act = Callable[[Asked], Awaitable[Json | Sequence[Spool]]]


class Operation(Endpoint):
    """What an operation answers: an object, or the lines of spools, one after the other."""

    def __init__(
        self,
        state: State,
        act: Act,
        *,
        api: str,
        request_id: str,
        failure: Callable[[Refusal, str], Json],
    ) -> None:
        super().__init__(state, api=api, request_id=request_id, failure=failure)
        self._act = act

    async def read(self, request: Request) -> bytes:  # noqa: ARG002 - as every endpoint
        """Nothing: bodies may be large, so they are read to disk."""
        return b''

    def planned(self) -> Fault:
        """A fault that names this operation."""
        return self.state.next_fault(self.api, only_named=True)

    async def respond(
        self,
        request: Request,
        raw: bytes,  # noqa: ARG002 - nothing is read before
        stamp: Stamp,
        fault: Fault,
        entry: Json,
    ) -> Response:
        """Do what is asked for, and answer, unless the fault takes the answer away."""
        # All of it, also where it is refused: a client that still sends would see no refusal.
        body = Spool()
        async for part in request.stream():
            body.append(part)
        scope = scope_of(request)
        await refuse_if_asked(fault)
        asked = Asked(
            request=request,
            body=body,
            state=self.state,
            stamp=replace(stamp, scope=scope),
            fault=fault,
        )
        with readable():
            answer = await self._act(asked)
        await asyncio.sleep(fault.delay_s)
        entry['status'] = 200
        if isinstance(answer, dict):
            entry['id'] = answer.get('id')
            return Whole(answer, fault, entry, nothing)
        return Lines(answer, fault, entry)


def operations(
    state: State,
    acts: Mapping[tuple[str, str, str], Act],
    *,
    api: str,
    request_id: str,
    failure: Callable[[Refusal, str], Json],
) -> list[Route]:
    """The routes of operations, by name, method and path."""
    return [
        Route(
            path,
            Operation(state, act, api=f'{api}.{name}', request_id=request_id, failure=failure),
            methods=[method],
        )
        for (name, method, path), act in acts.items()
    ]


def page(
    items: list[T], key: Callable[[T], str], *, limit: int, after: str | None = None,
    before: str | None = None,
) -> tuple[list[T], bool]:  # fmt: skip
    """The items behind a cursor, or just before one, and whether there are more that way.

    Raises:
        Refusal: 404, the cursor is none of the items.
    """
    ids = [key(item) for item in items]
    for cursor in filter(None, (after, before)):
        if cursor not in ids:
            raise Refusal(404, f'No such object: {cursor}')
    if before:
        rest = items[: ids.index(before)]
        return rest[-limit:], len(rest) > limit
    rest = items[ids.index(after) + 1 :] if after else items
    return rest[:limit], len(rest) > limit
