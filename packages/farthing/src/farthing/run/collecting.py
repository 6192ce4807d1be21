"""Reading what became of a batch: its results, line by line, or why it has none."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice

from farthing.batching.chunking import LIMITS, Limits
from farthing.batching.jobs import Item, Submission
from farthing.batching.keys import CustomId
from farthing.run.moves import Moves
from farthing.run.providers import Provider
from farthing.run.settling import Result, Settling
from farthing.wire.batches import Line, Remote
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads

_AT_ONCE = 500
_log = logging.getLogger('farthing')


class Collecting:
    """Collects the results of one ledger's submissions.

    Attributes:
        strangers: Lines that were in our batches and are none of ours.
    """

    def __init__(self, moves: Moves, settling: Settling) -> None:
        self._moves = moves
        self._settling = settling
        self._requests: dict[str, int] = {}
        self.strangers = 0

    def collect(self, one: Submission, provider: Provider) -> None:
        """Read all results of a submission that has ended, and settle what is missing in them.

        Broken off, it is begun again: settled lines stay as they are.

        Raises:
            InDoubt: The results broke off.
        """
        dialect = DIALECTS[one.target.provider]
        for output in one.outputs:
            raw = provider.results(one.target, output)
            while some := list(islice(raw, _AT_ONCE)):
                self.take(one, [dialect.result(loads(line) or {}) for line in some])
        with self._moves.ledger.batches() as view:
            missing = view.unsettled(one.label)
        for at in range(0, len(missing), _AT_ONCE):
            self.take(one, [_gone(one, item) for item in missing[at : at + _AT_ONCE]])
        self._moves.move(one, 'ingested')

    def take(self, one: Submission, lines: Sequence[Line]) -> None:
        """Settle some lines of a submission."""
        named = [(line, CustomId.read(line.custom_id)) for line in lines]
        ours = {name.item: line for line, name in reversed(named) if name and _of(one, name)}
        with self._moves.ledger.batches() as view:
            items = view.items_of(one.label, list(ours))
        results = [
            Result(
                item=items[id_],
                line=line,
                label=one.label,
                entry_id=_entry_id(one, line.custom_id),
            )
            for id_, line in ours.items()
            if id_ in items
        ]
        sent_s = one.changed_s if one.sent_s is None else one.sent_s
        self._settling.settle(
            one.job, results, sent_s=sent_s, now_s=self._moves.now(), batch=True
        )  # fmt: skip
        strange = [
            line for line, name in named if not (name and _of(one, name) and name.item in items)
        ]
        if strange:
            self._quarantine(one, strange)

    def failed(self, one: Submission, remote: Remote, *, rest_s: float) -> None:
        """A batch that the provider took and then refused as a whole: nothing was billed."""
        if remote.full:
            reason, now_s = remote.reason or 'the queue is full', self._moves.now()
            with self._moves.ledger.changing_batches() as change:
                change.learn_room(one.target, max(1, one.tokens // 2))
                change.take_back(one, reason, now_s, rest_s=rest_s)
            return
        self.refuse(one, 400, 'batch_failed', remote.reason or 'the batch failed', remote.refused)

    def refuse(
        self,
        one: Submission,
        status: int,
        kind: str | None,
        reason: str,
        places: Iterable[int] = (),
    ) -> None:
        """Fail the lines at some places, or all of them; the others wait again."""
        with self._moves.ledger.batches() as view:
            items = list(view.sent(one.label))
        wrong = [items[at] for at in places if at < len(items)] or items
        for at in range(0, len(wrong), _AT_ONCE):
            self.take(
                one,
                [
                    Line(
                        custom_id=_name(one, item),
                        ending='errored',
                        status=status,
                        kind=kind,
                        message=reason,
                    )
                    for item in wrong[at : at + _AT_ONCE]
                ],
            )
        self._moves.take_back(one, reason)

    def shrink(self, one: Submission) -> None:
        """Plan smaller batches at an address that took this one for too large."""
        self._requests[one.target.base] = max(1, one.requests // 2)

    def limits(self, provider: str, base: str) -> Limits:
        """What a batch takes at an address, as far as it was learned."""
        limits = LIMITS[provider]
        learned = self._requests.get(base)
        if learned is None:
            return limits
        return Limits(
            requests=min(learned, limits.requests),
            size=limits.size,
            one_model=limits.one_model,
            labelled=limits.labelled,
        )

    def _quarantine(self, one: Submission, lines: Sequence[Line]) -> None:
        """Post what was billed in our batch and answers nothing of ours; it is given to nobody."""
        self.strangers += len(lines)
        _log.warning(
            'farthing: batch %s has %d results with names that were not sent: their cost is '
            'posted, and nobody is given them',
            one.batch,
            len(lines),
        )
        names = [f'{line.custom_id or number}'[:64] for number, line in enumerate(lines)]
        for line, name in zip(lines, names, strict=True):
            self._settling.stray(one, line, _entry_id(one, name))


def _of(one: Submission, name: CustomId) -> bool:
    return name.label == one.label


def _entry_id(one: Submission, custom_id: str) -> str:
    return f'{one.target.provider}:{one.batch or one.label}:{custom_id}'


def _name(one: Submission, item: Item) -> str:
    return str(CustomId(label=one.label, item=item.id, attempt=item.attempt))


def _gone(one: Submission, item: Item) -> Line:
    return Line(
        custom_id=_name(one, item),
        ending='missing',
        kind='missing',
        message='the results do not have it',
    )
