"""Batch jobs in the ledger's database, as they are read: in one consistent view."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from farthing.batching.chunking import Target, Waiting
from farthing.batching.jobs import Item, Job, Submission
from farthing.batching.states import OPEN, ItemState, SubmissionState
from farthing.entry import Entry
from farthing.errors import BatchError
from farthing.ledger import batch_rows as rows
from farthing.ledger.booked import Reader

_OF_LABEL = (
    'SELECT '  # noqa: S608 - our own column names
    + ', '.join(f'{"l" if name == "attempt" else "i"}.{name}' for name in rows.ITEM.split(', '))
    + ' FROM batch_line l JOIN batch_item i ON i.id = l.item WHERE l.label = ?'
)
_AT_ONCE = 500
_OPEN = ', '.join(f"'{state}'" for state in sorted(OPEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What one input of a job has cost.

    Attributes:
        cost: Sum of its lines in 1e-12 USD; `None` where one of them has no price.
        attempts: Most attempts that one of its requests took.
        requests: How many of its requests were sent.
    """

    cost: int | None
    attempts: int
    requests: int


class View:
    """A consistent view of the jobs."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        return [rows.job(row) for row in self._db.execute(
            f'SELECT {rows.JOB} FROM batch_job ORDER BY created, id'  # noqa: S608
        )]  # fmt: skip

    def job(self, id_: str) -> Job:
        """One job, by its id or by its name alone: then the newest of that name.

        Raises:
            BatchError: There is none.
        """
        row = self._db.execute(
            f'SELECT {rows.JOB} FROM batch_job WHERE id = ?1 OR name = ?1 '  # noqa: S608
            'ORDER BY id = ?1 DESC, number DESC LIMIT 1',
            (id_,),
        ).fetchone()
        if row is None:
            known = ', '.join(job.id for job in self.jobs()[-5:]) or 'none'
            raise BatchError(f'there is no batch job {id_!r}; the latest: {known}')
        return rows.job(row)

    def latest(self, name: str) -> Job | None:
        """The newest job of that name."""
        row = self._db.execute(
            f'SELECT {rows.JOB} FROM batch_job WHERE name = ? ORDER BY number DESC LIMIT 1',  # noqa: S608
            (name,),
        ).fetchone()
        return None if row is None else rows.job(row)

    def keyed(self, job: str, keys: Sequence[str]) -> dict[str, Item]:
        """The items of those keys, by key, as far as there are any."""
        found: dict[str, Item] = {}
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            marks = ', '.join('?' * len(some))
            for row in self._db.execute(
                f'SELECT {rows.ITEM} FROM batch_item WHERE job = ? AND key IN ({marks})',  # noqa: S608
                (job, *some),
            ):
                item = rows.item(row)
                found[item.draft.key] = item
        return found

    def items(self, job: str, state: ItemState | None = None) -> Iterator[Item]:
        """The items of a job, by number."""
        query = f'SELECT {rows.ITEM} FROM batch_item WHERE job = ?'  # noqa: S608
        where = (job,) if state is None else (job, state)
        query += ' ORDER BY id' if state is None else ' AND state = ? ORDER BY id'
        return map(rows.item, self._db.execute(query, where))

    def due(self, job: str, now_s: float) -> Iterator[Item]:
        """The items that wait for a batch and may be sent now."""
        return map(rows.item, self._db.execute(
            f'SELECT {rows.ITEM} FROM batch_item '  # noqa: S608
            "WHERE job = ? AND state = 'waiting' AND not_before <= ? ORDER BY id",
            (job, now_s),
        ))  # fmt: skip

    def waiting(self, job: str, now_s: float) -> Iterator[tuple[Waiting, int | None]]:
        """What planning needs of the items that are due, and what each may cost in 1e-12 USD.

        Items that go to one place share their target: there may be a hundred thousand of them.
        """
        targets: dict[tuple[str, ...], Target] = {}
        for id_, size, tokens, predicted, *place in self._db.execute(
            f'SELECT {rows.WAITING} FROM batch_item '  # noqa: S608
            "WHERE job = ? AND state = 'waiting' AND not_before <= ? ORDER BY id",
            (job, now_s),
        ):
            where = tuple(place)
            target = targets.get(where) or targets.setdefault(where, rows.target(where))
            yield Waiting(id=id_, target=target, size=size, tokens=tokens), predicted

    def answered(self, digest: str, *, beside: str) -> Item | None:
        """An item of any job but one that was answered to an equal request."""
        found = self._db.execute(
            f'SELECT {rows.ITEM} FROM batch_item '  # noqa: S608
            "WHERE digest = ? AND outcome = 'ok' AND job <> ? ORDER BY id LIMIT 1",
            (digest, beside),
        ).fetchone()
        return None if found is None else rows.item(found)

    def counts(self, job: str) -> dict[str, int]:
        """How many items are in which state."""
        return dict(self._db.execute(
            'SELECT state, count(*) FROM batch_item WHERE job = ? GROUP BY state', (job,)
        ))  # fmt: skip

    def submissions(self, job: str, *states: SubmissionState) -> list[Submission]:
        """The submissions of a job, in these states or all."""
        marks = ', '.join('?' * len(states))
        return [rows.submission(row) for row in self._db.execute(
            f'SELECT {rows.SUBMISSION} FROM batch_submission WHERE job = ?'  # noqa: S608
            + (f' AND state IN ({marks})' if states else '')
            + ' ORDER BY rowid',
            (job, *states),
        )]  # fmt: skip

    def submission(self, label: str) -> Submission:
        """One submission, by its label."""
        row = self._db.execute(
            f'SELECT {rows.SUBMISSION} FROM batch_submission WHERE label = ?',  # noqa: S608
            (label,),
        ).fetchone()
        return rows.submission(row)

    def open_at(self, target: Target) -> list[Submission]:
        """The open submissions of all jobs at the same address."""
        return [rows.submission(row) for row in self._db.execute(
            f'SELECT {rows.SUBMISSION} FROM batch_submission '  # noqa: S608
            f'WHERE provider = ? AND base = ? AND state IN ({_OPEN})',
            (target.provider, target.base),
        )]  # fmt: skip

    def batches(self, provider: str) -> set[str]:
        """The provider's ids of all batches that we know."""
        return {batch for (batch,) in self._db.execute(
            'SELECT batch FROM batch_submission WHERE provider = ? AND batch IS NOT NULL',
            (provider,),
        )}  # fmt: skip

    def items_of(self, label: str, ids: Sequence[int]) -> dict[int, Item]:
        """Those of the numbered items that were sent in a submission; `attempt` is that one."""
        marks = ', '.join('?' * len(ids))
        return {one.id: one for one in map(rows.item, self._db.execute(
            f'{_OF_LABEL} AND l.item IN ({marks})', (label, *ids)
        ))}  # fmt: skip

    def unsettled(self, label: str) -> list[Item]:
        """The items of a submission whose lines have not been settled, by number."""
        return [rows.item(row) for row in self._db.execute(
            f'{_OF_LABEL} AND l.outcome IS NULL ORDER BY l.item', (label,)
        )]  # fmt: skip

    def asked(self, job: str) -> list[tuple[str, Item]]:
        """The items of a job that were asked at once and have no answer, each with its label."""
        return [(label, rows.item(tuple(row))) for label, *row in self._db.execute(
            _OF_LABEL.replace('SELECT', 'SELECT l.label,', 1).partition(' WHERE')[0]
            + " WHERE i.job = ? AND i.state = 'sync' AND l.outcome IS NULL "
            "AND l.label LIKE 'sync-%'",
            (job,),
        )]  # fmt: skip

    def sent(self, label: str) -> Iterator[Item]:
        """The items of a submission, by number, which is their order in the upload."""
        return map(rows.item, self._db.execute(f'{_OF_LABEL} ORDER BY l.item', (label,)))

    def spent(self, job: str) -> tuple[int, int, int]:
        """What a job's lines cost in 1e-12 USD, what is under way may cost, and how many unknown.

        What is in doubt counts as under way: it was billed, or was not. Lines that were billed
        without a price, and what is under way without a prediction, are missing in the sums and
        counted.
        """
        cost, unpriced = self._db.execute(
            'SELECT coalesce(sum(l.cost), 0), count(*) - count(l.cost) FROM batch_line l '
            'JOIN batch_item i ON i.id = l.item '
            "WHERE i.job = ? AND l.outcome IS NOT NULL AND l.outcome <> 'in doubt'",
            (job,),
        ).fetchone()
        under_way, unknown = self._db.execute(
            'SELECT coalesce(sum(predicted * times), 0), count(*) - count(predicted) FROM ('
            "SELECT predicted, iif(state = 'sync', 2, 1) AS times FROM batch_item "
            "WHERE job = ?1 AND state IN ('sent', 'sync') UNION ALL "
            "SELECT i.predicted, iif(l.label LIKE 'sync-%', 2, 1) FROM batch_item i "
            "JOIN batch_line l ON l.item = i.id WHERE i.job = ?1 AND l.outcome = 'in doubt')",
            (job,),
        ).fetchone()
        return cost, under_way, unpriced + unknown

    def doubts(self, job: str) -> tuple[int, int]:
        """How many lines of a job may be billed and have no answer, and how many answer twice."""
        in_doubt, duplicates = self._db.execute(
            "SELECT count(iif(l.outcome = 'in doubt', 1, NULL)), "
            "count(iif(l.outcome = 'duplicate', 1, NULL)) FROM batch_line l "
            'JOIN batch_item i ON i.id = l.item WHERE i.job = ?',
            (job,),
        ).fetchone()
        return in_doubt, duplicates

    def in_doubt(self, label: str) -> bool:
        """Whether a line of a submission may be billed and has no answer."""
        (found,) = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM batch_line WHERE label = ? AND outcome = 'in doubt')",
            (label,),
        ).fetchone()
        return bool(found)

    def outcome(self, label: str, item: int) -> str | None:
        """What became of a line; `None` where it is not settled."""
        (found,) = self._db.execute(
            'SELECT outcome FROM batch_line WHERE label = ? AND item = ?', (label, item)
        ).fetchone()
        return None if found is None else str(found)

    def elsewhere(self, label: str, item: int) -> bool:
        """Whether an item of a submission is done, or under way in another one, by now."""
        (found,) = self._db.execute(
            'SELECT EXISTS (SELECT 1 FROM batch_line l '  # noqa: S608
            'JOIN batch_submission s ON s.label = l.label '
            f'WHERE l.item = ?2 AND l.label <> ?1 AND l.outcome IS NULL AND s.state IN ({_OPEN})) '
            "OR EXISTS (SELECT 1 FROM batch_item WHERE id = ?2 AND state = 'done')",
            (label, item),
        ).fetchone()
        return bool(found)

    def rounds(self, job: str) -> tuple[int, int]:
        """What was predicted of the first round, and of all, in 1e-12 USD."""
        first, whole = self._db.execute(
            'SELECT coalesce(sum(iif(round = 1, predicted, 0)), 0), coalesce(sum(predicted), 0) '
            'FROM batch_item WHERE job = ?',
            (job,),
        ).fetchone()
        return first, whole

    def paid(self, job: str, input_: int) -> Paid:
        """What one input has cost."""
        cost, unpriced, attempts, requests = self._db.execute(
            'SELECT coalesce(sum(l.cost), 0), count(l.outcome) - count(l.cost), '
            'coalesce(max(l.attempt), 0), count(DISTINCT i.id) '
            'FROM batch_item i JOIN batch_line l ON l.item = i.id '
            'WHERE i.job = ? AND i.input = ?',
            (job, input_),
        ).fetchone()
        return Paid(cost=None if unpriced else cost, attempts=attempts, requests=requests)

    def cost_of(self, item: int) -> int | None:
        """What all attempts at an item cost; `None` where one of them has no price."""
        cost, unpriced = self._db.execute(
            'SELECT coalesce(sum(cost), 0), count(outcome) - count(cost) FROM batch_line '
            'WHERE item = ?',
            (item,),
        ).fetchone()
        return None if unpriced else int(cost)

    def entries(self, id_: str) -> list[Entry]:
        """An entry, and those of what was billed beside the same answer."""
        cursor = self._db.execute(
            "SELECT * FROM entry WHERE id = ?1 OR (id > ?1 || '#' AND id < ?1 || '$') ORDER BY seq",
            (id_,),
        )
        names = [column[0] for column in cursor.description]
        read = Reader(self._db)
        return [read.entry(dict(zip(names, values, strict=True))) for values in cursor]

    def room(self, target: Target) -> int | None:
        """Most input tokens that may be enqueued, as far as it was learned."""
        row = self._db.execute(
            'SELECT tokens FROM batch_queue '
            'WHERE provider = ? AND base = ? AND account = ? AND model = ?',
            (target.provider, target.base, target.account, target.model or ''),
        ).fetchone()
        return None if row is None else int(row[0])
