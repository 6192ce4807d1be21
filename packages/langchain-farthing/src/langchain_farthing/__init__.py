"""The farthing cost ledger under LangChain, LangGraph and `create_agent`.

Give `LedgerCallbackHandler()` to a call, wrap code in `recording()`, or set `FARTHING_RECORD=true`
and import this module.
`cached(model)` has a model's prompts cached where that pays;
`BatchRunner` runs any chain over many inputs at the price of batches.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from langchain_farthing.embeddings import LedgerEmbeddings
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.recording import recording

if TYPE_CHECKING:
    from langchain_farthing.annotator import CacheAnnotator
    from langchain_farthing.batching import BatchRunner, batchable
    from langchain_farthing.caching import cached
    from langchain_farthing.middleware import CacheAnnotatorMiddleware

__all__ = [
    'BatchRunner',
    'CacheAnnotator',
    'CacheAnnotatorMiddleware',
    'LedgerCallbackHandler',
    'LedgerEmbeddings',
    'batchable',
    'cached',
    'recording',
]

# Loaded when they are first asked for: a program that records does not wait for them, and the
# middleware needs `langchain`, which the rest does without.
_HOMES = {
    'BatchRunner': 'batching',
    'batchable': 'batching',
    'CacheAnnotator': 'annotator',
    'CacheAnnotatorMiddleware': 'middleware',
    'cached': 'caching',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
    return found
