"""What becomes of a decision once its call is answered: an entry's decision, and what it saved."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from farthing.caching.minimum import cacheable
from farthing.context import Rates, Tariff
from farthing.entry import Decision
from farthing.errors import LedgerError
from farthing.ledger.sessions import Name, Result, Sessions
from farthing.meter.choices import Answer, Fits
from farthing.prices import Call, PriceBook
from farthing.prices.quote import UNSAID
from farthing.run.counting import Failures
from farthing.run.savings import reported, whole
from farthing.run.talk import Prepared, Talk, Wanted
from farthing.run.tokens import Tokens
from farthing.usage import Usage
from farthing.wire.prompt import Shape

LEVER = 'context'
VERSION = '1'
ENOUGH_CALLS = 200
"""So many calls are measured before a policy that loses money is switched off."""
_UNCACHED = 3  # so many prompts in a row that could have been cached and were not
_AGAIN_S = 60.0
_MOST = 1_000
# Anthropic, tool use page: some 350 tokens that nobody sees are in every prompt with tools.
_LEAST_PROMPT = 2_000
_STEP = 128  # tokens, in which OpenAI caches
_LEAST_GROWTH = 100  # tokens: what frames a message is no longer much of it
_Value = TypeVar('_Value')
_ROLES = {'user': 'user', 'tool_result': 'user', 'assistant': 'model', 'tool_call': 'model'}


def fits(prepared: Prepared) -> Fits:
    """Whether a request may be the prepared one: providers join neighbours of one side.

    A classifier's or a summariser's request that leaves in between has fewer messages or tools.
    """
    talk, view = prepared.talk, prepared.view
    roles = [_ROLES.get(talk.parts[at].kind) for at in view.kept]
    roles += ['user'] if prepared.retrieved else []
    said = [role for role in roles if role is not None]
    least = bool(said) + sum(one != other for one, other in pairwise(said))

    def fit(shape: Shape) -> bool:
        return shape.messages >= least and shape.tools >= talk.tools

    return fit


class Booking:
    """The decisions of one driver and what they saved.

    Attributes:
        answered_by: Who bills the model that answered last, and its name.
    """

    def __init__(
        self, book: PriceBook, sessions: Sessions, policy: str, failures: Failures
    ) -> None:
        self._book = book
        self._sessions = sessions
        self._policy = policy
        self._failures = failures
        self._lock = threading.Lock()
        self._news: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._uncached: Counter[str] = Counter()
        self._lives: OrderedDict[bytes, timedelta] = OrderedDict()
        self._lengths: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self.answered_by: tuple[str, str] | None = None
        self._losing: dict[str, tuple[float, bool]] = {}

    def paid(self, talk: Talk, rates: Rates) -> Rates:
        """The rates that a session pays: where nothing is cached, all input costs the same."""
        if self._uncached[talk.model] < _UNCACHED:
            return rates
        return replace(rates, read=rates.input, write=rates.input)

    def ttl(self, name: Name, least: timedelta) -> timedelta:
        """How long the provider keeps what the conversation's last prompt wrote, at the longest.

        Who takes a cache for warm that is cold misses a free trim; the other way round a warm one
        would be written again.
        """
        return max(self._lives.get(name.key, least), least)

    def loses(self, model: str, now: datetime) -> bool:
        """Whether the policy was measured to lose money over enough calls."""
        at, found = self._losing.get(model, (0.0, False))
        if now.timestamp() - at > _AGAIN_S:
            result = self._sessions.result(self._policy, model, now)
            found = result.calls >= ENOUGH_CALLS and result.saved < 0
            self._losing[model] = (now.timestamp(), found)
        return found

    def store(self, now: datetime, learned: Mapping[str, Tokens], *, least: int = 1) -> None:
        """Store what at least so many calls have told; what cannot be stored now waits."""
        with self._lock:
            if self._calls.total() < least:
                return
            calls, saved = self._calls, self._news
            self._calls, self._news = Counter(), Counter()
        results = {model: Result(calls=n, saved=saved[model]) for model, n in calls.items()}
        ratios = {model: tokens.stored() for model, tokens in learned.items()}
        try:
            self._sessions.add(self._policy, results, now, ratios=ratios)
        except LedgerError as error:
            with self._lock:
                self._calls.update(calls)
                self._news.update(saved)
            self._failures.count('results', error)

    def settled(
        self,
        prepared: Prepared,
        counter: Tokens,
        then: Callable[[], None] | None,
        entry_id: str,
        answer: Answer,
    ) -> Decision:
        """What was decided about an answered request, and what came of it."""
        usage = answer.reading.usage if answer.ok and answer.reading is not None else None
        without = saved = None
        if answer.ok and answer.model is not None:
            self.answered_by = answer.provider, answer.model
        try:
            if usage is not None and prepared.view.tokens:
                without, saved = self._measured(prepared, usage, answer)
                self._learn(prepared, counter, usage, saved)
            if answer.ok and then is not None:
                then()
        except Exception as error:  # noqa: BLE001 - the answer is the user's; it is counted
            self._failures.count('measuring', error)
        return self._decision(prepared, entry_id, answer, usage, without, saved)

    def summarised(self, wanted: Wanted, entry_id: str, answer: Answer) -> Decision:
        """The decision about the call that made a summary: all of it is the lever's own cost."""
        request = wanted.request
        return Decision(
            entry_id=entry_id,
            time=answer.time,
            lever=LEVER,
            policy=self._policy,
            version=VERSION,
            chosen='summary',
            reason=f'summarised {wanted.replaced_tokens} tokens',
            predicted_cost=request.cost,
            counterfactual_cost=0,
            facts={'shares_prefix': wanted.shares_prefix, 'replaced': wanted.replaced_tokens},
        )

    def spent(self, wanted: Wanted, cost: int) -> None:
        """Take what a summary cost off what was saved; what it was to cost, if that is unknown."""
        with self._lock:
            self._news[wanted.talk.model] -= cost

    def _measured(
        self, prepared: Prepared, usage: Usage, answer: Answer
    ) -> tuple[int | None, int | None]:
        """What the call would have cost with its whole history, and what was saved on it."""
        reading = answer.reading
        if reading is None or prepared.plan is None:
            return None, None
        call = Call(
            provider=answer.provider,
            model=reading.model or answer.model or prepared.talk.model,
            at=answer.time,
            terms=replace(reading.terms or UNSAID, batch=answer.batch),
        )
        cost = self._book.quote(usage, call).cost
        decision = prepared.plan.decision
        if not (decision.dropped_tokens or decision.rewrite or prepared.retrieved):
            return cost, None if cost is None else 0
        if cost is None:
            return None, None
        full, warm = _reported(prepared, prepared.full_tokens, usage), prepared.warm_tokens
        before = None if warm is None else _reported(prepared, warm, usage)
        grows = not self._is_beginning_alone(prepared, usage, call)
        every = whole(usage, full=full, before=before, grows=grows)
        without = self._book.quote(every, call).cost
        return without, None if without is None else without - cost

    def _is_beginning_alone(self, prepared: Prepared, usage: Usage, call: Call) -> bool:
        """Whether only a beginning is cached that stays the same, such as a marked system text.

        Where writes are sold and the conversation is cached, a call pays in full at most for what
        no earlier prompt held, and for less than a step of the cache.
        """
        fresh = prepared.fresh_tokens
        if prepared.talk.complete:
            fresh = fresh * usage.input_tokens // prepared.view.tokens
        if usage.uncached_input_tokens <= fresh + _STEP:
            return False
        rates = Tariff(self._book, call).rates
        return rates.write != rates.input

    def _learn(self, prepared: Prepared, counter: Tokens, usage: Usage, saved: int | None) -> None:
        talk = prepared.talk
        self._learn_length(prepared, counter, usage.input_tokens)
        cached = usage.cache_read_tokens or usage.cache_write_tokens
        with self._lock:
            if prepared.name is not None and (life := _life(usage)) is not None:
                _put(self._lives, prepared.name.key, life)
            if cached:
                self._uncached[talk.model] = 0
            elif cacheable(talk.provider, talk.model, usage.input_tokens) == 'yes':
                self._uncached[talk.model] += 1
            if saved is not None and not prepared.off:
                self._calls[talk.model] += 1
                self._news[talk.model] += saved

    def _learn_length(self, prepared: Prepared, counter: Tokens, reported_tokens: int) -> None:
        """Learn from a prompt that we saw whole, or else from how far it is longer than the last.

        What is in every prompt of a conversation and was not seen is no part of that, and what a
        picture takes says nothing about texts, nor does what else is in a short prompt.
        """
        if any(part.other_tokens for part in prepared.talk.parts):
            return
        base = prepared.base_tokens
        if prepared.talk.complete:
            if base >= _LEAST_PROMPT:
                counter.learn(base=base, reported=reported_tokens)
        elif prepared.name is not None:
            with self._lock:
                before = self._lengths.get(prepared.name.key)
                _put(self._lengths, prepared.name.key, (base, reported_tokens))
            if before is not None and base - before[0] >= _LEAST_GROWTH:
                counter.learn(base=base - before[0], reported=reported_tokens - before[1])

    def _decision(
        self,
        prepared: Prepared,
        entry_id: str,
        answer: Answer,
        usage: Usage | None,
        without: int | None,
        saved: int | None,
    ) -> Decision:
        made = prepared.plan.decision if prepared.plan else None
        facts: dict[str, object] = {'off': prepared.off, 'saved': saved}
        if made is not None:
            facts |= {
                'kept_tokens': made.kept_tokens,
                'dropped_tokens': made.dropped_tokens,
                'rewrite': made.rewrite,
                'rewrite_cost': made.rewrite_cost,
                'saving': made.saving,
                'retrieved_cost': made.retrieved_cost,
                'break_even_calls': made.break_even_calls,
                'remaining_calls': prepared.remaining_calls,
                'cache': _cache(prepared, made.reused_tokens, usage),
                'cache_read_tokens': None if usage is None else usage.cache_read_tokens,
            }
        chosen = 'whole'
        if made is not None and (made.dropped_tokens or made.rewrite):
            chosen = 'rewrite' if made.rewrite else 'cut'
        reason = 'switched off: it was measured to lose money' if prepared.off else ''
        return Decision(
            entry_id=entry_id,
            time=answer.time,
            lever=LEVER,
            policy=self._policy,
            version=VERSION,
            chosen=chosen,
            reason=reason or (made.reason if made else ''),
            counterfactual_cost=without,
            facts=facts,
        )


def _put(known: OrderedDict[bytes, _Value], key: bytes, value: _Value) -> None:
    """Remember a value, and forget the oldest of too many."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MOST:
        known.popitem(last=False)


def _reported(prepared: Prepared, tokens: int, usage: Usage) -> int:
    return reported(tokens, usage, sent=prepared.view.tokens, complete=prepared.talk.complete)


def _life(usage: Usage) -> timedelta | None:
    """The longest lifetime that a call wrote for; `None` where it wrote nothing or did not say."""
    lives = (
        (usage.cache_write_1h_tokens, timedelta(hours=1)),
        (usage.cache_write_30m_tokens, timedelta(minutes=30)),
        (usage.cache_write_5m_tokens, timedelta(minutes=5)),
    )
    return next((life for tokens, life in lives if tokens), None)


def _cache(prepared: Prepared, reused_tokens: int, usage: Usage | None) -> str | None:
    """Whether the cache had what the last call had sent; `None` where nothing was to be had."""
    if usage is None or prepared.warm_tokens is None or not reused_tokens:
        return None
    expected = _reported(prepared, reused_tokens, usage)
    return 'hit' if 10 * usage.cache_read_tokens >= 9 * expected else 'miss'
