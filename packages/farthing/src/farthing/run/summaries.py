"""Summaries made in the background: asked for, checked, stored; a failure changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Protocol

from farthing.attribution import attributed
from farthing.context import State, failed, summarised
from farthing.context.writing import checked
from farthing.errors import LedgerError
from farthing.ledger.sessions import Name, Sessions, Stored
from farthing.meter.choices import Choice, choose
from farthing.run.booking import LEVER, Booking
from farthing.run.counting import Failures
from farthing.run.talk import Answered, Ask, Wanted
from farthing.run.tokens import Tokens

_TRIES = 20


class Keeps(Protocol):
    """What is needed of a driver."""

    sessions: Sessions
    booking: Booking
    failures: Failures

    def now(self) -> datetime:
        """The time."""

    def tokens(self, provider: str, model: str) -> Tokens:
        """The counter of a model."""

    def fingerprint(self, text: str) -> str:
        """A keyed fingerprint of a text."""

    def state(self, stored: Stored) -> State:
        """The stored state."""

    def save(
        self, name: Name, stored: Stored, state: State, new: dict[str, str] | None = None
    ) -> bool:
        """Store a state unless another was quicker."""


class Summaries:
    """Makes the summaries of a driver.

    Args:
        driver: Whose.
        timeout_s: How long an awaited one may take; a thread cannot be stopped, and what it brings
            after ten minutes is not taken.
    """

    def __init__(self, driver: Keeps, timeout_s: float) -> None:
        self._driver = driver
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
        settle = partial(self._driver.booking.summarised, wanted)
        with attributed(
            tenant=who.tenant, task=who.task, session=who.session, purpose='summary', tags=who.tags
        ):
            choose(Choice(LEVER, lambda _: True, settle))
            yield

    def _take(self, wanted: Wanted, answered: Answered) -> None:
        """Store a summary that is one; what the old view shows changes with the next plan.

        Raises:
            ContextError: It is none.
            LedgerError: It cannot be stored.
        """
        driver, request = self._driver, wanted.request
        if answered.cost is not None:
            driver.booking.spent(wanted, answered.cost)
        counter = driver.tokens(wanted.talk.provider, wanted.talk.model)
        text = checked(
            answered.text,
            tokens=request.tokens,
            replaced_tokens=wanted.replaced_tokens,
            count=counter.count,
        )
        digest = driver.fingerprint(text)
        self._change(
            wanted,
            lambda state: summarised(
                state, request, digest=digest, tokens=counter.count(text), cost=answered.cost
            ),
            {digest: text},
        )

    def _fail(self, wanted: Wanted, error: Exception) -> None:
        driver = self._driver
        driver.failures.count('summary', error)
        try:
            self._change(wanted, lambda state: failed(state, wanted.request, driver.now()), None)
        except LedgerError as unsaved:
            driver.failures.count('unsaved', unsaved)

    def _change(
        self, wanted: Wanted, change: Callable[[State], State], new: dict[str, str] | None
    ) -> None:
        """Change the state that is stored by now; one that no longer waits for us stays."""
        for _ in range(_TRIES):
            stored = self._driver.sessions.load(wanted.name)
            state = self._driver.state(stored)
            after = change(state)
            if after == state or self._driver.save(wanted.name, stored, after, new):
                return
        raise LedgerError(f'others were quicker {_TRIES} times')
