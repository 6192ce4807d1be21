"""From a provider's result to the ledger: each line is journalled, then posted once.

The answer is in the journal before the transaction that posts its entry and settles its line. A
crash in between costs a second download, never a second entry.

An item takes the first answer that is read. Others that were billed, by a batch that was given up
too early or a line that came late, are posted as duplicates and given to nobody. Where nobody
knows whether an attempt was billed, its cost is unknown until its answer comes.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from farthing.attribution import NOBODY
from farthing.batching.jobs import Item, Submission
from farthing.batching.retrying import Retries, verdict
from farthing.entry import Correction, Decision, Entry
from farthing.errors import FarthingError, UsageError
from farthing.ledger import Ledger
from farthing.ledger.batch_change import Change
from farthing.ledger.record import correction_line, decision_line, entry_line
from farthing.meter import Meter, Observed
from farthing.prices.quote import Call, Quote, Terms
from farthing.run.journal import Answer, Journal
from farthing.wire import READERS, Reading, endpoint, region_of
from farthing.wire.batches import Line
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads

LEVER = 'batching'
_FAILED = 504
_BACKOFF_S = 5.0
_log = logging.getLogger('farthing')
Done = tuple[Item, Sequence[Entry]]
OnDone = Callable[[Sequence[Done]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A line of a result, with the item that it belongs to.

    Attributes:
        item: The item; `attempt` is the one that the line answers.
        line: The line.
        entry_id: What its entry is called: the provider, the batch and the custom id.
        label: The submission's label.
    """

    item: Item
    line: Line
    entry_id: str
    label: str


@dataclass(slots=True)
class _Settled:
    """What is done about a result.

    Attributes:
        elsewhere: Whether its item is done, or under way in another submission, by now.
        duplicate: Whether it answers what was answered before.
    """

    result: Result
    what: str
    seen: Observed
    elsewhere: bool = False
    duplicate: bool = False
    answer: Answer | None = None
    entries: list[Entry] = field(default_factory=list)
    decision: Decision | None = None


