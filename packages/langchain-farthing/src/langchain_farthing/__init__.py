"""The farthing cost ledger under LangChain, LangGraph and `create_agent`.

Give `LedgerCallbackHandler()` to a call, wrap code in `recording()`, or set `FARTHING_RECORD=true`
and import this module. `cached(model)` has a model's prompts cached where that pays.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from langchain_farthing.embeddings import LedgerEmbeddings
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.recording import recording

if TYPE_CHECKING:
    from farthing.context import ClearToolResults, Select, TrimWhenCold, Window
    from farthing.context.server import ServerCompaction
    from farthing.run.policies import ContextOptions, PeriodicSummary
    from langchain_farthing.annotator import CacheAnnotator
    from langchain_farthing.caching import cached
    from langchain_farthing.context import ContextMiddleware
    from langchain_farthing.memory import FarthingChatMessageHistory, MemorySummarizer
    from langchain_farthing.middleware import CacheAnnotatorMiddleware

__all__ = [
    'CacheAnnotator',
    'CacheAnnotatorMiddleware',
    'ClearToolResults',
    'ContextMiddleware',
    'ContextOptions',
    'FarthingChatMessageHistory',
    'LedgerCallbackHandler',
    'LedgerEmbeddings',
    'MemorySummarizer',
    'PeriodicSummary',
    'Select',
    'ServerCompaction',
    'TrimWhenCold',
    'Window',
    'cached',
    'recording',
]

# Loaded when they are first asked for: a program that records does not wait for them, and the
# middleware needs `langchain`, which the rest does without.
_HOMES = {
    'CacheAnnotator': 'langchain_farthing.annotator',
    'CacheAnnotatorMiddleware': 'langchain_farthing.middleware',
    'ClearToolResults': 'farthing.context',
    'ContextMiddleware': 'langchain_farthing.context',
    'ContextOptions': 'farthing.run.policies',
    'FarthingChatMessageHistory': 'langchain_farthing.memory',
    'MemorySummarizer': 'langchain_farthing.memory',
    'PeriodicSummary': 'farthing.run.policies',
    'Select': 'farthing.context',
    'ServerCompaction': 'farthing.context.server',
    'TrimWhenCold': 'farthing.context',
    'Window': 'farthing.context',
    'cached': 'langchain_farthing.caching',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
