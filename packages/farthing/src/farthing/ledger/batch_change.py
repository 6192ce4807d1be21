"""Batch jobs in the ledger's database, as they are changed: in one transaction with entries.

Every change of state is guarded by the state that it starts from: who comes second changes
nothing and is told so.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from farthing.batching.chunking import Chunk, Target
from farthing.batching.jobs import Draft, Item, Job, Submission, Terms
from farthing.batching.states import NEXT, JobState, Outcome, SubmissionState
from farthing.errors import BatchError
from farthing.ledger import batch_rows as rows
from farthing.ledger.batch_view import View


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
