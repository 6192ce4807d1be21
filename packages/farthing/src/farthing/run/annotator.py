"""The annotator that learns in a ledger: it joins the planner, its memory and the price book.

Whatever goes wrong in here, the call goes out as the user made it, without marks of another
provider; the reason is counted in `unmarked` and stands in the ledger.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from farthing.attribution import current
from farthing.caching.batched import batched_lesson, plan_batched
from farthing.caching.block import Prompt
from farthing.caching.plan import Plan, plan, usage_lesson
from farthing.caching.rates import Rates, rates
from farthing.entry import Decision
from farthing.errors import FarthingError
from farthing.ledger.learned import SharedMemory
from farthing.meter import Meter, here
from farthing.meter.choices import Answer, Choice, choose
from farthing.meter.shared import Source, meter
from farthing.prices.quote import UNSAID, Call, Terms
from farthing.run.annotates import Annotates
from farthing.run.asking import Curiosity
from farthing.run.seats import parking
from farthing.usage import Usage
from farthing.wire.marking import MARKINGS, Marking
from farthing.wire.prompt import shape_of

LEVER = 'caching'
POLICY = 'planner'
VERSION = '1'
SOME_CLAUDE = 'claude-haiku-4-5'
"""Reckoned with where nobody says which model is asked: it caches from the longest minimum on."""
_log = logging.getLogger('farthing')
_annotators: dict[int, 'Annotator'] = {}
_lock = threading.Lock()


def annotator(ledger: Source = None) -> Annotates:
    """The annotator of a ledger; the same one for the same ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `ledger` is none of what is expected.
    """
    one = meter(ledger)
    with _lock:
        found = _annotators.get(id(one))
        if found is None:
            found = _annotators[id(one)] = Annotator(one)
    return found


class Annotator:
    """Marks requests where that is expected to pay. Safe to use from several threads.

    Args:
        one: Whose ledger it learns in and whose prices it counts with.
        now: Tells the time in seconds since 1970.
        curiosity: Whether and when the provider itself is asked why it missed.

    Attributes:
        unmarked: How many requests went out unmarked, by reason.
    """

    def __init__(
        self,
        one: Meter,
        *,
        now: Callable[[], float] = time.time,
        curiosity: Curiosity | None = None,
    ) -> None:
        self._meter = one
        self._now = now
        self._curiosity = curiosity or Curiosity()
        self._memory = SharedMemory(one.ledger)
        self._planning = threading.Lock()
        self._rates: dict[tuple[str, str, bool, int], Rates | None] = {}
        self._warned: set[str] = set()
        self.unmarked: Counter[str] = Counter()
        self._refresh()

    def annotate(
        self, payload: Mapping[str, Any], *, provider: str, api: str, model: str | None = None
    ) -> Mapping[str, Any]:
        """See `farthing.run.annotates.Annotates`."""
        marking = MARKINGS.get(api)
        if marking is None:
            self._count('unknown_api', f'no cache marks are known for the api {api!r}')
            return payload
        try:
            return self._annotated(payload, marking, provider, model)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self._count('failed', f'{type(error).__name__}: {error}')
            return _clean(payload, marking)

    def _annotated(
        self, payload: Mapping[str, Any], marking: Marking, provider: str, model: str | None
    ) -> Mapping[str, Any]:
        if self._memory.stale:
            threading.Thread(target=self._refresh, daemon=True, name='farthing-memory').start()
        now_s = self._now()
        if model is None and 'model' not in payload and provider == 'anthropic':
            model = SOME_CLAUDE
        prompt = marking.prompt(payload, provider=provider, model=model)
        batched = parking.get() is not None  # the request waits for a batch
        known = self._rates_of(prompt, now_s, batch=batched)
        with self._planning:
            made = self._plan(prompt, known, now_s, batched=batched)
            self._memory.learn(made.learned)
        if made.unmarked is not None:
            self.unmarked[made.unmarked] += 1
        sent = marking.marked(payload, made)
        ours = False
        if provider == 'anthropic' and made.unmarked != 'malformed':
            asked = self._curiosity.asked(sent, prompt)
            ours, sent = asked is not sent, asked
        settle = partial(self._settled, prompt, made, known, asked=ours)
        choose(Choice(LEVER, shape_of(sent), settle))
        return sent

    def _plan(self, prompt: Prompt, known: Rates | None, now_s: float, *, batched: bool) -> Plan:
        key = self._meter.ledger.key()
        if batched:
            return plan_batched(prompt, known, self._memory, now_s, key=key)
        return plan(prompt, known, self._memory, now_s, task=_task(), key=key)

    def _settled(
        self,
        prompt: Prompt,
        made: Plan,
        known: Rates | None,
        entry_id: str,
        answer: Answer,
        *,
        asked: bool,
    ) -> Decision:
        """Learn from an answer, and say what was decided about its request."""
        self._curiosity.learn(prompt, answer, asked=asked)
        usage = answer.reading.usage if answer.ok and answer.reading is not None else None
        if usage is not None and known is not None:
            with self._planning:
                self._memory.learn(usage_lesson(prompt, made, usage, model=known.model))
                if answer.batch:
                    self._memory.learn(batched_lesson(made, usage))
        marks = [[_place(mark.path), mark.lifetime, mark.saving] for mark in made.marks]
        return Decision(
            entry_id=entry_id,
            time=answer.time,
            lever=LEVER,
            policy=POLICY,
            version=VERSION,
            chosen=', '.join(f'{life} {place}' for place, life, _ in marks) or 'no mark',
            reason=made.reason or '; '.join(mark.reason for mark in made.marks),
            counterfactual_cost=self._uncached(prompt, usage, answer),
            facts={
                'marks': marks,
                'unmarked': made.unmarked,
                'saving': made.saving,
                'cold': made.cold,
                'advice': list(made.advice),
            },
        )

    def _uncached(self, prompt: Prompt, usage: Usage | None, answer: Answer) -> int | None:
        """What the same tokens would have cost without a cache, in 1e-12 USD."""
        if usage is None or answer.reading is None:
            return None
        plain = replace(
            usage,
            cache_read_tokens=0,
            cache_write_tokens=0,
            cache_write_5m_tokens=0,
            cache_write_1h_tokens=0,
            cache_write_30m_tokens=0,
            cache_read_audio_tokens=None,
            cache_read_image_tokens=None,
        )
        call = Call(
            provider=prompt.provider,
            model=answer.reading.model or prompt.model,
            at=answer.time,
            terms=replace(answer.reading.terms or UNSAID, batch=answer.batch),
        )
        return self._meter.book.quote(plain, call).cost

    def _rates_of(self, prompt: Prompt, now_s: float, *, batch: bool) -> Rates | None:
        key = (prompt.provider, prompt.model, batch, int(now_s // 3_600))
        if key not in self._rates:
            if len(self._rates) > _MOST_RATES:
                self._rates.clear()
            at = datetime.fromtimestamp(now_s, UTC)
            terms = Terms(batch=True) if batch else UNSAID
            self._rates[key] = rates(
                self._meter.book, prompt.provider, prompt.model, at, terms=terms
            )
        return self._rates[key]

    def _refresh(self) -> None:
        """Take over what other processes have learned; without it, what is known here must do."""
        try:
            self._memory.refresh()
        except FarthingError as error:
            self._count('memory', f'what was learned earlier cannot be read: {error}')

    def _count(self, reason: str, detail: str) -> None:
        self.unmarked[reason] += 1
        if reason not in self._warned:
            self._warned.add(reason)
            _log.warning('farthing: a request is sent without cache marks of ours: %s', detail)


_MOST_RATES = 1_000


def _task() -> str | None:
    run = here()
    return current().task if run is None else run.who.task


def _clean(payload: Mapping[str, Any], marking: Marking) -> Mapping[str, Any]:
    """The payload without marks of another provider, as far as it can be read."""
    with suppress(Exception):
        return marking.stripped(payload)
    return payload


def _place(path: tuple[str | int, ...]) -> str:
    """`messages[3].content[0]` for a path."""
    return ''.join(f'[{step}]' if isinstance(step, int) else f'.{step}' for step in path)[1:]
