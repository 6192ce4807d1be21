"""Switching the ledger on for a block of code, or for a whole process by an environment variable.

One hook is registered when this module is imported, and never again.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from langchain_core.tracers.context import register_configure_hook

from farthing.io.recording import recorded
from farthing.io.tap import tap
from farthing.meter import Account, Spend, ambient
from farthing.meter.shared import Source, account
from langchain_farthing.handler import _Events

ENVIRONMENT = 'FARTHING_RECORD'
"""Set to `true`, it records every run of the process once this module is imported."""


class AmbientHandler(_Events):
    """Posts to the accounts of the `recording` blocks around a call, else to the default one.

    LangChain makes one for each call where the environment variable is set, so making one does
    nothing that could fail.
    """

    def _accounts(self) -> Iterable[Account]:
        return ambient.get() or (_default(),)


@cache
def _default() -> Account:
    one = account()
    tap.install(one)
    return one


_AMBIENT = AmbientHandler()
_handler: ContextVar[AmbientHandler | None] = ContextVar('farthing_handler', default=None)
register_configure_hook(
    _handler, inheritable=True, handle_class=AmbientHandler, env_var=ENVIRONMENT
)


@contextmanager
def recording(
    ledger: Source = None,
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Spend]:
    """Record every model call made in the block, without touching the chains.

    Blocks nest: an inner one adds to the outer one's sum as well.

    Args:
        ledger: As for `LedgerCallbackHandler`.
        tenant: Whose money it is, as in `farthing.attributed`.
        task: What kind of work it is.
        session: Which conversation it belongs to.
        tags: Further names and values.

    Yields:
        What the block has cost so far.

    Raises:
        LedgerError: The ledger cannot be opened.
    """
    handler = _handler.set(_AMBIENT)
    try:
        with recorded(ledger, tenant=tenant, task=task, session=session, tags=tags) as spend:
            yield spend
    finally:
        _handler.reset(handler)
