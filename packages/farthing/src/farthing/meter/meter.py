"""The one door through which adapters post: it prices what they saw and hands it to the ledger.

A user's call never fails because we could not record it: whatever goes wrong behind this door is
counted as lost, warned about once, and shown in every report.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from farthing.attribution import narrowed
from farthing.caching.fingerprint import Piece
from farthing.caching.minimum import cacheable
from farthing.caching.state import Learned
from farthing.entry import Decision, Entry, Outcome, UsageSource
from farthing.errors import FarthingError
from farthing.meter.observed import Observed
from farthing.meter.runs import Run
from farthing.meter.spend import Counted
from farthing.prices.quote import Call, Quote
from farthing.usage import Usage
from farthing.wire.reading import Part, Reading

if TYPE_CHECKING:
    from farthing.ledger.values import Report
    from farthing.prices import PriceBook


class Books(Protocol):
    """What a meter, and the levers that learn in its ledger, need of it.

    Attributes:
        folder: Of its spool; what else belongs to the ledger lies beside it.
    """

    folder: Path

    def report(
        self,
        *,
        by: Sequence[str] | str = (),
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, object] | None = None,
    ) -> 'Report':
        """Sums by group; see `farthing.ledger.Ledger.report`."""

    def post(self, entry: Entry) -> None:
        """Take one entry."""

    def post_answered(self, book: 'PriceBook', *answer: Any) -> Counted:
        """Take an answer, unpriced; see `farthing.ledger.answered.answered_line`."""

    def post_decision(self, decision: Decision) -> None:
        """Take what a lever decided."""

    def post_outcome(self, outcome: Outcome) -> None:
        """Take how good an answer was."""

    def learn(self, learned: Learned) -> None:
        """Take what the caching planner has learned of a request."""

    def learned(self) -> Learned:
        """What the caching planners of all processes have learned."""

    def lose(self, reason: str) -> None:
        """Count one call that could not be made into an entry."""

    def key(self) -> bytes:
        """The random key of this ledger's fingerprints."""


_log = logging.getLogger('farthing')


