"""What a request that waits is answered with, out of the journal, and what is told of its cost."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from farthing.batching.jobs import Item, Job
from farthing.entry import Decision, Entry
from farthing.errors import JournalError
from farthing.ledger import Ledger
from farthing.ledger.batch_view import View
from farthing.meter import Meter
from farthing.run.drafting import Asked
from farthing.run.journal import Answer, Journal
from farthing.run.replies import Reply, Seat
from farthing.run.settling import LEVER


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A request that waits.

    Attributes:
        seat: Whose code sent it.
        asked: The request.
        digest: What equal requests have in common.
        nth: How many equal ones its code has sent before.
        round: How many rounds of its code came before.
        key: Names its item.
        future: Is given the answer.
    """

    seat: Seat
    asked: Asked
    digest: str
    nth: int
    round: int
    key: str
    future: 'Future[Reply]'


class Answers:
    """The answers of one job, each told with its cost once.

    Args:
        job: The job.
        meter: Posts what a merged or reused answer has saved.
        ledger: Has the entries.
        journal: Has the answers.
    """

    def __init__(self, job: Job, *, meter: Meter, ledger: Ledger, journal: Journal) -> None:
        self._job = job
        self._meter = meter
        self._ledger = ledger
        self._journal = journal
        self._untold: set[str] = set()

    def heard_by_nobody(self, key: str) -> None:
        """The entries of that item were posted while its code was let go."""
        self._untold.add(key)

    def read(self, keys: Sequence[str]) -> Mapping[str, Answer]:
        """The bodies of answers, in one look; one that is missing is looked for again by itself."""
        try:
            return self._journal.answers(self._job.id, keys)
        except JournalError:
            return {}  # each one's own look says why it fails

    def fresh(
        self,
        one: Waiting,
        item: Item,
        entries: Sequence[Entry],
        bodies: Mapping[str, Answer],
    ) -> Reply:
        """The answer of an item that is done now.

        Args:
            one: The request.
            item: The item.
            entries: What is billed for it, where nobody was told before.
            bodies: What was read of the journal.

        Raises:
            JournalError: It is not there, or damaged.
            LedgerError: The ledger cannot be read.
        """
        reply = self._reply(item, entries, bodies)
        self._note_merged(one, item)
        return reply

    def known(self, one: Waiting, item: Item, view: View, bodies: Mapping[str, Answer]) -> Reply:
        """The answer of an item that was done before; raises as `fresh` does.

        With its entries for who adds up what a run spends, if its code was let go by then.
        """
        reply = self.fresh(one, item, (), bodies)
        if one.asked.run_id is None or one.key not in self._untold or item.entry is None:
            return reply
        self._untold.remove(one.key)
        return replace(reply, entries=view.entries(item.entry), again=True)

    def earlier(self, one: Waiting, view: View) -> Reply | None:
        """The answer to an equal request of an earlier job, if it is kept; raises as `fresh`."""
        other = view.answered(one.digest, beside=self._job.id)
        if other is None:
            return None
        answer = self._journal.answer(other.job, other.draft.key)
        if answer is None:
            return None
        self._note_saving(one, other.entry, view.cost_of(other.id))
        return Reply(status=answer.status, body=answer.body, entry_id=other.entry)

    def _reply(self, item: Item, entries: Sequence[Entry], bodies: Mapping[str, Answer]) -> Reply:
        key = item.draft.key
        answer = bodies[key] if key in bodies else self._journal.answer(item.job, key)
        if answer is None:
            raise JournalError(
                f'the answer to a request of job {item.job} is not in {self._journal.path}: it '
                'was purged or moved; start a new job to pay for it again'
            )
        return Reply(
            status=answer.status, body=answer.body, entry_id=item.entry, entries=tuple(entries)
        )

    def _note_merged(self, one: Waiting, item: Item) -> None:
        """Post that the answer to another input's request is this one's as well.

        Once for each, however often its code is let go and runs again.
        """
        if one.seat.input != item.draft.input:
            with self._ledger.batches() as view:
                self._note_saving(one, item.entry, view.cost_of(item.id))

    def _note_saving(self, one: Waiting, entry_id: str | None, cost: int | None) -> None:
        """Post that a request was not sent, because an equal one was answered."""
        if entry_id is not None:
            self._meter.decide(
                Decision(
                    entry_id=entry_id,
                    time=datetime.now(UTC),
                    lever=LEVER,
                    policy='dedupe',
                    version='1',
                    chosen='answer of an equal request',
                    reason='equal requests are sent once',
                    predicted_cost=0,
                    counterfactual_cost=cost,
                    facts={'job': self._job.id},
                    id=f'{LEVER}:{entry_id}:{self._job.id}:{one.seat.input}:{one.nth}',
                )
            )