class Settling:
    """Settles results of one ledger.

    Args:
        meter: Prices them.
        ledger: Has the jobs and takes the entries.
        journal: Keeps the answers.
        retries: What is tried again.
        on_done: Hears of items that have their answers, after these are stored.
    """

    def __init__(
        self,
        meter: Meter,
        ledger: Ledger,
        journal: Journal,
        retries: Retries,
        on_done: OnDone,
    ) -> None:
        self._meter = meter
        self._ledger = ledger
        self._journal = journal
        self._retries = retries
        self._on_done = on_done

    def settle(
        self, job: str, results: Sequence[Result], *, sent_s: float, now_s: float, batch: bool
    ) -> None:
        """Post and settle results of one submission.

        Args:
            job: The job's id.
            results: Its lines.
            sent_s: When the requests left.
            now_s: The time now.
            batch: Whether they were answered in a batch, at its price.
        """
        bodies = dict(self._journal.requests(job, [one.item.draft.key for one in results]))
        settled = [self._settled(one, bodies, sent_s, batch=batch) for one in results]
        self._look_elsewhere([one for one in settled if one.what != 'done'])
        self._journal.keep_answers(
            job,
            ((one.result.item.draft.key, one.answer) for one in settled if one.answer is not None),
        )
        with self._ledger.changing_batches() as change:
            fresh = [one for one in settled if self._store(change, one, now_s)]
        if duplicates := sum(one.duplicate for one in settled):
            _log.warning(
                'farthing: job %s: %d requests were answered a second time: both answers are '
                'billed and posted, and the first one counts',
                job,
                duplicates,
            )
        self._on_done(
            [
                (replace(one.result.item, state='done', entry=one.seen.id), one.entries)
                for one in fresh
                if one.what in {'done', 'final'}
            ]
        )

    def _look_elsewhere(self, unanswered: Sequence[_Settled]) -> None:
        """Items that were not answered here, and wait for no other answer, stay as they are."""
        if not unanswered:
            return
        with self._ledger.batches() as view:
            for one in unanswered:
                if view.elsewhere(one.result.label, one.result.item.id):
                    one.elsewhere, one.answer = True, None

    def stray(self, one: Submission, line: Line, entry_id: str) -> None:
        """Post a line that answers nothing of ours, and was billed in our batch."""
        target = one.target
        known = endpoint('', target.path.partition('?')[0], listed=True)
        if line.ending != 'answered' or line.body is None or known is None:
            return
        seen = Observed(
            id=entry_id,
            who=NOBODY,
            time=datetime.fromtimestamp(one.changed_s if one.sent_s is None else one.sent_s, UTC),
            provider=target.provider,
            api=known.api,
            model=target.model,
            reading=_reading(known.api, line.body, {}),
            terms=Terms(batch=True, region=region_of(urlsplit(target.base).hostname or '')),
            error='unknown_line',
            endpoint=urlsplit(target.base).netloc,
        )
        with self._ledger.changing_batches() as change:
            change.post([entry_line(entry) for entry in self._meter.entries(seen)])

    def _settled(
        self, one: Result, bodies: dict[str, bytes | None], sent_s: float, *, batch: bool
    ) -> _Settled:
        line = one.line
        what = verdict(
            line.ending,
            status=line.status,
            kind=line.kind,
            message=line.message,
            attempt=one.item.attempt,
            retries=self._retries,
        )
        request = loads(bodies.get(one.item.draft.key) or b'') or {}
        settled = _Settled(one, what, _observed(one, request, sent_s, batch=batch))
        if what in {'done', 'final'}:
            settled.answer = _answer(one)
        self._price(settled)
        return settled

    def _price(self, one: _Settled) -> None:
        try:
            one.entries = self._meter.entries(one.seen)
        except FarthingError as error:
            self._meter.lose(error)
        else:
            if one.seen.terms.batch and one.result.line.ending == 'answered':
                one.decision = self._saving(one.result, one.entries, one.seen.terms)

    def _store(self, change: Change, one: _Settled, now_s: float) -> bool:
        """Whether this decides what becomes of an item."""
        result = one.result
        outcome = 'in doubt' if result.line.ending == 'lost' else one.what
        fresh = change.settle(
            result.label, result.item.id, outcome, entry=one.seen.id, cost=_cost(one.entries)
        )
        if not (fresh or self._came_late(change, one)):
            return False
        decides = not one.elsewhere and self._decide(change, one, now_s)
        lines = [entry_line(entry) for entry in one.entries]
        if one.decision is not None:
            lines.append(decision_line(one.decision))
        change.post(lines)
        return decides

    def _decide(self, change: Change, one: _Settled, now_s: float) -> bool:
        result, item = one.result, one.result.item
        if one.what == 'final':
            return change.done(item.id, 'error', one.seen.id)
        if one.what == 'done':
            one.duplicate = not change.done(item.id, 'ok', one.seen.id)
            if one.duplicate:
                change.duplicate(result.label, item.id)
                if one.decision is not None:  # nobody would have asked twice at once
                    one.decision = replace(
                        one.decision, counterfactual_cost=0, reason='it was answered before'
                    )
            return not one.duplicate
        pause = self._retries.pause_s if one.what == 'pause' else 0.0
        if one.what == 'retry' and result.line.ending == 'errored':
            pause = _BACKOFF_S * 2**item.attempt
        change.again(item.id, not_before_s=now_s + pause, counts=one.what == 'retry')
        return True

    def _came_late(self, change: Change, one: _Settled) -> bool:
        """Post an answer to a line that was settled as one without; whether it is one."""
        label, item = one.result.label, one.result.item.id
        before = change.outcome(label, item)
        if one.what != 'done' or before in {'done', 'duplicate'}:
            return False  # a line that is read again
        posted = one.seen.id
        one.seen = replace(one.seen, id=f'{posted}:late')
        self._price(one)
        change.resettle(label, item, 'done', entry=one.seen.id, cost=_cost(one.entries))
        if before == 'in doubt':
            change.post([correction_line(self._known(posted))])
        return True

    def _known(self, entry_id: str) -> Correction:
        """What was in doubt is billed in a later entry, and so not in this one."""
        return Correction(
            id=f'{entry_id}:known',
            time=datetime.now(UTC),
            corrects=entry_id,
            reason='late answer',
            quote=Quote(status='exact', cost=0, book=self._meter.book.version),
            list_cost=0,
        )

    def _saving(self, one: Result, entries: Iterable[Entry], terms: Terms) -> Decision | None:
        """What the batch has saved: the same usage at once, beside what was billed."""
        entry = next(iter(entries), None)
        if entry is None or entry.usage is None:
            return None
        call = Call(
            provider=entry.provider,
            model=entry.model,
            at=entry.time,
            terms=Terms(tier=entry.tier, batch=False, geo=entry.geo, region=terms.region),
        )
        return Decision(
            entry_id=entry.id,
            time=entry.time,
            lever=LEVER,
            policy='batch',
            version='1',
            chosen='batch',
            reason='the job may wait',
            predicted_cost=one.item.draft.predicted,
            counterfactual_cost=self._meter.book.quote(entry.usage, call).cost,
            facts={'job': one.item.job, 'attempt': one.item.attempt},
            id=f'{LEVER}:{entry.id}',
        )


