"""Asking LangChain's models for a summary, where no callback or stream of the user's hears of it.

The driver calls these in a context of its own, in which the user's callbacks are not; the ledger's
are switched on for the block.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable

from farthing.meter.shared import Source
from farthing.run.handing import paid
from farthing.run.talk import Answered, Wanted
from langchain_farthing.facts import provider_of
from langchain_farthing.recording import recording

_INNER = ('bound', 'runnable', 'default')  # of bindings, fallbacks and retries, configurable models
_DEEPEST = 8
Call = Callable[[list[BaseMessage]], BaseMessage]
Acall = Callable[[list[BaseMessage]], Awaitable[BaseMessage]]


def facts_of(model: Any) -> tuple[str, str]:
    """Who bills a model, and its name; `unknown` where it does not say."""
    for _ in range(_DEEPEST):
        if isinstance(model, BaseChatModel):
            said = model._get_ls_params()  # noqa: SLF001 - LangChain tells its tracers so
            provider = provider_of(said)
            return provider or 'unknown', str(said.get('ls_model_name') or 'unknown')
        model = next((getattr(model, name) for name in _INNER if hasattr(model, name)), None)
    return 'unknown', 'unknown'


class Asking:
    """How one call's summary is asked for.

    Args:
        ledger: Where it is booked.
        cheap: The model that makes summaries apart.
        messages: What the user's call sent; `None` where its prefix cannot be shared.
        own: Calls the session's own model as the user's call did, with these messages.
        aown: The same, awaited.
    """

    def __init__(
        self,
        ledger: Source,
        cheap: Runnable[Any, Any],
        messages: Sequence[BaseMessage] | None = None,
        own: Call | None = None,
        aown: Acall | None = None,
    ) -> None:
        self._ledger = ledger
        self._cheap = cheap
        self._messages = messages
        self._own = own
        self._aown = aown

    def ask(self, wanted: Wanted) -> Answered:
        """Ask in a thread."""
        with recording(self._ledger) as spend:
            if self._own is not None and self._messages is not None and wanted.shares_prefix:
                answer = self._own([*self._messages, HumanMessage(wanted.instruction)])
            else:
                answer = self._cheap.invoke([HumanMessage(wanted.letter)])
        return Answered(str(answer.text), paid(spend))

    async def aask(self, wanted: Wanted) -> Answered:
        """Ask in a task."""
        with recording(self._ledger) as spend:
            if self._aown is not None and self._messages is not None and wanted.shares_prefix:
                answer = await self._aown([*self._messages, HumanMessage(wanted.instruction)])
            else:
                answer = await self._cheap.ainvoke([HumanMessage(wanted.letter)])
        return Answered(str(answer.text), paid(spend))
