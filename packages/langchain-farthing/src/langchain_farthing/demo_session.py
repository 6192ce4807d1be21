"""LangChain's long session of `farthing demo`: with all of its history, or a summary."""

from collections.abc import Callable, Iterator

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableConfig

from farthing.cli.stage import Ticket
from farthing.cli.stage_session import KEEP_TURNS, letters, rules
from farthing.ledger import Ledger
from farthing.run.context_policies import PeriodicSummary
from langchain_farthing.memory import MemorySummarizer

Work = Callable[[Ticket, RunnableConfig], object]


def whole(model: BaseChatModel) -> Work:
    """Answers each letter with all that was said before it."""
    return lambda ticket, config: list(_answered(model, ticket, config))


def summed(model: BaseChatModel, writer: BaseChatModel, ledger: Ledger) -> Work:
    """Answers each letter with the newest turns and a summary of the others."""

    def work(ticket: Ticket, config: RunnableConfig) -> None:
        memory = MemorySummarizer(
            policy=PeriodicSummary(keep_turns=KEEP_TURNS, model=writer),
            session=lambda _: ticket.task,
            model=model,
            ledger=ledger,
        )
        for _ in _answered(memory | model, ticket, config):
            memory.driver.flush()  # nobody reads the answer, which is when a summary is written

    return work


def _answered(
    chain: Runnable[LanguageModelInput, BaseMessage], ticket: Ticket, config: RunnableConfig
) -> Iterator[BaseMessage]:
    said: list[BaseMessage] = [SystemMessage(rules(f'{ticket.task} in LangChain'))]
    for letter in letters():
        said.append(HumanMessage(letter))
        answer = chain.invoke(said, config)
        said.append(answer)
        yield answer
