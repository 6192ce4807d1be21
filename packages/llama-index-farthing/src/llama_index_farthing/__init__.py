"""The farthing cost ledger under LlamaIndex: LLMs, embeddings, agents, workflows, query engines.

    llama_index_farthing.install()
    with farthing.attributed(tenant='acme', task='triage'):
        index.as_query_engine().query(question)

Or wrap code in `recording()`. LlamaIndex's events say who called; the HTTP tap says how much.
`cached(llm)` has a model's prompts cached where that pays; `RouterLLM` sends each call to the
cheapest of several LLMs that is good enough; `BatchRunner` runs code over many inputs at the price
of batches.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from llama_index_farthing.caching import cached
from llama_index_farthing.switch import Installed, install, recording, uninstall

if TYPE_CHECKING:
    from farthing.context import ClearToolResults, Select, TrimWhenCold, Window
    from farthing.routing import Cascade, Judge, LLMClassifier, Rule, Rules
    from farthing.routing.evidence import Bar
    from farthing.run.context_policies import ContextOptions, PeriodicSummary
    from farthing.run.grading import Graded, JudgeModel, exact_match, json_equal
    from farthing.run.policies import Embedding, TaskTable, Trained
    from llama_index_farthing.batching import BatchRunner, batchable
    from llama_index_farthing.memory import MemorySummarizer
    from llama_index_farthing.router import RouterLLM
    from llama_index_farthing.summary_block import SummaryMemoryBlock

__all__ = [
    'Bar',
    'BatchRunner',
    'Cascade',
    'ClearToolResults',
    'ContextOptions',
    'Embedding',
    'Graded',
    'Installed',
    'Judge',
    'JudgeModel',
    'LLMClassifier',
    'MemorySummarizer',
    'PeriodicSummary',
    'RouterLLM',
    'Rule',
    'Rules',
    'Select',
    'SummaryMemoryBlock',
    'TaskTable',
    'Trained',
    'TrimWhenCold',
    'Window',
    'batchable',
    'cached',
    'exact_match',
    'install',
    'json_equal',
    'recording',
    'uninstall',
]

# Loaded when they are first asked for: a program that records does not wait for them.
_HOMES = {
    'Bar': 'farthing.routing.evidence',
    'BatchRunner': 'llama_index_farthing.batching',
    'Cascade': 'farthing.routing',
    'ClearToolResults': 'farthing.context',
    'ContextOptions': 'farthing.run.context_policies',
    'Embedding': 'farthing.run.policies',
    'Graded': 'farthing.run.grading',
    'Judge': 'farthing.routing',
    'JudgeModel': 'farthing.run.grading',
    'LLMClassifier': 'farthing.routing',
    'MemorySummarizer': 'llama_index_farthing.memory',
    'PeriodicSummary': 'farthing.run.context_policies',
    'RouterLLM': 'llama_index_farthing.router',
    'Rule': 'farthing.routing',
    'Rules': 'farthing.routing',
    'Select': 'farthing.context',
    'SummaryMemoryBlock': 'llama_index_farthing.summary_block',
    'TaskTable': 'farthing.run.policies',
    'Trained': 'farthing.run.policies',
    'TrimWhenCold': 'farthing.context',
    'Window': 'farthing.context',
    'batchable': 'llama_index_farthing.batching',
    'exact_match': 'farthing.run.grading',
    'json_equal': 'farthing.run.grading',
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
