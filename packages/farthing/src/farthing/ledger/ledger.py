"""The ledger: post on one side, report on the other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from farthing import prices
from farthing.caching.causes import Explained
from farthing.caching.state import Learned
from farthing.entry import Correction, Decision, Entry, Outcome
from farthing.errors import EntryError, InputError, LedgerError
from farthing.ledger import draining, keys, record, secret, spool
from farthing.ledger.address import ledger_path
from farthing.ledger.answered import Answered, answered_line
from farthing.ledger.batch_change import Change
from farthing.ledger.batch_view import View
from farthing.ledger.engine import Engine
from farthing.ledger.learned import learned_line
from farthing.ledger.mover import INTERVAL_S, WAIT_S, Mover
from farthing.ledger.spool import warn
from farthing.ledger.sqlite import SQLite
from farthing.ledger.values import Booked, Query, Report, Verdict
from farthing.routing.pair import Pair

if TYPE_CHECKING:
    from farthing.prices import PriceBook

Durability = Literal['process', 'fsync']


class Ledger:
    """An append-only account of calls, shared by threads and processes.

    `post` and its siblings write one line to this process's spool and return: they never raise
    and never wait for the database. A thread moves spools into the database every few seconds;
    `flush`, `report`, `entries` and `verify` do so first. Make one with `Ledger.open`.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        durability: Durability = 'process',
        interval_s: float = INTERVAL_S,
        wait_s: float = WAIT_S,
    ) -> None:
        self.folder = folder
        self._engine = engine
        self._mover = Mover(
            engine, folder, fsync=durability == 'fsync', interval_s=interval_s, wait_s=wait_s
        )
        self._append = self._mover.append
        self._spool = self._mover.spool
        self._wait_s = wait_s
        self._refused = False
        self._key: bytes | None = None
        self._made = False

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str] | None = None,
        *,
        create: bool = True,
        durability: Durability = 'process',
        interval_s: float = INTERVAL_S,
        wait_s: float = WAIT_S,
    ) -> Self:
        """The ledger at an address. Nothing is written before the first post, flush or report.

        Args:
            url: `sqlite:///relative.db`, `sqlite:////absolute.db` or a path; by default the
                environment's `FARTHING_LEDGER`, else `farthing.db` in the current folder.
            create: Whether a ledger that is not there is to be made.
            durability: `process`: what `post` took survives the death of the process. `fsync`:
                and that of the machine; each post then waits for the disk.
            interval_s: Seconds from a post to its move into the database.
            wait_s: Seconds to wait, when flushing and reading, for others who use the database.

        Raises:
            InputError: The address or an argument is none that we know.
            LedgerError: There is no ledger there, and `create` is false.
        """
        if durability not in ('process', 'fsync'):
            raise InputError(f"`durability` is {durability!r}: expected 'process' or 'fsync'")
        path = ledger_path(url)
        folder = Path(f'{path}.spool')
        if not create and not path.exists() and not spool.names(folder):
            raise LedgerError(
                f'there is no ledger at {path}: give its address, '
                'such as `sqlite:///farthing.db`, or set FARTHING_LEDGER'
            )
        ledger = cls(
            SQLite(path, read_wait_s=wait_s),
            folder,
            durability=durability,
            interval_s=interval_s,
            wait_s=wait_s,
        )
        ledger._mover.url = f'sqlite:///{path}'
        return ledger

    @property
    def url(self) -> str:
        """Its address."""
        return self._mover.url

    def post(self, entry: Entry) -> None:
        """Take one entry; an id that is known adds nothing. Never raises, never waits.

        What cannot be stored is counted in `lost` and warned about once.
        """
        try:
            line = record.entry_line(entry)
        except (EntryError, AttributeError, TypeError, ValueError) as error:
            self.lose(type(error).__name__)
            if not self._refused:
                self._refused = True
                warn(f'a call could not be recorded and counts as lost: {error}')
            return
        self._append(line)

    def post_answered(self, book: 'PriceBook', *answer: Any) -> Answered:
        """Take an answer as `answered.answered_line` wants it; `book` prices it if asked.

        Raises:
            EntryError: It cannot be stored, and nothing was.
        """
        line = answered_line(*answer)
        self._append(line)
        return Answered(line, book)

    def post_correction(self, correction: Correction) -> None:
        """Take a correction of an entry that this ledger holds; an id that is known adds nothing.

        Raises:
            EntryError: A number is larger than a ledger holds; so for the next two.
        """
        self._append(record.correction_line(correction))

    def post_decision(self, decision: Decision) -> None:
        """Take what a lever decided about a call."""
        self._append(record.decision_line(decision))

    def post_outcome(self, outcome: Outcome) -> None:
        """Take how good a run's answer was."""
        self._append(record.outcome_line(outcome))

    def learn(self, learned: Learned) -> None:
        """Take what the caching planner has learned of a request. Never raises, never waits."""
        line = learned_line(learned)
        if line is not None:
            self._append(line)

    def learned(self) -> Learned:
        """What the caching planners of all processes have learned.

        Raises:
            LedgerError: As `flush`.
        """
        self._catch_up()
        return self._engine.learned()

    def lose(self, reason: str) -> None:
        """Count one call that could not be made into an entry; reports then say `at least`."""
        self._spool.lose(reason)
        self._mover.wake()

    def key(self) -> bytes:
        """The random key of this ledger's fingerprints.

        Raises:
            OSError: Its file can neither be read nor made.
        """
        if self._key is None:
            self._key = secret.key(self.folder.with_suffix('.key'))
        return self._key

    @property
    def lost(self) -> int:
        """Calls of this process that are in no file yet: lost ones, and some that wait in memory.

        Losses that the ledger knows of are in `Report.lost`.
        """
        return self._spool.unsaved

    def flush(self, *, wait_s: float | None = None) -> None:
        """Move every spool into the database, those of other processes too.

        Args:
            wait_s: How long to wait for others; by default as long as the ledger was opened with.

        Raises:
            LedgerBusy: Another process drains, or another program holds the database, for longer
                than that. What waits in the spools stays there; so below.
            LedgerCorrupt: The file is damaged or not a ledger.
            LedgerVersion: The ledger is newer than this farthing.
            LedgerError: It cannot be read or written for another reason.
        """
        self._mover.drain(wait_s=self._wait_s if wait_s is None else wait_s)

    def report(
        self,
        *,
        by: Sequence[str] | str = (),
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, object] | None = None,
    ) -> Report:
        """Exact sums by group; everything posted before is in them.

        Args:
            by: Keys to group by, in order; see `farthing.ledger.KEYS` and `tag.NAME`. Keys of the
                daily rollup answer at once, others scan the entries.
            since: Calls from this time on; aware.
            until: Calls before this time; aware. A correction counts at the time of its call.
            where: Values by key, as `{'tenant': 'acme'}`; a list means any of them, `None` unknown.

        Returns:
            See `Report`: real spend and calls to this machine are never added up.

        Raises:
            InputError: A key, time or value is none that we know.
            LedgerError: As `flush`.
        """
        query = keys.query(by=by, since=since, until=until, where=where)
        self._prepare(query)
        return self._engine.report(query, unsaved=self._spool.unsaved)

    def entries(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, object] | None = None,
        limit: int | None = None,
    ) -> Iterator[Booked]:
        """Entries that match, newest first, with what they cost by now; arguments as in `report`.

        Raises:
            InputError: A key, time, value or the limit is none that we know.
            LedgerError: As `flush`.
        """
        query = keys.query(since=since, until=until, where=where)
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InputError(f'`limit` is {limit!r}: expected a whole number of at least 0')
        self._prepare(query)
        return self._engine.entries(query, limit=limit)

    @contextmanager
    def batches(self) -> Iterator[View]:
        """One consistent view of the batch jobs.

        Raises:
            LedgerError: As `flush`.
        """
        if not self._made:
            # Asked once: it takes as long as opening the view does.
            if not self._engine.ready():
                self.flush()
            self._made = True
        with self._engine.batches() as view:
            yield view

    @contextmanager
    def changing_batches(self) -> Iterator[Change]:
        """Change batch jobs, and post the entries that belong to it, in one transaction.

        Raises:
            LedgerError: As `flush`; nothing was changed.
        """
        with self._mover.writing() as writer, writer.batches() as change:
            yield change

    def explain(self, *, book: 'PriceBook | None' = None) -> int:
        """Give each call that has none its verdict on the prompt cache; see `farthing.caching`.

        Args:
            book: Prices what was lost; by default the packaged book.

        Returns:
            How many calls got one.

        Raises:
            LedgerError: As `flush`.
        """
        self._catch_up()
        made = 0
        for decision in self._engine.unexplained(book or prices.PriceBook.load()):
            self.post_decision(decision)
            made += 1
        if made:
            self.flush()
        return made

    def explained(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, object] | None = None,
        book: 'PriceBook | None' = None,
    ) -> Iterator[Explained]:
        """The verdicts on the calls that match; arguments as in `report` and `explain`.

        Raises:
            InputError: A key, time or value is none that we know.
            LedgerError: As `flush`.
        """
        query = keys.query(since=since, until=until, where=where)
        self.explain(book=book)
        return self._engine.explained(query)

    def pairs(self) -> Iterator[Pair]:
        """Requests that two routes answered, with their scores; see `farthing.ledger.routed`.

        Raises:
            LedgerError: As `flush`.
        """
        self._catch_up()
        return self._engine.pairs()

    def verify(self) -> Verdict:
        """Prove that the ledger agrees with itself: file, rollup, line items, corrections.

        Raises:
            LedgerError: As `flush`.
        """
        self._catch_up()
        return self._engine.verify()

    def close(self) -> None:
        """Move what waits into the database, for two seconds at most, and let go of the files.

        Never raises: what could not be moved stays in the spool for whoever opens the ledger
        next, and what could not even be spooled is printed. A later post opens it again.
        """
        self._mover.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _prepare(self, query: Query) -> None:
        """Bring in what a query must see: what was posted, and verdicts where it asks for them."""
        if keys.CACHE_CAUSE in (*query.by, *query.where):
            self.explain()
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        self._spool.retry(now=True)
        if not self._engine.ready() or draining.pending(self.folder, self._engine.offsets()):
            self.flush()
