"""LangChain's nightly job of `farthing demo`: one chain over documents, at once and batched."""

from collections.abc import Callable

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableConfig

from farthing.cli.stage import Ticket
from farthing.cli.stage_night import DOCUMENTS, POLL_S
from farthing.ledger import Ledger
from langchain_farthing.batching import BatchRunner

Work = Callable[[Ticket, RunnableConfig], object]


def at_once(model: BaseChatModel) -> Work:
    """Sums each document up at the full price."""
    chain = model | StrOutputParser()
    return lambda _, config: chain.batch([*DOCUMENTS], config)


def overnight(model: BaseChatModel, ledger: Ledger) -> Work:
    """Sums all documents up in one batch of the provider."""
    chain = model | StrOutputParser()

    def work(ticket: Ticket, _: RunnableConfig) -> None:
        runner = BatchRunner(
            'demo-langchain', ledger=ledger, tenant=ticket.tenant, task=ticket.task,
            poll=POLL_S, idle=POLL_S,
        )  # fmt: skip
        runner.run(chain, DOCUMENTS, progress=False)

    return work
