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

from farthing.attribution import Attribution
from farthing.context import (
    Block,
    Chain,
    History,
    Plan,
    Policy,
    Rates,
    Setting,
    State,
    Tariff,
    View,
    blocks,
    dump,
    load,
    plan,
)
from farthing.context.replay import Whole
from farthing.context.values import ANSWERS
from farthing.context.writing import instruction, letter, recalled, summarised_as
from farthing.errors import ContextError, FarthingError, LedgerError
from farthing.ledger.sessions import RETENTION, SUFFIX, Name, Sessions, Stored, hashed, session_name
from farthing.meter import Meter
from farthing.meter.choices import Choice, choose, offer, withdraw
from farthing.prices import Call, Terms
from farthing.run.background import Background
from farthing.run.booking import Booking, fits
from farthing.run.counting import Failures
from farthing.run.finding import Finding
from farthing.run.remaining import Remaining
from farthing.run.summaries import Summaries
from farthing.run.talk import Answered, Ask, Prepared, Talk, Wanted
from farthing.run.tokens import Tokens

LEVER = 'context'
_TERMS = Terms(tier='standard', batch=False, geo='global', region='global')
_TRIES = 5
_MOST_OPEN = 1_000


class ContextDriver:
    """Decides what a conversation's calls are sent. Safe to use from threads, tasks, processes.

    Args:
        one: Whose ledger decisions are posted to and whose prices are counted with.
        policies: Who decide, in order.
        name: What they are called in reports.
        now: Tells the time in seconds since 1970.
        ttl: How long the provider keeps a cached prefix after its last use.
        retention: How long a conversation is remembered after its last call.
        summary_timeout_s: How long an awaited summary may take.

    Attributes:
        failures: How many calls went out whole, or summaries failed, by reason.
        policies: Who decide, in order.
        sessions: What is stored.
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
        path = one.ledger.folder.with_suffix(SUFFIX)
        self.sessions = Sessions(path, retention=retention)
        self.background = Background()
        self._meter = one
        self._clock = now
        self._ttl = ttl
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str], Tokens] = {}
        self._rates: dict[tuple[str, str, int], Rates] = {}
        self._owed: OrderedDict[bytes, Wanted] = OrderedDict()
        self._open: OrderedDict[bytes, Choice] = OrderedDict()
        self._finding = Finding(policies)
        self._remaining = Remaining(one.ledger, self._quietly)
        self.booking = Booking(one.book, self.sessions, name, self.failures)
        self._summaries = Summaries(self, summary_timeout_s)
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

    def offer(self, prepared: Prepared, text: str, then: Callable[[], None]) -> None:
        """Let the decision wait for a request that leaves from anywhere.

        Args:
            prepared: What was decided.
            text: The last text of the user in it.
            then: What to do once it is answered; must not block.
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
        offer(choice, text)

    def after(self, prepared: Prepared, ask: Ask) -> None:
        """Have the summary made that is wanted, in a thread."""
        wanted = self._taken_over(prepared.wanted)
        if wanted is not None:
            self.background.start(partial(self._summaries.make, wanted, ask))

    def aafter(self, prepared: Prepared, ask: Callable[[Wanted], Awaitable[Answered]]) -> None:
        """Have the summary made that is wanted, in a task of this loop."""
        wanted = self._taken_over(prepared.wanted)
        if wanted is not None:
            self.background.astart(self._summaries.amake(wanted, ask))

    def flush(self, timeout_s: float = 60.0) -> bool:
        """Wait for what is made in threads, and store what was learned; whether all is done."""
        done = self.background.flush(timeout_s)
        self.booking.store(self.now(), self._learned())
        return done

    async def aflush(self, timeout_s: float = 60.0) -> bool:
        """The same, and for what is made in tasks of this loop."""
        done = await self.background.aflush(timeout_s)
        await asyncio.to_thread(self.flush, timeout_s)
        return done

    def rates(self, provider: str, model: str) -> Rates:
        """What a model's tokens cost now.

        Raises:
            ContextError: The book has no price for it.
        """
        now = self.now()
        key = (provider, model, int(now.timestamp() // 3_600))
        if key not in self._rates:
            if len(self._rates) > _MOST_OPEN:
                self._rates.clear()
            call = Call(provider=provider, model=model, at=now, terms=_TERMS)
            self._rates[key] = Tariff(self._meter.book, call).rates
        return self._rates[key]

    def tokens(self, provider: str, model: str) -> Tokens:
        """The counter of a model."""
        key = (provider, model)
        found = self._tokens.get(key)
        if found is None:
            found = Tokens(provider, model, self.sessions.ratio(f'{provider}/{model}'))
            found = self._tokens.setdefault(key, found)
        return found

    def fingerprint(self, text: str) -> str:
        """A keyed fingerprint of a text."""
        return hashed(self._meter.ledger.key(), text).hex()

    def state(self, stored: Stored) -> State:
        """The stored state; an empty one where it cannot be read or a text of it is missing."""
        if stored.state is None:
            return State()
        try:
            found = load(stored.state)
        except ContextError as error:
            self.failures.count('unreadable', error)
            return State()
        if missing := {*_digests(found)} - {*stored.texts}:
            self.failures.count(
                'summary_lost', ContextError(f'{len(missing)} summaries are not stored')
            )
            return State()
        return found

    def save(
        self, name: Name, stored: Stored, state: State, new: dict[str, str] | None = None
    ) -> bool:
        """Store a state and the texts that are new in it, unless another was quicker."""
        keep = _digests(state)
        return self.sessions.save(name, stored, dump(state), self.now(), keep=keep, new=new)

    def _prepared(self, talk: Talk) -> Prepared:
        now = self.now()
        self.booking.store(now, self._learned())
        counter = self.tokens(talk.provider, talk.model)
        counted = blocks(talk.parts, counter.count, key=self._meter.ledger.key())
        name = self._name(talk.who, counted)
        policy, off = self._in_force(talk, now)
        history = History(
            blocks=counted,
            fixed_tokens=sum(map(counter.count, talk.fixed)),
            limit=talk.limit,
            find=self._finding.over(name, talk.parts, counted),
        )
        setting = Setting(
            rates=self.booking.paid(talk, self.rates(talk.provider, talk.model)),
            now=now,
            ttl=self._ttl,
            remaining_calls=self._remaining.expected(talk.who.task, history.calls(), now),
        )
        stored, old, planned = self._planned(policy, history, name, setting)
        view = planned.view
        before = history.tokens(0, old.seen) if old.seen <= len(counted) else 0
        return Prepared(
            view=view,
            summary=_text(view, stored),
            retrieved=recalled(talk.parts, view.retrieved),
            wanted=self._wanted(talk, name, history, planned.state, old, stored),
            plan=planned,
            warm_tokens=None if setting.is_cold(old) else history.fixed_tokens + before,
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
            stored = self.sessions.load(name)
            old = self.state(stored)
            planned = plan(policy, history, old, setting)
            try:
                if self.save(name, stored, planned.state):
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
        """The policy; none that was measured to lose money, and whether that is so."""
        if self.booking.loses(talk.model, now):
            return Whole(), True
        return Chain(policies=self.policies), False

    def _name(self, who: Attribution, counted: tuple[Block, ...]) -> Name:
        """A conversation of a session is known by its first request.

        Agents inside an agent share its session, and each has a conversation of its own. One
        without a session is known by its first request and answer, and a state is used only for
        the very history that it was made of.
        """
        kinds = [one.kind for one in counted]
        first = next((n for n, kind in enumerate(kinds) if kind == 'user'), len(kinds) - 1)
        opening = [one.digest for one in counted[first : first + 1]]
        if who.session is None:
            answer = next((n for n, kind in enumerate(kinds) if kind in ANSWERS), len(kinds) - 1)
            opening = [one.digest for one in counted[: answer + 1] if one.kind != 'system']
        key, session = self._meter.ledger.key(), who.session or ''
        return Name(
            key=hashed(key, 'conversation', who.tenant or '', session, *opening),
            session=session_name(key, session),
        )

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
        counter = self.tokens(prepared.talk.provider, prepared.talk.model)
        settle = partial(self.booking.settled, prepared, counter, then)
        return Choice(LEVER, fits(prepared), settle)

    def _learned(self) -> dict[str, Tokens]:
        return {'/'.join(key): one for key, one in self._tokens.items()}

    def _quietly(self, work: Callable[[], None]) -> None:
        """Do work in the background that may fail."""

        def tried() -> None:
            try:
                work()
            except FarthingError as error:
                self.failures.count('history', error)

        self.background.start(tried)

    @staticmethod
    def _all_of(talk: Talk) -> Prepared:
        everything = tuple(range(len(talk.parts)))
        view = View(
            head=(), summary=None, rest=everything, cleared=frozenset(), retrieved=(), tokens=0
        )
        return Prepared(view=view, talk=talk)


def _digests(state: State) -> set[str]:
    """Of the summaries that a state tells of."""
    asked = state.asked.previous if state.asked else None
    return {one.digest for one in (state.summary, state.ready, asked) if one is not None}


def _text(view: View, stored: Stored) -> str | None:
    return None if view.summary is None else summarised_as(stored.texts[view.summary.digest])
