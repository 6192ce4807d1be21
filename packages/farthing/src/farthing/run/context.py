"""The driver of context control: it joins policies, their stored state, the meter and a summariser.

    prepared = driver.prepare(talk)          # what to send; never raises
    choice = driver.choose(prepared)         # the decision waits for the request's entry
    ... the adapter sends `prepared.view` ...
    driver.after(prepared, ask)              # a summary that is wanted is made in the background

Whatever goes wrong in here, the call goes out with its whole history; the reason is counted in
`failures`. `farthing.run.talk` has the values, `aprepare` and `aafter` are the twins.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from farthing.context import (
    Chain,
    History,
    Plan,
    Policy,
    Select,
    Setting,
    State,
    View,
    blocks,
    plan,
)
from farthing.context.planning import is_of
from farthing.context.replay import Whole
from farthing.context.writing import instruction, letter, recalled, summarised_as
from farthing.errors import ContextError, LedgerError
from farthing.ledger.sessions import RETENTION, SUFFIX, Name, Sessions, Stored
from farthing.meter import Meter
from farthing.meter.choices import Choice, choose, offer, withdraw
from farthing.run.background import Background
from farthing.run.booking import LEVER, Booking, fits
from farthing.run.counting import Failures
from farthing.run.finding import Finding
from farthing.run.models import Models
from farthing.run.remaining import remaining
from farthing.run.states import States, name_of
from farthing.run.summaries import Summaries
from farthing.run.talk import Answered, Ask, Prepared, Talk, Wanted

_TRIES = 5
_MOST_OPEN = 1_000
_MANY = 20  # calls are measured before that is stored


class ContextDriver:
    """Decides what a conversation's calls are sent. Safe to use from threads, tasks, processes.

    Args:
        one: Whose ledger decisions are posted to and whose prices are counted with.
        policies: Who decide, in order.
        name: What they are called in reports.
        now: Tells the time in seconds since 1970.
        ttl: How long the provider keeps a cached prefix after its last use, at least; a call that
            reports a longer lifetime is believed.
        retention: How long a conversation is remembered after its last call.
        summary_timeout_s: How long an awaited summary may take.

    Attributes:
        failures: How many calls went out whole, or summaries failed, by reason.
        policies: Who decide, in order.
        states: What is stored.
        models: Prices and counters.
        booking: What was measured.
        background: What is under way.
    """

    def __init__(
        self,
        one: Meter,
        policies: tuple[Policy, ...],
        *,
        name: str,
        now: Callable[[], float] = time.time,
        ttl: timedelta = timedelta(minutes=5),
        retention: timedelta = RETENTION,
        summary_timeout_s: float = 120.0,
    ) -> None:
        self.name = name
        self.failures = Failures()
        sessions = Sessions(one.ledger.folder.with_suffix(SUFFIX), retention=retention)
        self.states = States(sessions, self.failures, self.now)
        self.models = Models(one.book, sessions)
        self.background = Background()
        self._meter = one
        self._clock = now
        self._ttl = ttl
        self._lock = threading.Lock()
        self._owed: OrderedDict[bytes, Wanted] = OrderedDict()
        self._open: OrderedDict[bytes, Choice] = OrderedDict()
        self._finding = Finding(policies)
        self._remaining = remaining(one)
        self.booking = Booking(one.book, sessions, name, self.failures)
        self._summaries = Summaries(
            states=self.states,
            booking=self.booking,
            models=self.models,
            failures=self.failures,
            key=one.ledger.key,
            now=self.now,
            timeout_s=summary_timeout_s,
        )
        self.policies = policies

    def now(self) -> datetime:
        """The time."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def prepare(self, talk: Talk) -> Prepared:
        """What a call is to be sent; all of it, where anything goes wrong."""
        try:
            return self._prepared(talk)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.failures.count('failed', error)
            return self._all_of(talk)

    async def aprepare(self, talk: Talk) -> Prepared:
        """The same in a thread: files are read and written, and long texts are counted."""
        return await asyncio.to_thread(self.prepare, talk)

    def choose(self, prepared: Prepared) -> Choice | None:
        """Let the decision wait for the request that leaves this context next."""
        choice = self._choice(prepared, None)
        if choice is not None:
            choose(choice)
        return choice

    def offer(self, prepared: Prepared, then: Callable[[], None], *texts: str) -> None:
        """Let the decision wait for a request that leaves from anywhere.

        Args:
            prepared: What was decided.
            then: What to do once it is answered; must not block.
            texts: The last text of the user in it, or what that may be.
        """
        choice = self._choice(prepared, then)
        if choice is None or prepared.name is None:
            return
        with self._lock:
            earlier = self._open.pop(prepared.name.key, None)
            self._open[prepared.name.key] = choice
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        if earlier is not None:
            withdraw(earlier)
        offer(choice, *texts)

    def after(self, prepared: Prepared, ask: Ask) -> None:
        """Have the summary made that is wanted, in a thread."""
        wanted = self._taken_over(prepared.wanted)
        if wanted is None:
            return
        try:
            self.background.start(partial(self._summaries.make, wanted, ask))
        except RuntimeError as error:  # the user has the answer; there is no thread to be had
            self.failures.count('summary', error)

    def aafter(self, prepared: Prepared, ask: Callable[[Wanted], Awaitable[Answered]]) -> None:
        """Have the summary made that is wanted, in a task of this loop."""
        wanted = self._taken_over(prepared.wanted)
        if wanted is not None:
            self.background.astart(self._summaries.amake(wanted, ask))

    def flush(self, timeout_s: float = 60.0) -> bool:
        """Wait for what is made in threads, and store what was learned; whether all is done."""
        done = self.background.flush(timeout_s)
        self.booking.store(self.now(), self.models.learned())
        return done

    async def aflush(self, timeout_s: float = 60.0) -> bool:
        """The same, and for what is made in tasks of this loop."""
        done = await self.background.aflush(timeout_s)
        await asyncio.to_thread(self.flush, timeout_s)
        return done

    def _prepared(self, talk: Talk) -> Prepared:
        now = self.now()
        self.booking.store(now, self.models.learned(), least=_MANY)
        counter = self.models.tokens(talk.provider, talk.model)
        counted = blocks(talk.parts, counter.count, key=self._meter.ledger.key())
        name = name_of(self._meter.ledger.key(), talk.who, counted)
        policy, off = self._in_force(talk, now)
        history = History(
            blocks=counted,
            fixed_tokens=sum(map(counter.count, talk.fixed)),
            limit=talk.limit,
            find=self._finding.over(name, talk.parts, counted),
        )
        setting = Setting(
            rates=self.booking.paid(talk, self.models.rates(talk.provider, talk.model, now)),
            now=now,
            ttl=self.booking.ttl(name, self._ttl),
            remaining_calls=self._remaining.expected(talk.who.task, history.calls(), now),
        )
        stored, old, planned = self._planned(policy, history, name, setting)
        view, asked = planned.view, planned.state.asked
        # No cache has a history that the user has changed, whatever is cut of it.
        known = old.seen if is_of(history, old) else 0
        fresh = history.tokens(known, len(counted))
        fresh += sum(counted[at].tokens for at in view.retrieved)
        return Prepared(
            view=view,
            summary=_text(view, stored),
            retrieved=recalled(talk.parts, view.retrieved),
            wanted=self._wanted(talk, name, history, planned.state, old, stored),
            overdue=asked is not None and asked == old.asked,
            plan=planned,
            warm_tokens=None
            if setting.is_cold(old) or not known
            else history.fixed_tokens + history.tokens(0, known),
            fresh_tokens=fresh,
            base_tokens=counter.base(view.tokens),
            full_tokens=history.fixed_tokens + history.sums[-1],
            remaining_calls=setting.remaining_calls,
            name=name,
            talk=talk,
            off=off,
        )

    def _planned(
        self, policy: Policy, history: History, name: Name, setting: Setting
    ) -> tuple[Stored, State, Plan]:
        """A plan that is stored; whoever finds that another process was quicker plans again."""
        for _ in range(_TRIES):
            stored, old = self.states.load(name)
            planned = plan(policy, history, old, setting)
            try:
                if self.states.save(name, stored, planned.state):
                    return stored, old, planned
            except LedgerError as error:
                # What is not remembered would be decided anew, and cost a rewrite, on every call.
                self.failures.count('unsaved', error)
                return stored, old, plan(Whole(), history, old, setting)
        self.failures.count(
            'contended', ContextError(f'another process was quicker {_TRIES} times')
        )
        return stored, old, planned

    def _in_force(self, talk: Talk, now: datetime) -> tuple[Policy, bool]:
        """The policy, and whether it was measured to lose money: then it cuts nothing any more.

        What was cut stays cut, for to send it again would cost a rewrite more; so it must still be
        found.
        """
        if self.booking.loses(talk.model, now):
            finding = tuple(one for one in self.policies if isinstance(one, Select))
            return Chain(policies=finding), True
        return Chain(policies=self.policies), False

    def _wanted(
        self,
        talk: Talk,
        name: Name,
        history: History,
        state: State,
        old: State,
        stored: Stored,
    ) -> Wanted | None:
        """The summary that this plan asks for, or one that this process still owes."""
        request = state.asked
        if request is None:
            return None
        owed = self._owed.get(name.key)
        if owed is not None and owed.request == request:
            return owed
        if request == old.asked:
            return None  # another process has taken it over
        previous = request.previous
        earlier = None if previous is None else stored.texts[previous.digest]
        wanted = Wanted(
            name=name,
            request=request,
            talk=replace(talk, parts=()),
            shares_prefix=request.shares_prefix and not old.failures,
            instruction=instruction(request.tokens),
            letter=letter(talk.parts[request.start : request.stop], earlier, request.tokens),
            replaced_tokens=history.tokens(request.start, request.stop)
            + (previous.tokens if previous else 0),
        )
        with self._lock:
            self._owed[name.key] = wanted
            if len(self._owed) > _MOST_OPEN:
                self._owed.popitem(last=False)
        return wanted

    def _taken_over(self, wanted: Wanted | None) -> Wanted | None:
        """The summary, if one is wanted that nobody in this process has begun."""
        with self._lock:
            if wanted is None or self._owed.get(wanted.name.key) is not wanted:
                return None
            return self._owed.pop(wanted.name.key)

    def _choice(self, prepared: Prepared, then: Callable[[], None] | None) -> Choice | None:
        if prepared.plan is None:
            return None
        counter = self.models.tokens(prepared.talk.provider, prepared.talk.model)
        settle = partial(self.booking.settled, prepared, counter, then)
        return Choice(LEVER, fits(prepared), settle)

    @staticmethod
    def _all_of(talk: Talk) -> Prepared:
        everything = tuple(range(len(talk.parts)))
        view = View(
            head=(), summary=None, rest=everything, cleared=frozenset(), retrieved=(), tokens=0
        )
        return Prepared(view=view, talk=talk)


def _text(view: View, stored: Stored) -> str | None:
    return None if view.summary is None else summarised_as(stored.texts[view.summary.digest])
