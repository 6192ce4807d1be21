"""Summaries made in the background: asked for, checked, stored; a failure changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from farthing.attribution import attributed
from farthing.context import State, failed, summarised
from farthing.context.writing import checked
from farthing.errors import LedgerError
from farthing.ledger.sessions import hashed
from farthing.meter.choices import Choice, choose
from farthing.run.booking import LEVER, Booking
from farthing.run.counting import Failures
from farthing.run.models import Models
from farthing.run.states import States
from farthing.run.talk import Answered, Ask, Wanted

_TRIES = 20


class Summaries:
    """Makes the summaries of a driver.

    Args:
        states: Where they are stored.
        booking: Takes what they cost.
        models: Counts them.
        failures: Counts what went wrong.
        key: Of the ledger's fingerprints.
        now: Tells the time.
        timeout_s: How long an awaited one may take; a thread cannot be stopped, and what it brings
            after ten minutes is not taken.
    """

    def __init__(
        self,
        *,
        states: States,
        booking: Booking,
        models: Models,
        failures: Failures,
        key: Callable[[], bytes],
        now: Callable[[], datetime],
        timeout_s: float,
    ) -> None:
        self._states = states
        self._booking = booking
        self._models = models
        self._failures = failures
        self._key = key
        self._now = now
        self._timeout_s = timeout_s

    def make(self, wanted: Wanted, ask: Ask) -> None:
        """Make a summary; never raises."""
        with self._booked(wanted):
            try:
                self._take(wanted, ask(wanted))
            except Exception as error:  # noqa: BLE001 - the old view serves on; it is counted
                self._fail(wanted, error)

    async def amake(self, wanted: Wanted, ask: Callable[[Wanted], Awaitable[Answered]]) -> None:
        """Make a summary; raises only that its task was cancelled."""
        with self._booked(wanted):
            try:
                async with asyncio.timeout(self._timeout_s):
                    answered = await ask(wanted)
                await asyncio.to_thread(self._take, wanted, answered)
            except asyncio.CancelledError:
                self._fail(wanted, TimeoutError('the loop was closed'))
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await asyncio.to_thread(self._fail, wanted, error)

    @contextmanager
    def _booked(self, wanted: Wanted) -> Iterator[None]:
        """Attribute the call to whom the session is for, and hang our decision on its entry."""
        who = wanted.talk.who
        with attributed(
            tenant=who.tenant, task=who.task, session=who.session, purpose='summary', tags=who.tags
        ):
            settle = partial(self._booking.summarised, wanted)
            choose(Choice(LEVER, lambda _: True, settle))
            yield

    def _take(self, wanted: Wanted, answered: Answered) -> None:
        """Store a summary that is one; what the old view shows changes with the next plan.

        Raises:
            ContextError: It is none.
            LedgerError: It cannot be stored.
        """
        request = wanted.request
        # What has no price is not free: a policy whose summaries are dear must still switch off.
        self._booking.spent(wanted, request.cost if answered.cost is None else answered.cost)
        counter = self._models.tokens(wanted.talk.provider, wanted.talk.model)
        text = checked(
            answered.text,
            tokens=request.tokens,
            replaced_tokens=wanted.replaced_tokens,
            count=counter.count,
        )
        digest = hashed(self._key(), text).hex()
        self._change(
            wanted,
            lambda state: summarised(
                state, request, digest=digest, tokens=counter.count(text), cost=answered.cost
            ),
            {digest: text},
        )

    def _fail(self, wanted: Wanted, error: Exception) -> None:
        self._failures.count('summary', error)
        try:
            self._change(wanted, lambda state: failed(state, wanted.request, self._now()), None)
        except LedgerError as unsaved:
            self._failures.count('unsaved', unsaved)

    def _change(
        self, wanted: Wanted, change: Callable[[State], State], new: dict[str, str] | None
    ) -> None:
        """Change the state that is stored by now; one that no longer waits for us stays."""
        for _ in range(_TRIES):
            stored, before = self._states.load(wanted.name)
            after = change(before)
            if after == before or self._states.save(wanted.name, stored, after, new):
                return
        raise LedgerError(f'others were quicker {_TRIES} times')
