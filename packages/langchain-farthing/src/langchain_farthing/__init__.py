"""The farthing cost ledger under LangChain, LangGraph and `create_agent`.

Give `LedgerCallbackHandler()` to a call, wrap code in `recording()`, or set `FARTHING_RECORD=true`
and import this module. `cached(model)` has a model's prompts cached where that pays;
`RouterChatModel` sends each call to the cheapest of several models that is good enough;
`BatchRunner` runs any chain over many inputs at the price of batches.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from langchain_farthing.embeddings import LedgerEmbeddings
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.recording import recording

if TYPE_CHECKING:
    from farthing.context import ClearToolResults, Select, TrimWhenCold, Window
    from farthing.context.server import ServerCompaction
    from farthing.routing import Cascade, Judge, LLMClassifier, Rule, Rules
    from farthing.routing.evidence import Bar
    from farthing.run.context_policies import ContextOptions, PeriodicSummary
    from farthing.run.grading import Graded, JudgeModel, exact_match, json_equal
    from farthing.run.policies import Embedding, TaskTable, Trained
    from langchain_farthing.annotator import CacheAnnotator
    from langchain_farthing.batching import BatchRunner, batchable
    from langchain_farthing.caching import cached
    from langchain_farthing.context import ContextMiddleware
    from langchain_farthing.memory import FarthingChatMessageHistory, MemorySummarizer
    from langchain_farthing.middleware import CacheAnnotatorMiddleware
    from langchain_farthing.router import RouterChatModel
    from langchain_farthing.router_middleware import RouterMiddleware

__all__ = [
    'Bar',
    'BatchRunner',
    'CacheAnnotator',
    'CacheAnnotatorMiddleware',
    'Cascade',
    'ClearToolResults',
    'ContextMiddleware',
    'ContextOptions',
    'Embedding',
    'FarthingChatMessageHistory',
    'Graded',
    'Judge',
    'JudgeModel',
    'LLMClassifier',
    'LedgerCallbackHandler',
    'LedgerEmbeddings',
    'MemorySummarizer',
    'PeriodicSummary',
    'RouterChatModel',
    'RouterMiddleware',
    'Rule',
    'Rules',
    'Select',
    'ServerCompaction',
    'TaskTable',
    'Trained',
    'TrimWhenCold',
    'Window',
    'batchable',
    'cached',
    'exact_match',
    'json_equal',
    'recording',
]

# Loaded when they are first asked for: a program that records does not wait for them, and the
# middleware needs `langchain`, which the rest does without.
_HOMES = {
    'Bar': 'farthing.routing.evidence',
    'BatchRunner': 'langchain_farthing.batching',
    'CacheAnnotator': 'langchain_farthing.annotator',
    'CacheAnnotatorMiddleware': 'langchain_farthing.middleware',
    'Cascade': 'farthing.routing',
    'ClearToolResults': 'farthing.context',
    'ContextMiddleware': 'langchain_farthing.context',
    'ContextOptions': 'farthing.run.context_policies',
    'Embedding': 'farthing.run.policies',
    'FarthingChatMessageHistory': 'langchain_farthing.memory',
    'Graded': 'farthing.run.grading',
    'Judge': 'farthing.routing',
    'JudgeModel': 'farthing.run.grading',
    'LLMClassifier': 'farthing.routing',
    'MemorySummarizer': 'langchain_farthing.memory',
    'PeriodicSummary': 'farthing.run.context_policies',
    'RouterChatModel': 'langchain_farthing.router',
    'RouterMiddleware': 'langchain_farthing.router_middleware',
    'Rule': 'farthing.routing',
    'Rules': 'farthing.routing',
    'Select': 'farthing.context',
    'ServerCompaction': 'farthing.context.server',
    'TaskTable': 'farthing.run.policies',
    'Trained': 'farthing.run.policies',
    'TrimWhenCold': 'farthing.context',
    'Window': 'farthing.context',
    'batchable': 'langchain_farthing.batching',
    'cached': 'langchain_farthing.caching',
    'exact_match': 'farthing.run.grading',
    'json_equal': 'farthing.run.grading',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
