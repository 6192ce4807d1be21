"""All batches of a server, and how they are brought up to its clock.

A batch is worked on when somebody looks at it: what is due by the clock is answered then. A look
takes a while at most; what remains of a large batch is done in the background, and until then
the batch is not at its end, whatever the clock says.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from farthing_sim.schedule import BatchRules

if TYPE_CHECKING:
    from farthing_sim.batch import Batch

_LOOK = 2_000
"""Lines that one look waits for."""
_SLICE = 5
"""Lines between which other requests are served."""
_SMALL = 1_000_000
"""A batch of up to so many bytes is worked on only when somebody looks."""


class Batches:
    """Used by the server's loop alone.

    Args:
        rules: How long batches take, and what they may hold.
    """

    def __init__(self, rules: BatchRules) -> None:
        self.rules = rules
        self._all: dict[str, Batch] = {}
        self._unfinished: deque[Batch] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    def add(self, batch: 'Batch') -> None:
        """Keep a batch; begin with it at once if it is large."""
        self._all[batch.id] = batch
        if batch.requests.size > _SMALL:
            self._go_on(batch)

    async def find(self, batch_id: str, api: str, scope: str) -> 'Batch | None':
        """A batch by its id, brought up to the clock; `None` if there is none for this scope."""
        batch = self._all.get(batch_id)
        if batch is None or batch.deleted or (batch.dialect.API, batch.scope) != (api, scope):
            return None
        await self._look(batch)
        return batch

    def listed(self, api: str, scope: str, now: float) -> list['Batch']:
        """The batches of a scope that are listed, newest first; none of them is looked at."""
        return [
            batch
            for batch in reversed(self._all.values())
            if (batch.dialect.API, batch.scope) == (api, scope)
            and not batch.deleted
            and batch.listed_s <= now
        ]

    async def looked_at(self, batches: list['Batch']) -> list['Batch']:
        """The same batches, brought up to the clock."""
        for batch in batches:
            await self._look(batch)
        return batches

    async def caught_up(self) -> list['Batch']:
        """All batches, the deleted ones too, with everything done that is due by the clock."""
        for batch in list(self):
            while batch.work(_SLICE):  # noqa: ASYNC110 - others may run
                await asyncio.sleep(0)
        return list(self)

    def close(self) -> None:
        """Let the work in the background end."""
        self._closed = True

    def __iter__(self) -> Iterator['Batch']:
        """All batches, the deleted ones too, oldest first."""
        return iter(self._all.values())

    async def _look(self, batch: 'Batch') -> None:
        for _ in range(_LOOK // _SLICE):
            if not batch.work(_SLICE):
                return
            await asyncio.sleep(0)
        self._go_on(batch)

    def _go_on(self, batch: 'Batch') -> None:
        if batch not in self._unfinished:
            self._unfinished.append(batch)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Bring the unfinished batches up to the clock, one after the other."""
        while self._unfinished and not self._closed:
            if not self._unfinished[0].work(_SLICE):
                self._unfinished.popleft()
            await asyncio.sleep(0)