def _cost(entries: Sequence[Entry]) -> int | None:
    """What entries cost together, in 1e-12 USD; `None` where one of them has no price."""
    costs = [entry.quote.cost for entry in entries]
    if not costs or any(cost is None for cost in costs):
        return None
    return sum(cost or 0 for cost in costs)


def _answer(one: Result) -> Answer:
    """What the waiting call is given: the provider's body, or an error in its shape."""
    line = one.line
    body: Any = line.body
    if line.ending != 'answered' or body is None:
        words = line.message or f'the batch ended with {line.kind or line.ending!r}'
        message = f'{words} (after {one.item.attempt} attempts in batches)'
        body = body or DIALECTS[one.item.draft.provider].failure(line.kind or line.ending, message)
    return Answer(status=line.status or _FAILED, body=orjson.dumps(body))


def _observed(one: Result, request: Any, sent_s: float, *, batch: bool) -> Observed:
    draft, line = one.item.draft, one.line
    at = urlsplit(draft.base)
    answered = line.ending == 'answered' and line.body is not None
    asked = READERS[draft.api].request(request).terms
    return Observed(
        id=one.entry_id,
        who=draft.who,
        time=datetime.fromtimestamp(sent_s, UTC),
        provider=draft.provider,
        api=draft.api,
        model=draft.model,
        reading=_reading(draft.api, line.body or {}, request) if answered else None,
        terms=Terms(batch=batch, geo=asked.geo, region=region_of(at.hostname or '')),
        billed=answered or line.ending == 'lost',  # of what was lost nobody knows
        call_type='embeddings' if draft.api == 'openai_embeddings' else 'chat',
        status='ok' if answered else 'error',
        error=None if answered else _kind(line),
        endpoint=at.netloc,
        run_id=draft.run_id,
        parent_run_id=draft.parent_run_id,
        prefix=draft.prefix,
    )


def _kind(line: Line) -> str:
    if line.ending == 'lost':
        return 'answer_lost'
    return f'http_{line.status}' if line.status else f'batch_{line.ending}'


def _reading(api: str, body: Any, request: Any) -> Reading:
    """What an answer says; one that contradicts itself is posted without usage."""
    reader = READERS[api]
    try:
        return reader.refine(reader.answer(body), request)
    except UsageError:
        return Reading(usage=None)
