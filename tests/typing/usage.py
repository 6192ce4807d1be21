"""How users write it, type-checked strictly by `nox -s lint` and never run."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from llama_index.core.llms import LLM, ChatMessage

import farthing
import llama_index_farthing
from langchain_farthing import (
    Cascade,
    ClearToolResults,
    ContextMiddleware,
    ContextOptions,
    Graded,
    LedgerCallbackHandler,
    LedgerEmbeddings,
    LLMClassifier,
    MemorySummarizer,
    PeriodicSummary,
    RouterChatModel,
    Rules,
    TaskTable,
    Trained,
    Window,
    recording,
)


def langchain(chain: Runnable[str, str], embeddings: Embeddings) -> Decimal:
    handler = LedgerCallbackHandler('sqlite:///farthing.db', tenant='acme')
    chain.invoke('x', config={'callbacks': [handler], 'metadata': {'task': 'triage'}})
    with recording(tenant='acme', task='triage') as spend:
        chain.invoke('x')
    vectors: list[float] = LedgerEmbeddings(embeddings, task='search').embed_query('x')
    calls: int = spend.calls + len(vectors)
    return handler.spend.cost_usd + spend.cost_usd if calls else Decimal(0)


def routed(light: BaseChatModel, heavy: BaseChatModel) -> str:
    def grader(graded: Graded) -> float:
        return float(graded.answer.text == graded.reference.text)

    model = RouterChatModel(
        routes={'light': light, 'heavy': heavy},
        policy=[
            Rules.from_yaml('rules.yaml'),
            TaskTable.from_ledger(),
            Trained.load('router.json'),
            LLMClassifier(model=light),
            Cascade(weak='light', strong='heavy', checks=()),
        ],
        default='heavy',
        grader=grader,
    )
    answer = model.bind_tools([]).invoke('x', {'metadata': {'task': 'triage'}})
    model.feedback(answer, 1)
    return answer.text


def context(haiku: BaseChatModel) -> list[object]:
    agent = ContextMiddleware([ClearToolResults(), PeriodicSummary(model=haiku)], limit=180_000)
    kept = ContextOptions(retention=timedelta(days=7))
    chain = MemorySummarizer(policy=Window(keep_turns=6), session=lambda _: 'one', options=kept)
    memory = llama_index_farthing.MemorySummarizer(session_id='one', policy=Window())
    lost: int = agent.driver.failures.total()
    return [chain, memory, lost]


def llama_index() -> farthing.Usage:
    installed = llama_index_farthing.install(tenant='acme')
    with farthing.attributed(tenant='globex', tags={'team': 'support'}):
        pass
    installed.uninstall()
    return installed.spend.usage


def llama_index_routed(light: LLM, heavy: LLM) -> str:
    llm = llama_index_farthing.RouterLLM(
        routes={'light': light, 'heavy': llama_index_farthing.cached(heavy)},
        policy=[
            llama_index_farthing.TaskTable.from_ledger(),
            llama_index_farthing.LLMClassifier(model=light),
        ],
        default='heavy',
        grader=llama_index_farthing.exact_match,
    )
    answer = llm.chat([ChatMessage('x')])
    llm.feedback(answer, 1)
    return answer.message.content or ''


def reading(since: datetime) -> Sequence[Decimal]:
    with farthing.Ledger.open() as ledger:
        report = ledger.report(by=['tenant', 'task'], since=since, where={'tenant': ['acme', None]})
        unpriced: int = report.total.unpriced + report.lost
        return [row.cost_usd for row in report.rows] if not unpriced else []


def prices(at: datetime) -> Decimal | None:
    usage = farthing.Usage(input_tokens=1_000, output_tokens=10, cache_read_tokens=800)
    terms = farthing.Terms(tier='standard', batch=False, geo='global')
    call = farthing.Call(provider='anthropic', model='claude-sonnet-4-6', at=at, terms=terms)
    quote: farthing.Quote = farthing.PriceBook.load().quote(usage, call)
    return quote.cost_usd