class Meter:
    """Prices observed attempts and posts them to a ledger."""

    def __init__(self, ledger: Books, book: 'PriceBook') -> None:
        self.ledger = ledger
        self.book = book
        self._warned = False

    def post(self, observed: Observed) -> list[Entry]:
        """Price and post one attempt; empty when it was lost."""
        try:
            entries = self.entries(observed)
            for entry in entries:
                self.ledger.post(entry)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.lose(error)
            return []
        return entries

    def post_answered(
        self, run: Run, api: str, usage_source: UsageSource, *answer: object
    ) -> Counted | None:
        """Post the only answer of a framework's run, to be read and priced when it is drained.

        The arguments are `farthing.ledger.answered.answered_line`'s. `None` where an overlay sets
        the price, or it cannot be stored: then nothing was posted.
        """
        book = self.book
        if book.overlaid:
            return None
        try:
            return self.ledger.post_answered(book, run, api, usage_source, *answer)
        except FarthingError:
            return None  # the long way says, counts and warns of what is wrong

    def decide(self, decision: Decision) -> None:
        """Post what a lever decided about an entry; the entry is posted before."""
        self.ledger.post_decision(decision)

    def fingerprints(self, blocks: Iterable[Piece]) -> tuple[str, ...]:
        """A keyed digest of each block and its place: equal blocks are seen to be equal.

        Empty where the ledger's key cannot be had: the bill is worth more than the fingerprints.
        """
        try:
            key = self.ledger.key()
        except OSError:
            return ()
        return tuple(
            blake2b(data, digest_size=8, key=key).hexdigest() + place if data else place
            for data, place in blocks
        )

    def lose(self, error: Exception) -> None:
        """Count a call that could not be recorded, and warn about the first one."""
        self.ledger.lose(type(error).__name__)
        if not self._warned:
            self._warned = True
            _log.warning(
                'farthing could not record a call (%s: %s); reports count it as lost and say '
                '`at least`. Further losses are counted without a word.',
                type(error).__name__,
                error,
            )

    def entries(self, seen: Observed) -> list[Entry]:
        """What one attempt is priced and posted as: the answer, and what is billed beside it.

        Raises:
            FarthingError: It cannot be made into entries.
        """
        reading = seen.reading
        entries = [self._entry(seen, reading)]
        if reading is not None and reading.parts:
            entries += [self._entry(seen, part, n) for n, part in enumerate(reading.parts, 1)]
        return entries

    def _entry(self, seen: Observed, said: Reading | Part | None, number: int = 0) -> Entry:
        """The entry of the answer itself, or of its part of that number."""
        reading, who, terms = seen.reading, seen.who, seen.terms
        usage, served = None, None
        if said is not None and reading is not None:
            usage, served = said.usage, said.model or reading.model
            terms = reading.terms.over(terms)
            if said.purpose != 'user':
                # The answer says what it was, such as `compaction`; else what was said around it.
                who = narrowed(who, purpose=said.purpose)
        model = served or seen.model or 'unknown'
        call = Call(provider=seen.provider, model=model, at=seen.time, terms=terms)
        quote, list_cost = self._priced(seen, usage, call)
        return Entry(
            id=f'{seen.id}#{number}' if number else seen.id,
            time=seen.time,
            provider=seen.provider,
            model_requested=seen.model,
            model_served=served,
            api=seen.api,
            call_type=seen.call_type,
            mode='batch' if terms.batch else 'sync',
            cacheable='no'
            if seen.call_type == 'embeddings'
            else cacheable(seen.provider, model, usage.input_tokens if usage else None),
            tier=terms.tier,
            geo=terms.geo,
            region=terms.region,
            endpoint=seen.endpoint,
            attribution=who,
            run_id=seen.run_id,
            parent_run_id=seen.parent_run_id,
            usage=usage,
            usage_source=None if usage is None else seen.usage_source,
            quote=quote,
            list_cost=list_cost,
            status=seen.status,
            error=seen.error,
            latency_us=None if number else seen.latency_us,
            first_token_us=None if number else seen.first_token_us,
            prefix=() if number else seen.prefix,
        )

    def _priced(self, seen: Observed, usage: Usage | None, call: Call) -> tuple[Quote, int | None]:
        """The quote, and the cost at list price."""
        if not seen.billed:
            free = Quote(status='exact', cost=0, book=self.book.version)
            if usage is None:
                return free, 0
            return free, self.book.list_quote(usage, call).cost
        if usage is None:
            reason = 'the answer carried no usage' if seen.reading else 'no answer was seen'
            return (
                Quote(status='unpriced', cost=None, reason=reason, book=self.book.version),
                None,
            )
        quote = self._quoted(usage, seen.reading, call)
        if self.book.overlaid:
            return quote, self.book.list_quote(usage, call).cost
        return quote, quote.cost

    def _quoted(self, usage: Usage, reading: Reading | None, call: Call) -> Quote:
        """The price of the counts, `assumed` where the answer leaves its own bill open."""
        if reading is None:
            return self.book.quote(usage, call)
        if reading.iterations and usage is reading.usage:
            quote = self._by_prompt(reading.prompts, call)
        else:
            quote = self.book.quote(usage, call)
        if not reading.doubts or quote.cost is None:
            return quote
        return replace(quote, status='assumed', assumed=(*quote.assumed, *reading.doubts))

    def _by_prompt(self, prompts: tuple[Usage, ...], call: Call) -> Quote:
        """The sum over the prompts behind one answer: a context band belongs to one of them."""
        quotes = [self.book.quote(prompt, call) for prompt in prompts]
        for quote in quotes:
            if quote.cost is None:
                return quote
        assumed = tuple(dict.fromkeys(name for quote in quotes for name in quote.assumed))
        return replace(
            quotes[0],
            status='assumed' if assumed else 'exact',
            cost=sum(quote.cost or 0 for quote in quotes),
            lines=tuple(line for quote in quotes for line in quote.lines),
            assumed=assumed,
        )
