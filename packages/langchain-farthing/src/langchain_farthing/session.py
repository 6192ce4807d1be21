"""Whom a call is for, read from its config before its model is called."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableConfig

from farthing.attribution import Attribution, current, narrowed
from langchain_farthing.facts import attribution_of
from langchain_farthing.handler import LedgerCallbackHandler

Session = Callable[[RunnableConfig], str | None]
"""A session's name from a call's config."""


def who_of(config: RunnableConfig, session: Session | None = None) -> Attribution:
    """Whom the call is for, as the ledger's handler among its callbacks will say it."""
    callbacks = config.get('callbacks')
    handlers: Iterable[Any] = (
        callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or ()
    )
    outer = next(
        (one.attribution() for one in handlers if isinstance(one, LedgerCallbackHandler)), current()
    )
    metadata: Mapping[str, Any] = config.get('metadata') or {}
    thread = (config.get('configurable') or {}).get('thread_id')
    if thread is not None and 'thread_id' not in metadata:
        metadata = {**metadata, 'thread_id': thread}
    who = attribution_of(metadata, outer)
    if session is None:
        return who
    named = session(config)
    return who if named is None else narrowed(who, session=str(named))
