"""A block for LlamaIndex's `Memory` that sums up what the memory lets go.

    block = SummaryMemoryBlock(session_id='thread-17', llm=haiku)
    memory = block.in_memory(token_limit=30_000)

The memory archives messages and hands them to its blocks. This one keeps them word for word until
a summary stands for them, which is made in the background; nothing is lost on the way.
"""

import asyncio
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemoryBlock, InsertMethod, Memory
from pydantic import Field, PrivateAttr

from farthing.attribution import Attribution, attributed, narrowed
from farthing.errors import InputError
from farthing.meter.shared import Source, meter
from farthing.run.background import Background
from farthing.run.context_policies import ContextOptions
from farthing.run.running import Due, Owner, Running
from farthing.run.tokens import Tokens
from llama_index_farthing.asking import Asking, facts_of
from llama_index_farthing.conversation import part_of
from llama_index_farthing.switch import whom

_SESSION = 'session_id'


class SummaryMemoryBlock(BaseMemoryBlock[str]):
    """A summary of what a `Memory` has let go, and what waits to be summed up, by session.

    Put it in a memory that inserts at the user's end, as `in_memory` makes one: what stands in
    front of the system text changes the prompt's beginning, and no cache survives that. A memory
    of another session or tenant that shares the block sees its own messages only.

    Args:
        session_id: The session's name, for memories that do not say theirs.
        llm: Makes the summaries.
        every_tokens: So much has to wait before a summary is made.
        summary_tokens: About how long it is.
        ledger: Where summaries are booked; as for the other parts of this package.
        options: Clock, retention and time limit.

    Raises:
        ContextError: A number is too small.
        LedgerError: The ledger cannot be opened.
        InputError: The session has no name.
    """

    name: str = 'summary'
    session_id: str = Field(min_length=1)
    _running: Running = PrivateAttr()
    _asking: Asking = PrivateAttr()
    _background: Background = PrivateAttr(default_factory=Background)
    _timeout_s: float = PrivateAttr()

    def __init__(
        self,
        *,
        session_id: str,
        llm: LLM,
        every_tokens: int = 2_000,
        summary_tokens: int = 400,
        ledger: Source = None,
        options: ContextOptions | None = None,
        **block: Any,
    ) -> None:
        if not session_id:
            raise InputError(f'`session_id` is {session_id!r}: expected the name of a session')
        block |= {_SESSION: session_id}
        super().__init__(**block)
        options = options or ContextOptions()
        self._asking = Asking(ledger, llm)
        self._timeout_s = options.summary_timeout_s
        self._running = Running(
            meter(ledger),
            Tokens(*facts_of(llm), None),
            every_tokens=every_tokens,
            summary_tokens=summary_tokens,
            now=options.now,
            retention=options.retention,
        )

    @property
    def failures(self) -> dict[str, int]:
        """What went wrong, by reason."""
        return dict(self._running.failures)

    def in_memory(self, **memory: Any) -> Memory:
        """A memory of this session with this block, which inserts at the user's end."""
        return Memory.from_defaults(
            session_id=self.session_id,
            memory_blocks=[self],
            insert_method=InsertMethod.USER,
            **memory,
        )

    async def aflush(self, timeout_s: float = 60.0) -> bool:
        """Wait for the summaries that are made in this loop; whether all are done."""
        return await self._background.aflush(timeout_s)

    async def _aget(self, messages: list[ChatMessage] | None = None, **memory: Any) -> str:  # noqa: ARG002
        owner = Owner(whom().tenant, memory.get(_SESSION) or self.session_id)
        return await asyncio.to_thread(self._running.text, owner)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Keep what a memory lets go; it writes into each message of which session that is."""
        by_session: dict[str, list[ChatMessage]] = {}
        for message in messages:
            session = message.additional_kwargs.get(_SESSION) or self.session_id
            by_session.setdefault(session, []).append(message)
        for session, many in by_session.items():
            parts, who = [part_of(one) for one in many], narrowed(whom(), session=session)
            owner = Owner(who.tenant, session)
            await asyncio.to_thread(self._running.put, owner, parts)
            due = await asyncio.to_thread(self._running.due, owner)
            if due is not None:
                self._background.astart(self._make(due, who))

    async def _make(self, due: Due, who: Attribution) -> None:
        with attributed(
            tenant=who.tenant, task=who.task, session=who.session, purpose='summary', tags=who.tags
        ):
            try:
                async with asyncio.timeout(self._timeout_s):
                    answered = await self._asking.aask(due)
                await asyncio.to_thread(self._running.take, due, answered.text)
            except asyncio.CancelledError:
                self._running.fail(due, TimeoutError('the loop was closed'))
                raise
            except Exception as error:  # noqa: BLE001 - the messages stay; it is counted
                await asyncio.to_thread(self._running.fail, due, error)
