"""Reading what became of a batch: its results, line by line, or why it has none."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice

from farthing.batching.chunking import LIMITS, Limits
from farthing.batching.jobs import Item, Submission
from farthing.batching.keys import CustomId
from farthing.batching.orphans import Patience
from farthing.batching.tallying import Tally
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

    Args:
        moves: Has the ledger.
        settling: Settles them.
        patience: How long results that are missing are waited for.
    """

    def __init__(self, moves: Moves, settling: Settling, patience: Patience) -> None:
        self._moves = moves
        self._settling = settling
        self._patience = patience
        self._requests: dict[str, int] = {}

    def collect(self, one: Submission, provider: Provider) -> None:
        """Read all results of a submission that has ended, and settle what is missing in them.

        Broken off, it is begun again: settled lines stay as they are. Where one is missing that
        may have been answered, its item is sent again only when the results have been read again
        for a while; and they are read now and then after that.

        Raises:
            InDoubt: The results broke off.
        """
        patience = self._patience
        if one.looks and not self._rested(one, patience.settle_s / patience.looks):
            return
        remote = provider.get(one.target, one.batch or '')
        tally = self._read(one, provider, remote.outputs or one.outputs)
        with self._moves.ledger.batches() as view:
            missing = view.unsettled(one.label)
        tally.missing = len(missing)
        notes = tally.notes(answered=remote.answered, tokens=remote.tokens)
        lost = tally.in_doubt(remote.answered)
        if lost and one.looks < patience.looks:
            self._moves.move(one, 'ended', looks=one.looks + 1, reason=notes)
            return
        for at in range(0, len(missing), _AT_ONCE):
            some = missing[at : at + _AT_ONCE]
            self.take(one, [_gone(one, item, lost=lost) for item in some])
        if notes:
            _log.warning('farthing: job %s: batch %s: %s', one.job, one.batch, notes)
        self._moves.move(one, 'late' if lost else 'ingested', looks=0, reason=notes)

    def look_again(self, one: Submission, provider: Provider) -> None:
        """Read results again, ever more rarely, that lacked answers which may be billed.

        Raises:
            InDoubt: The results broke off.
        """
        if not self._rested(one, self._patience.settle_s * 2**one.looks):
            return
        looked = self._moves.move(one, 'late', looks=one.looks + 1)
        if looked is None:
            return
        remote = provider.get(one.target, one.batch or '')
        self._read(one, provider, remote.outputs or one.outputs)
        with self._moves.ledger.batches() as view:
            lost = view.in_doubt(one.label)
        if not lost:
            self._moves.move(looked, 'ingested', reason='results that were missing came late')

    def _rested(self, one: Submission, rest_s: float) -> bool:
        return self._moves.now() >= one.changed_s + rest_s

    def _read(self, one: Submission, provider: Provider, outputs: Sequence[str]) -> Tally:
        dialect, tally = DIALECTS[one.target.provider], Tally()
        for output in outputs:
            raw = provider.results(one.target, output)
            while some := list(islice(raw, _AT_ONCE)):
                self.take(one, [dialect.result(loads(line) or {}) for line in some], tally)
        return tally

    def take(self, one: Submission, lines: Sequence[Line], tally: Tally | None = None) -> None:
        """Settle some lines of a submission, and count them."""
        named = [(line, CustomId.read(line.custom_id)) for line in lines]
        asked = {name.item for _, name in named if name and _of(one, name)}
        with self._moves.ledger.batches() as view:
            items = view.items_of(one.label, list(asked))
        ours: dict[int, Line] = {}
        strange: list[Line] = []
        for line, name in named:
            item = name.item if name and _of(one, name) and name.item in items else None
            if tally is not None:
                tally.add(item, answered=line.ending == 'answered', tokens=line.tokens)
            if item is None:
                strange.append(line)
            elif item not in ours or ours[item].ending != 'answered':
                ours[item] = line  # an answer before an error; else the first one
        results = [
            Result(
                item=items[id_],
                line=line,
                label=one.label,
                entry_id=_entry_id(one, line.custom_id),
            )
            for id_, line in ours.items()
        ]
        sent_s = one.changed_s if one.sent_s is None else one.sent_s
        self._settling.settle(
            one.job, results, sent_s=sent_s, now_s=self._moves.now(), batch=True
        )  # fmt: skip
        if strange:
            self._quarantine(one, strange, 0 if tally is None else tally.strange)

    def failed(self, one: Submission, remote: Remote, *, rest_s: float) -> None:
        """A batch that the provider took and then refused as a whole: nothing was billed."""
        if remote.full:
            reason, now_s = remote.reason or 'the queue is full', self._moves.now()
            with self._moves.ledger.changing_batches() as change:
                change.learn_room(one.target, max(1, one.tokens // 2))
                change.take_back(one, reason, now_s, rest_s=rest_s)
            return
        if remote.large and one.requests > 1:
            self.shrink(one)
            self._moves.take_back(one, remote.reason or 'the batch holds too much')
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

    def _quarantine(self, one: Submission, lines: Sequence[Line], seen: int) -> None:
        """Post what was billed in our batch and answers nothing of ours; it is given to nobody.

        `seen` is how many such lines have come by now: those without a name are told apart by it.
        """
        names = [(line.custom_id or f'nameless-{seen - n}')[:64] for n, line in enumerate(lines)]
        for line, name in zip(lines, names, strict=True):
            self._settling.stray(one, line, _entry_id(one, name))


def _of(one: Submission, name: CustomId) -> bool:
    return name.label == one.label


def _entry_id(one: Submission, custom_id: str) -> str:
    return f'{one.target.provider}:{one.batch or one.label}:{custom_id}'


def _name(one: Submission, item: Item) -> str:
    return str(CustomId(label=one.label, item=item.id, attempt=item.attempt))


def _gone(one: Submission, item: Item, *, lost: bool) -> Line:
    """A line that is not there; `lost`: it may be billed."""
    return Line(
        custom_id=_name(one, item),
        ending='lost' if lost else 'missing',
        kind='missing',
        message='the results do not have it',
    )
