"""A memory of LlamaIndex that keeps all messages and shows what the model shall see."""

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemory
from llama_index.core.storage.chat_store import BaseChatStore, SimpleChatStore
from pydantic import Field, PrivateAttr, SerializeAsAny

from farthing.attribution import narrowed
from farthing.context import Policy, Window
from farthing.errors import InputError
from farthing.io.tap import tap
from farthing.meter.shared import Source
from farthing.run.context import ContextDriver
from farthing.run.context_policies import (
    ContextOptions,
    driver,
    listed,
    shown_elsewhere,
    summary_model,
)
from farthing.run.handing import handed
from farthing.run.talk import Prepared, Talk
from llama_index_farthing.asking import Asking, facts_of
from llama_index_farthing.conversation import last_requests, part_of, sent
from llama_index_farthing.switch import records, whom

_UNTIL_KNOWN = ('anthropic', 'claude-sonnet-4-6')


class MemorySummarizer(BaseMemory):
    """All messages in, those that the model shall see out: by windows, summaries and retrieval.

    `get` shows the view, `get_all` everything. What was decided and summarised is kept beside the
    ledger by session; the messages themselves are the chat store's. Whatever goes wrong, `get`
    shows all messages.

    Args:
        session_id: The session's name; two sessions share nothing.
        policy: One policy, or several in order; a window unless given.
        llm: The model that is asked. Without it, the prices of the model that answered last are
            reckoned with, and before the first answer those of Claude Sonnet.
        chat_store: Keeps the messages; in memory unless given.
        limit: The most tokens that the messages may have; what the caller adds is not seen here.
        ledger: Where decisions are booked; as for the other parts of this package.
        options: Clock, retention and time limits.

    Raises:
        ContextError: A policy's number, or the price of its model, cannot be.
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken: a summary needs a model that makes it.
    """

    session_id: str
    limit: int | None = None
    chat_store: SerializeAsAny[BaseChatStore] = Field(default_factory=SimpleChatStore)
    _driver: ContextDriver = PrivateAttr()
    _ledger: Source = PrivateAttr(default=None)
    _llm: LLM | None = PrivateAttr()
    _writer: LLM | None = PrivateAttr()

    def __init__(
        self,
        *,
        session_id: str,
        policy: Policy | Sequence[Policy] | None = None,
        llm: LLM | None = None,
        chat_store: BaseChatStore | None = None,
        limit: int | None = None,
        ledger: Source = None,
        options: ContextOptions | None = None,
    ) -> None:
        if not session_id:
            raise InputError(f'`session_id` is {session_id!r}: expected the name of a session')
        kept: dict[str, Any] = {'session_id': session_id, 'limit': limit}
        super().__init__(**kept, **({} if chat_store is None else {'chat_store': chat_store}))
        policies = shown_elsewhere(listed(Window() if policy is None else policy), llm)
        self._llm = llm
        self._writer = summary_model(policies) or llm
        self._ledger = ledger
        self._driver = driver(policies, facts_of, ledger, options or ContextOptions())

    @classmethod
    def class_name(cls) -> str:
        """The memory's name in LlamaIndex."""
        return 'FarthingMemorySummarizer'

    @classmethod
    def from_defaults(cls, chat_history: list[ChatMessage] | None = None, **kwargs: Any) -> Self:
        """A memory that begins with these messages; arguments as for the class."""
        made = cls(**kwargs)
        if chat_history is not None:
            made.set(chat_history)
        return made

    @property
    def driver(self) -> ContextDriver:
        """Counts what went wrong in `failures`; `flush` waits for summaries that are made."""
        return self._driver

    def get(self, input: str | None = None, **_: Any) -> list[ChatMessage]:  # noqa: A002, ARG002
        """The messages that the model shall see."""
        messages = self.get_all()
        talk = self._talk(messages)
        return messages if talk is None else self._sent(messages, self._driver.prepare(talk))

    async def aget(self, input: str | None = None, **_: Any) -> list[ChatMessage]:  # noqa: A002, ARG002
        """The messages that the model shall see."""
        messages = await self.aget_all()
        talk = self._talk(messages)
        if talk is None:
            return messages
        return self._sent(messages, await self._driver.aprepare(talk))

    def get_all(self) -> list[ChatMessage]:
        """All messages."""
        return [*self.chat_store.get_messages(self.session_id)]

    async def aget_all(self) -> list[ChatMessage]:
        """All messages."""
        return [*await self.chat_store.aget_messages(self.session_id)]

    def put(self, message: ChatMessage) -> None:
        """Keep a message."""
        self.chat_store.add_message(self.session_id, message)

    async def aput(self, message: ChatMessage) -> None:
        """Keep a message."""
        await self.chat_store.async_add_message(self.session_id, message)

    def set(self, messages: list[ChatMessage]) -> None:
        """Keep these messages and no others."""
        self.chat_store.set_messages(self.session_id, messages)

    async def aset(self, messages: list[ChatMessage]) -> None:
        """Keep these messages and no others."""
        await self.chat_store.aset_messages(self.session_id, messages)

    def reset(self) -> None:
        """Forget all messages."""
        self.chat_store.delete_messages(self.session_id)

    async def areset(self) -> None:
        """Forget all messages."""
        await self.chat_store.adelete_messages(self.session_id)

    def _talk(self, messages: Sequence[ChatMessage]) -> Talk | None:
        """The call as the driver takes it; `None` where it cannot be read, which is counted."""
        try:
            parts = tuple(map(part_of, messages))
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self._driver.failures.count('unreadable_call', error)
            return None
        known = None if self._llm is None else facts_of(self._llm)
        provider, model = known or self._driver.booking.answered_by or _UNTIL_KNOWN
        return Talk(
            parts=parts,
            provider=provider,
            model=model,
            who=narrowed(whom(), session=self.session_id),
            limit=self.limit,
            complete=False,  # the system text and the tools are the caller's
        )

    def _sent(self, messages: Sequence[ChatMessage], prepared: Prepared) -> list[ChatMessage]:
        found = sent(messages, prepared)
        asking = None if self._writer is None else Asking(self._ledger, self._writer)
        recorded = tap.installed or records()
        handed(self._driver, prepared, last_requests(found), asking, recorded=recorded)
        return found
