"""Asking at once what no batch will answer in time.

No provider lists what it was asked synchronously. So an answer that a crash has cost cannot be
found again: its request may have been billed, and is asked a second time, because the deadline is
what the user wanted kept. It is in doubt, is counted and shown as that, and is one of those few
that were asked side by side when the process died.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from farthing.batching.jobs import Item, Job
from farthing.errors import JournalError
from farthing.run.journal import Journal
from farthing.run.moves import Moves
from farthing.run.providers import InDoubt, Provider, Refused
from farthing.run.settling import Result, Settling
from farthing.wire.batches import Line
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import inner, loads, text

_FIRST_ERROR = 400


class AtOnce:
    """Asks items of one ledger synchronously; each is stored as asked before it is."""

    def __init__(
        self, moves: Moves, journal: Journal, settling: Settling, side_by_side: int
    ) -> None:
        self._moves = moves
        self._journal = journal
        self._settling = settling
        self._side_by_side = side_by_side

    def ask(self, job: Job, provider_of: Callable[[Item], Provider | None]) -> None:
        """Ask all items that wait and may be sent now, and whose provider can be asked here."""
        while True:
            with self._moves.ledger.batches() as view:
                due = (
                    (item, provider)
                    for item in view.due(job.id, self._moves.now())
                    if (provider := provider_of(item)) is not None
                )
                some = list(islice(due, self._side_by_side))
            if not some:
                return
            self._ask_some(job, [item for item, _ in some], [provider for _, provider in some])

    def recover(self, job: Job) -> None:
        """Settle items that a crash has left asked: their answer is in the journal, or is lost."""
        with self._moves.ledger.batches() as view:
            left = view.asked(job.id)
        for label, item in left:
            self._settle(job, label, [(item, self._left(item))])

    def _left(self, item: Item) -> Line:
        lost = Line(custom_id='', ending='lost', kind='lost', message='the answer was lost')
        try:
            found = self._journal.answer(item.job, item.draft.key)
        except JournalError:
            return lost
        return lost if found is None else _told(item, found.status, found.body)

    def _ask_some(self, job: Job, due: list[Item], providers: list[Provider]) -> None:
        label = f'sync-{secrets.token_hex(8)}'
        keys = [item.draft.key for item in due]
        bodies = [body for _, body in self._journal.requests(job.id, keys)]
        with self._moves.ledger.changing_batches() as change:
            change.ask(due, label)
            asked = change.items_of(label, [item.id for item in due])
        items = [asked[item.id] for item in due]
        with ThreadPoolExecutor(self._side_by_side) as pool:
            lines = list(pool.map(_line, items, providers, bodies))
        self._settle(job, label, list(zip(items, lines, strict=True)))

    def _settle(self, job: Job, label: str, answered: list[tuple[Item, Line]]) -> None:
        now_s = self._moves.now()
        results = [
            Result(item=item, line=line, label=label, entry_id=f'{job.id}:{item.id}:{item.attempt}')
            for item, line in answered
        ]
        self._settling.settle(job.id, results, sent_s=now_s, now_s=now_s, batch=False)


def _line(item: Item, provider: Provider, body: bytes | None) -> Line:
    """The answer to one request, as a line of a batch would tell it."""
    if body is None:
        return Line(
            custom_id='', ending='errored', status=400, kind='farthing',
            message='its request is damaged',
        )  # fmt: skip
    try:
        status, content = provider.ask(item.draft.target, body)
    except InDoubt as doubt:
        return Line(custom_id='', ending='lost', kind='lost', message=str(doubt))
    except Refused as refusal:
        return Line(
            custom_id='', ending='errored', status=429, kind=refusal.kind, message=str(refusal)
        )
    return _told(item, status, content)


def _told(item: Item, status: int, content: bytes) -> Line:
    words = loads(content)
    if status < _FIRST_ERROR:
        if words is None:
            return Line(custom_id='', ending='lost', kind='lost', message='the answer is no JSON')
        return Line(custom_id='', ending='answered', status=status, body=words)
    error = inner(words or {}, 'error')
    return Line(
        custom_id='',
        ending='errored',
        status=status,
        body=words or DIALECTS[item.draft.provider].failure(f'http_{status}', 'no JSON'),
        kind=text(error, 'code') or text(error, 'type'),
        message=text(error, 'message') or '',
    )
