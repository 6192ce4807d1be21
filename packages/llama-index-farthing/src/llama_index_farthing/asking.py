"""Asking LlamaIndex's models for a summary, in a context where nothing of the user's call is."""

from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM

from farthing.meter.shared import Source
from farthing.run.handing import paid
from farthing.run.running import Due
from farthing.run.talk import Answered, Wanted
from llama_index_farthing.facts import provider_of
from llama_index_farthing.switch import recording


def facts_of(llm: Any) -> tuple[str, str]:
    """Who bills a model, and its name; `unknown` where it does not say."""
    return provider_of(llm) or 'unknown', str(getattr(llm, 'model', None) or 'unknown')


class Asking:
    """Asks one model, and says what that cost."""

    def __init__(self, ledger: Source, llm: LLM) -> None:
        self._ledger = ledger
        self._llm = llm

    def ask(self, wanted: Wanted | Due) -> Answered:
        """Ask in a thread."""
        with recording(self._ledger) as spend:
            answer = self._llm.chat([ChatMessage(wanted.letter)])
        return Answered(answer.message.content or '', paid(spend))

    async def aask(self, wanted: Wanted | Due) -> Answered:
        """Ask in a task."""
        with recording(self._ledger) as spend:
            answer = await self._llm.achat([ChatMessage(wanted.letter)])
        return Answered(answer.message.content or '', paid(spend))
