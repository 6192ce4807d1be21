"""LlamaIndex's nightly job of `farthing demo`: one LLM over documents, at once and batched."""

from collections.abc import Callable

from llama_index.core.llms import LLM

from farthing.attribution import current
from farthing.cli.stage_night import DOCUMENTS, POLL_S
from farthing.ledger import Ledger
from llama_index_farthing.batching import BatchRunner

Work = Callable[[str], object]


def at_once(llm: LLM) -> Work:
    """Sums each document up at the full price."""
    return lambda _: [llm.complete(document) for document in DOCUMENTS]


def overnight(llm: LLM, ledger: Ledger) -> Work:
    """Sums all documents up in one batch of the provider."""

    def work(_: str) -> None:
        who = current()
        runner = BatchRunner(
            'demo-llama-index', ledger=ledger, tenant=who.tenant, task=who.task,
            poll=POLL_S, idle=POLL_S,
        )  # fmt: skip
        runner.run(llm, DOCUMENTS, progress=False)

    return work
