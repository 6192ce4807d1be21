"""The farthing cost ledger under LlamaIndex: LLMs, embeddings, agents, workflows, query engines.

    llama_index_farthing.install()
    with farthing.attributed(tenant='acme', task='triage'):
        index.as_query_engine().query(question)

Or wrap code in `recording()`. LlamaIndex's events say who called; the HTTP tap says how much.
`cached(llm)` has a model's prompts cached where that pays.
"""

from llama_index_farthing.caching import cached
from llama_index_farthing.switch import Installed, install, recording, uninstall

__all__ = ['Installed', 'cached', 'install', 'recording', 'uninstall']
