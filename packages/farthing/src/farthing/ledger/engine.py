"""What a database must do to hold a ledger. One file per engine; SQLite is the first."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from farthing.caching.causes import Explained
from farthing.caching.state import Learned
from farthing.entry import Decision
from farthing.ledger.batch_change import Change
from farthing.ledger.batch_view import View
from farthing.ledger.spool import Chunk
from farthing.ledger.values import Booked, Query, Report, Verdict
from farthing.routing.pair import Pair

if TYPE_CHECKING:
    from farthing.prices import PriceBook


class Writer(Protocol):
    """An open writing end; there is one at a time, under the drain lock."""

    def offsets(self) -> dict[str, int]:
        """How far each spool file has been taken."""

    def take(self, chunk: Chunk, *, spool: str) -> None:
        """Store a chunk, its rollup and its end in one transaction; known ids add nothing."""

    def batches(self) -> AbstractContextManager[Change]:
        """Change batch jobs in one transaction, with the entries that belong to it."""

    def forget(self, spools: list[str]) -> None:
        """Drop the offsets of spool files that are gone."""


class Engine(Protocol):
    """A database that holds a ledger.

    Every method raises `LedgerBusy`, `LedgerCorrupt`, `LedgerVersion` or `LedgerError`.
    """

    def exists(self) -> bool:
        """Whether there is a database."""

    def ready(self) -> bool:
        """Whether it can be read as it is; else writing to it makes or migrates it first."""

    def writing(self, *, wait_s: float) -> AbstractContextManager[Writer]:
        """Open for writing; makes or migrates the schema. The caller holds the drain lock."""

    def offsets(self) -> dict[str, int]:
        """How far each spool file has been taken, read without the drain lock."""

    def report(self, query: Query, *, unsaved: int) -> Report:
        """Sums by group; `unsaved` calls of this process are lost so far."""

    def entries(self, query: Query, *, limit: int | None) -> Iterator[Booked]:
        """Entries that match, newest first."""

    def batches(self) -> AbstractContextManager[View]:
        """One consistent view of the batch jobs."""

    def learned(self) -> Learned:
        """What the caching planner has learned."""

    def unexplained(self, book: 'PriceBook') -> Iterator[Decision]:
        """A verdict on the prompt cache of each call that has none, oldest first."""

    def explained(self, query: Query) -> Iterator[Explained]:
        """The verdicts on the entries that match."""

    def pairs(self) -> Iterator[Pair]:
        """Each shadow call of routing that was answered, with the call that it shadows."""

    def verify(self) -> Verdict:
        """Check everything that can be checked."""
