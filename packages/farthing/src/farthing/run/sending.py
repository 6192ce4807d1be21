"""Sending a planned batch: the intent is stored first, and the creation is asked for once."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from farthing.batching.jobs import Item, Submission
from farthing.batching.keys import CustomId
from farthing.batching.retrying import Ending
from farthing.run.collecting import Collecting
from farthing.run.journal import Journal
from farthing.run.moves import Moves
from farthing.run.providers import Provider, Refused
from farthing.wire.batches import Line
from farthing.wire.dialects import DIALECTS

_FRESH_S = 60.0
_DENIED = frozenset({401, 403})
_TOO_LARGE = 413
_BUSY = frozenset({0, 402, 409, 425, 429})
_DAMAGED: Ending = 'errored'


class Denied(Exception):  # noqa: N818 - it is an answer of the provider
    """The provider refuses the credentials; nothing was created."""


class Sending:
    """Sends the planned submissions of one ledger."""

    def __init__(
        self, moves: Moves, journal: Journal, collecting: Collecting, backoff_s: float
    ) -> None:
        self._moves = moves
        self._journal = journal
        self._collecting = collecting
        self._backoff_s = backoff_s

    def send(self, one: Submission, provider: Provider) -> None:
        """Send a planned submission, unless it was refused a moment ago.

        Raises:
            Denied: The provider refuses the credentials.
            InDoubt: The creation was not answered; the submission stays `sending`.
        """
        now_s = self._moves.now()
        if one.reason is not None and now_s < one.changed_s + self._backoff_s:
            return
        with tempfile.TemporaryDirectory(prefix='farthing-') as folder:
            content = Path(folder) / 'batch'
            damaged = self._write(one, content)
            if damaged:
                self._drop(one, damaged)
                return
            begun = self._moves.move(one, 'sending', sent_s=now_s, file=None, looks=0)
            if begun is None:
                return  # another process was quicker
            self._begin(begun, provider, content)

    def _begin(self, one: Submission, provider: Provider, content: Path) -> None:
        file = None
        try:
            if DIALECTS[one.target.provider].uploads:
                file = self._upload(one, provider, content)
                uploaded = self._moves.move(
                    one, 'sending', sent_s=self._moves.now(), file=file
                )  # fmt: skip
                if uploaded is None:
                    return
                one = uploaded
            if self._moves.now() - one.changed_s > _FRESH_S:
                return  # the machine slept: another process may be looking for this batch already
            remote = provider.create(one.target, one.label, content=content, file=file)
        except Refused as refusal:
            self._refused(one, refusal)
        else:
            self._moves.move(one, 'submitted', batch=remote.id, reason=None)

    def _upload(self, one: Submission, provider: Provider, content: Path) -> str:
        """The id of the uploaded file; one that was uploaded before a crash is found again."""
        name = f'farthing-{one.label}.jsonl'
        again = one.reason is not None
        found = provider.uploaded(name, content.stat().st_size) if again else None
        return found or provider.upload(name, content)

    def _refused(self, one: Submission, refusal: Refused) -> None:
        """Nothing was created."""
        reason = str(refusal)
        if refusal.status in _DENIED or refusal.status in _BUSY:
            self._moves.move(one, 'planned', reason=reason)
            if refusal.status in _DENIED:
                raise Denied(reason) from refusal
        elif refusal.status == _TOO_LARGE and one.requests > 1:
            self._collecting.shrink(one)
            self._moves.take_back(one, reason)
        else:
            self._collecting.refuse(one, refusal.status, refusal.kind, reason)

    def _write(self, one: Submission, content: Path) -> list[Item]:
        """Write what is sent; the items whose body is missing or damaged, and then nothing is."""
        dialect = DIALECTS[one.target.provider]
        damaged: list[Item] = []
        with self._moves.ledger.batches() as view, content.open('wb') as file:
            file.writelines(dialect.upload(self._lines(one, view.sent(one.label), damaged)))
        return damaged

    def _lines(
        self, one: Submission, items: Iterator[Item], damaged: list[Item]
    ) -> Iterator[bytes]:
        dialect = DIALECTS[one.target.provider]
        while some := list(islice(items, _AT_ONCE)):
            bodies = self._journal.requests(one.job, [item.draft.key for item in some])
            for item, (_, body) in zip(some, bodies, strict=True):
                if body is None:
                    damaged.append(item)
                    continue
                name = CustomId(label=one.label, item=item.id, attempt=item.attempt)
                yield dialect.line(str(name), one.target.path, body)

    def _drop(self, one: Submission, damaged: Sequence[Item]) -> None:
        """Fail the items whose request is lost, and plan the others again."""
        message = 'its request is missing or damaged in the journal'
        for item in damaged:
            name = CustomId(label=one.label, item=item.id, attempt=item.attempt)
            line = Line(
                custom_id=str(name), ending=_DAMAGED, status=400, kind='journal', message=message
            )
            self._collecting.take(one, [line])
        self._moves.take_back(one, message)


_AT_ONCE = 500
