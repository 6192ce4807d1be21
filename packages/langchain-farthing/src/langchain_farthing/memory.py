"""Context control in chains, and for code that still has a `BaseChatMessageHistory`."""

from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

from farthing.attribution import Attribution, current, narrowed
from farthing.context import Policy
from farthing.errors import InputError
from farthing.io.tap import tap
from farthing.meter.shared import Source
from farthing.run.context_policies import (
    ContextOptions,
    driver,
    listed,
    shown_elsewhere,
    summary_model,
)
from farthing.run.handing import handed
from farthing.run.talk import Prepared, Talk
from langchain_farthing.annotator import messages_of
from langchain_farthing.asking import Asking, facts_of
from langchain_farthing.conversation import last_requests, part_of, sent
from langchain_farthing.session import Session, who_of

_UNTIL_KNOWN = ('anthropic', 'claude-sonnet-4-6')


class MemorySummarizer(Runnable[LanguageModelInput, list[BaseMessage]]):
    """All messages of a conversation in, those that the model shall see out.

        chain = prompt | MemorySummarizer(policy=Window(), session=name_of) | model

    It is given the whole history on every call, and keeps what it decided and summarised beside
    the ledger. Whatever goes wrong, all messages come out.

    Args:
        policy: One policy, or several in order.
        session: The session's name from the call's config.
        model: The model behind it. Without it, the prices of the model that answered last are
            reckoned with, and before the first answer those of Claude Sonnet.
        limit: The most tokens that the messages may have; tools are not seen here.
        ledger: Where decisions are booked; as for the other parts of this package.
        options: Clock, retention and time limits.

    Attributes:
        driver: Counts what went wrong in `failures`; `flush` waits for summaries that are made.

    Raises:
        ContextError: A policy's number, or the price of its model, cannot be.
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken: a summary needs a model that makes it.
    """

    def __init__(
        self,
        *,
        policy: Policy | Sequence[Policy],
        session: Session | None = None,
        model: BaseChatModel | None = None,
        limit: int | None = None,
        ledger: Source = None,
        options: ContextOptions | None = None,
    ) -> None:
        self._ledger = ledger
        policies = shown_elsewhere(listed(policy), model)
        self._session = session
        self._model = model
        self._cheap = summary_model(policies) or model
        self._limit = limit
        self.driver = driver(policies, facts_of, ledger, options or ContextOptions())

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> list[BaseMessage]:
        """The messages that the model shall see."""
        who = self._who(config)
        return self._call_with_config(
            lambda given: self.view(messages_of(given), who), input, config
        )

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> list[BaseMessage]:
        """The messages that the model shall see."""
        who = self._who(config)

        async def viewed(given: LanguageModelInput) -> list[BaseMessage]:
            return await self.aview(messages_of(given), who)

        return await self._acall_with_config(viewed, input, config)

    def view(self, messages: Sequence[BaseMessage], who: Attribution | None) -> list[BaseMessage]:
        """The messages that the model shall see, of a conversation that is `who`'s.

        All of them, where nobody could say whose it is.
        """
        talk = self._talk(messages, who)
        return [*messages] if talk is None else self._sent(messages, self.driver.prepare(talk))

    async def aview(
        self, messages: Sequence[BaseMessage], who: Attribution | None
    ) -> list[BaseMessage]:
        """The same without waiting in the loop."""
        talk = self._talk(messages, who)
        if talk is None:
            return [*messages]
        return self._sent(messages, await self.driver.aprepare(talk))

    def _who(self, config: RunnableConfig | None) -> Attribution | None:
        """Whose the conversation is; `None` where that cannot be told, which is counted."""
        try:
            return who_of(ensure_config(config), self._session)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.driver.failures.count('unreadable_call', error)
            return None

    def _talk(self, messages: Sequence[BaseMessage], who: Attribution | None) -> Talk | None:
        """The call as the driver takes it; `None` where it cannot be read, which is counted."""
        if who is None:
            return None
        try:
            parts = tuple(map(part_of, messages))
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.driver.failures.count('unreadable_call', error)
            return None
        known = None if self._model is None else facts_of(self._model)
        provider, model = known or self.driver.booking.answered_by or _UNTIL_KNOWN
        return Talk(
            parts=parts,
            provider=provider,
            model=model,
            who=who,
            limit=self._limit,
            complete=False,  # tools are bound to the model
        )

    def _sent(self, messages: Sequence[BaseMessage], prepared: Prepared) -> list[BaseMessage]:
        found = sent(messages, prepared)
        asking = None if self._cheap is None else Asking(self._ledger, self._cheap)
        handed(self.driver, prepared, last_requests(found), asking, recorded=tap.installed)
        return found


class FarthingChatMessageHistory(BaseChatMessageHistory):
    """A history that shows what the model shall see, and keeps everything in another one.

    LangChain has deprecated these histories; prefer `MemorySummarizer` in a chain, which also books
    what it decided. One memory serves all sessions of a chain.

    Args:
        history: Keeps the messages.
        memory: Decides what is shown.
        session: The session's name.
    """

    def __init__(
        self, history: BaseChatMessageHistory, *, memory: MemorySummarizer, session: str
    ) -> None:
        if not session:
            raise InputError(f'`session` is {session!r}: expected its name')
        self._history = history
        self._memory = memory
        self._name = session

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # LangChain's is a field
        """The messages that the model shall see."""
        return self._memory.view(self._history.messages, self._who())

    async def aget_messages(self) -> list[BaseMessage]:
        """The messages that the model shall see."""
        return await self._memory.aview(await self._history.aget_messages(), self._who())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Keep messages."""
        self._history.add_messages(messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Keep messages."""
        await self._history.aadd_messages(messages)

    def clear(self) -> None:
        """Forget the messages; what is stored beside the ledger is purged by its age."""
        self._history.clear()

    async def aclear(self) -> None:
        """The same."""
        await self._history.aclear()

    def _who(self) -> Attribution:
        return narrowed(current(), session=self._name)
