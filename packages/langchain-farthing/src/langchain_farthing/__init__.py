"""The farthing cost ledger under LangChain, LangGraph and `create_agent`.

Give `LedgerCallbackHandler()` to a call, wrap code in `recording()`, or set `FARTHING_RECORD=true`
and import this module.
"""

from langchain_farthing.embeddings import LedgerEmbeddings
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.recording import recording

__all__ = ['LedgerCallbackHandler', 'LedgerEmbeddings', 'recording']
