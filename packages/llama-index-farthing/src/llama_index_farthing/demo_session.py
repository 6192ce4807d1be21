"""LlamaIndex's long session of `farthing demo`: with all of its history, or a summary."""

from collections.abc import Callable, Iterator

from llama_index.core.llms import LLM, ChatMessage, ChatResponse
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer

from farthing.cli.stage_session import KEEP_TURNS, letters, rules
from farthing.ledger import Ledger
from farthing.run.context_policies import PeriodicSummary
from llama_index_farthing.memory import MemorySummarizer

Work = Callable[[str], object]
_ALL = 200_000  # tokens: more than the session has


def whole(llm: LLM) -> Work:
    """Answers each letter with all that was said before it."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=_ALL)
    return lambda _: list(_answered(llm, 'session', memory))


def summed(llm: LLM, writer: LLM, ledger: Ledger) -> Work:
    """Answers each letter with the newest turns and a summary of the others."""

    def work(_: str) -> None:
        memory = MemorySummarizer(
            session_id='session-summed',
            policy=PeriodicSummary(keep_turns=KEEP_TURNS, model=writer),
            llm=llm,
            ledger=ledger,
        )
        for _answer in _answered(llm, 'session-summed', memory):
            memory.driver.flush()  # nobody reads the answer, which is when a summary is written

    return work


def _answered(llm: LLM, case: str, memory: BaseMemory) -> Iterator[ChatResponse]:
    system = ChatMessage(role='system', content=rules(f'{case} in LlamaIndex'))
    for letter in letters():
        memory.put(ChatMessage(role='user', content=letter))
        answer = llm.chat([system, *memory.get()])
        memory.put(answer.message)
        yield answer
