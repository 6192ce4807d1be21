"""Batch jobs in the ledger's database: read in one view, changed in one transaction with entries.

Every change of state is guarded by the state that it starts from: who comes second changes
nothing and is told so.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from farthing.batching.chunking import Chunk, Target
from farthing.batching.jobs import Draft, Item, Job, Submission, Terms
from farthing.batching.states import NEXT, OPEN, ItemState, JobState, Outcome, SubmissionState
from farthing.entry import Entry
from farthing.errors import BatchError
from farthing.ledger import batch_rows as rows
from farthing.ledger.booked import Reader

_OF_LABEL = (
    'SELECT '  # noqa: S608 - our own column names
    + ', '.join(f'{"l" if name == "attempt" else "i"}.{name}' for name in rows.ITEM.split(', '))
    + ' FROM batch_line l JOIN batch_item i ON i.id = l.item WHERE l.label = ?'
)
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

    def item(self, job: str, key: str) -> Item | None:
        """The item of that key."""
        found = self._db.execute(
            f'SELECT {rows.ITEM} FROM batch_item WHERE job = ? AND key = ?',  # noqa: S608
            (job, key),
        ).fetchone()
        return None if found is None else rows.item(found)

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


class Change(View):
    """One transaction: what is changed here is there as a whole, or not at all."""

    def __init__(self, db: sqlite3.Connection, post: Callable[[Sequence[bytes]], None]) -> None:
        super().__init__(db)
        self._post = post

    def post(self, lines: Sequence[bytes]) -> None:
        """Add entries, as lines of a spool, at the end of the same transaction."""
        self._post(lines)

    def begin(self, name: str, terms: Terms, now_s: float) -> Job:
        """A further job of that name."""
        (number,) = self._db.execute(
            'SELECT coalesce(max(number), 0) + 1 FROM batch_job WHERE name = ?', (name,)
        ).fetchone()
        job = Job(
            id=f'{name}.{number}', name=name, number=number, created_s=now_s, terms=terms
        )  # fmt: skip
        deadline = terms.deadline
        self._db.execute(
            'INSERT INTO batch_job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (job.id, name, number, now_s, deadline.at_s, deadline.reserve_s, terms.max_cost,
             terms.dedupe, terms.reuse, job.state, None),
        )  # fmt: skip
        return job

    def set_job(self, job: str, state: JobState, reason: str | None = None) -> None:
        """Change a job's state."""
        self._db.execute(
            'UPDATE batch_job SET state = ?2, reason = ?3 WHERE id = ?1', (job, state, reason)
        )

    def set_terms(self, job: str, terms: Terms) -> None:
        """Change a job's deadline and limit."""
        deadline = terms.deadline
        self._db.execute(
            'UPDATE batch_job SET deadline = ?2, reserve = ?3, max_cost = ?4 WHERE id = ?1',
            (job, deadline.at_s, deadline.reserve_s, terms.max_cost),
        )

    def lease(self, job: str, owner: str, *, now_s: float, until_s: float) -> bool:
        """Take or renew the lease; `False` where another holds it."""
        return bool(self._db.execute(
            'INSERT INTO batch_lease VALUES (?1, ?2, ?4) ON CONFLICT (job) DO UPDATE '
            'SET owner = ?2, expires = ?4 WHERE owner = ?2 OR expires <= ?3',
            (job, owner, now_s, until_s),
        ).rowcount)  # fmt: skip

    def release(self, job: str, owner: str) -> None:
        """Give the lease back."""
        self._db.execute('DELETE FROM batch_lease WHERE job = ? AND owner = ?', (job, owner))

    def admit(self, job: str, drafts: Iterable[Draft]) -> None:
        """Add items; those whose key is known stay as they are."""
        marks = ', '.join('?' * (len(rows.DRAFT.split(', ')) + 5))
        self._db.executemany(
            f'INSERT INTO batch_item (job, {rows.DRAFT}, state, attempt, not_before, outcome) '  # noqa: S608
            f'VALUES ({marks}) ON CONFLICT (job, key) DO NOTHING',
            ((job, *rows.draft_row(one), 'waiting', 0, 0.0, None) for one in drafts),
        )

    def plan(self, job: str, chunk: Chunk, label: str, now_s: float) -> Submission:
        """A submission of the items of a chunk, which wait no more."""
        made = Submission(
            label=label,
            job=job,
            target=chunk.target,
            state='planned',
            changed_s=now_s,
            requests=len(chunk.ids),
            tokens=chunk.tokens,
        )
        self._db.execute(
            f'INSERT INTO batch_submission ({rows.SUBMISSION}) '  # noqa: S608
            f'VALUES ({", ".join("?" * rows.SUBMISSION_WIDTH)})',
            rows.submission_row(made),
        )
        moved = self._db.executemany(
            "UPDATE batch_item SET state = 'sent', attempt = attempt + 1 "
            "WHERE id = ? AND state = 'waiting'",
            ((id_,) for id_ in chunk.ids),
        ).rowcount
        if moved != len(chunk.ids):
            raise BatchError(f'{len(chunk.ids) - moved} planned items waited no more: plan again')
        self._db.executemany(
            'INSERT INTO batch_line SELECT ?, id, attempt, NULL, NULL, NULL '
            'FROM batch_item WHERE id = ?',
            ((label, id_) for id_ in chunk.ids),
        )
        return made

    def move(
        self, one: Submission, state: SubmissionState, now_s: float, **facts: object
    ) -> Submission | None:
        """A submission in its next state; `None` where another has moved it before.

        Raises:
            BatchError: That state does not follow.
        """
        if state != one.state and state not in NEXT[one.state]:
            raise BatchError(f'submission {one.label} is {one.state}: it cannot become {state}')
        moved = replace(one, state=state, changed_s=now_s, **facts)  # type: ignore[arg-type]
        columns = [f'{name} = ?' for name in rows.SUBMISSION.split(', ')]
        changed = self._db.execute(
            f'UPDATE batch_submission SET {", ".join(columns)} '  # noqa: S608
            'WHERE label = ? AND state = ? AND changed = ?',
            (*rows.submission_row(moved), one.label, one.state, one.changed_s),
        ).rowcount
        return moved if changed else None

    def take_back(self, one: Submission, reason: str, now_s: float, *, rest_s: float = 0.0) -> None:
        """A submission comes to nothing: its unsettled items wait again, after some rest."""
        if self.move(one, 'failed', now_s, reason=reason) is None:
            return
        for item in self.unsettled(one.label):
            self.settle(one.label, item.id, 'taken back', entry=None, cost=0)
            self.again(item.id, not_before_s=now_s + rest_s, counts=False)

    def settle(
        self, label: str, item: int, outcome: str, *, entry: str | None, cost: int | None
    ) -> bool:
        """Note what became of a line; `False` where that is known already."""
        return bool(self._db.execute(
            'UPDATE batch_line SET outcome = ?3, entry = ?4, cost = ?5 '
            'WHERE label = ?1 AND item = ?2 AND outcome IS NULL',
            (label, item, outcome, entry, cost),
        ).rowcount)  # fmt: skip

    def resettle(
        self, label: str, item: int, outcome: str, *, entry: str | None, cost: int | None
    ) -> None:
        """Note that a line which was settled without an answer has one after all."""
        self._db.execute(
            'UPDATE batch_line SET outcome = ?3, entry = ?4, cost = ?5 '
            'WHERE label = ?1 AND item = ?2',
            (label, item, outcome, entry, cost),
        )

    def duplicate(self, label: str, item: int) -> None:
        """Note that a line answers what another one has answered before."""
        self._db.execute(
            "UPDATE batch_line SET outcome = 'duplicate' WHERE label = ? AND item = ?",
            (label, item),
        )

    def lose(self, one: Submission, reason: str, now_s: float) -> None:
        """The creation of a submission was never answered: its items wait again."""
        if self.move(one, 'lost', now_s, looks=0, reason=reason) is None:
            return
        for item in self.unsettled(one.label):
            self.again(item.id, counts=False)

    def ask(self, items: Sequence[Item], label: str) -> None:
        """Items are asked at once from now on, under a label of no batch."""
        for item in items:
            self._db.execute(
                "UPDATE batch_item SET state = 'sync', attempt = attempt + 1 "
                "WHERE id = ? AND state = 'waiting'",
                (item.id,),
            )
            self._db.execute(
                'INSERT INTO batch_line SELECT ?, id, attempt, NULL, NULL, NULL '
                'FROM batch_item WHERE id = ?',
                (label, item.id),
            )

    def done(self, item: int, outcome: Outcome, entry: str | None) -> bool:
        """An item has its answer, or its last error; `False` where it had one before."""
        return bool(self._db.execute(
            "UPDATE batch_item SET state = 'done', outcome = ?2, entry = ?3 "
            "WHERE id = ?1 AND state <> 'done'",
            (item, outcome, entry),
        ).rowcount)  # fmt: skip

    def again(self, item: int, *, not_before_s: float = 0.0, counts: bool = True) -> None:
        """An item waits for another batch, from a time on; `counts`: an attempt was used up."""
        self._db.execute(
            "UPDATE batch_item SET state = 'waiting', not_before = ?2, attempt = attempt - ?3 "
            "WHERE id = ?1 AND state IN ('sent', 'sync')",
            (item, not_before_s, not counts),
        )

    def learn_room(self, target: Target, tokens: int) -> None:
        """Set how many input tokens may be enqueued."""
        self._db.execute(
            'INSERT INTO batch_queue VALUES (?1, ?2, ?3, ?4, ?5) '
            'ON CONFLICT (provider, base, account, model) DO UPDATE SET tokens = ?5',
            (target.provider, target.base, target.account, target.model or '', tokens),
        )
