"""The farthing cost ledger under LlamaIndex: LLMs, embeddings, agents, workflows, query engines.

    llama_index_farthing.install()
    with farthing.attributed(tenant='acme', task='triage'):
        index.as_query_engine().query(question)

Or wrap code in `recording()`. LlamaIndex's events say who called; the HTTP tap says how much.
`cached(llm)` has a model's prompts cached where that pays; `BatchRunner` runs code over many
inputs at the price of batches.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from llama_index_farthing.caching import cached
from llama_index_farthing.switch import Installed, install, recording, uninstall

if TYPE_CHECKING:
    from llama_index_farthing.batching import BatchRunner, batchable

__all__ = [
    'BatchRunner',
    'Installed',
    'batchable',
    'cached',
    'install',
    'recording',
    'uninstall',
]

_BATCHING = frozenset({'BatchRunner', 'batchable'})


def __getattr__(name: str) -> object:
    """Batches are loaded when they are first asked for."""
    if name not in _BATCHING:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(f'{__name__}.batching'), name)
    return found
