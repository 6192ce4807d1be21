"""Recording a block of code: what every adapter's `recording` does beside its framework's hook."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from farthing.attribution import attributed
from farthing.io.tap import tap
from farthing.meter import Spend, ambient
from farthing.meter.shared import Source, account


@contextmanager
def recorded(
    ledger: Source = None,
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Spend]:
    """Attribute the block, read its HTTP answers, and add its entries to the sum that it yields.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """
    with attributed(tenant=tenant, task=task, session=session, tags=tags):
        one = account(ledger)
        accounts = ambient.set((one, *ambient.get()))
        tap.install(one)
        try:
            yield one.spend
        finally:
            tap.release(one)
            ambient.reset(accounts)
