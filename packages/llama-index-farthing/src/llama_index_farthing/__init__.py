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
    from farthing.context import ClearToolResults, Select, TrimWhenCold, Window
    from farthing.run.context_policies import ContextOptions, PeriodicSummary
    from llama_index_farthing.batching import BatchRunner, batchable
    from llama_index_farthing.memory import MemorySummarizer
    from llama_index_farthing.summary_block import SummaryMemoryBlock

__all__ = [
    'BatchRunner',
    'ClearToolResults',
    'ContextOptions',
    'Installed',
    'MemorySummarizer',
    'PeriodicSummary',
    'Select',
    'SummaryMemoryBlock',
    'TrimWhenCold',
    'Window',
    'batchable',
    'cached',
    'install',
    'recording',
    'uninstall',
]

# Loaded when they are first asked for: a program that records does not wait for them.
_HOMES = {
    'BatchRunner': 'llama_index_farthing.batching',
    'ClearToolResults': 'farthing.context',
    'ContextOptions': 'farthing.run.context_policies',
    'MemorySummarizer': 'llama_index_farthing.memory',
    'PeriodicSummary': 'farthing.run.context_policies',
    'Select': 'farthing.context',
    'SummaryMemoryBlock': 'llama_index_farthing.summary_block',
    'TrimWhenCold': 'farthing.context',
    'Window': 'farthing.context',
    'batchable': 'llama_index_farthing.batching',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
