"""The driver of routing: it joins the router, the price book, the ledger and a framework's models.

An adapter tells what is asked (`Request`) and knows how to call (`Calls`); here it is decided who
serves it, what a failure means, and what is written down. The order of a call is a flow, so that
the sync and the async way are the same:

    decide      `Router.decide`; a policy's questions go out with the purpose `routing` and a time
                limit, a cascade's draft is an attempt like any other
    serve       in `shadow` mode the default route, unless evidence has promoted the decided one
                for the task; in `active` mode the decided one
    fall back   where the provider failed before the first piece of the answer
    learn       from what was posted: what is warm at which route, and how the conversation goes on

Every entry of a call, of failed attempts and drafts as well, gets a decision of the lever
`routing`: see `farthing.run.routing_record`. Nothing in here fails a user's call, but for a forced
route that does not exist.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from farthing.errors import InputError, RoutingError
from farthing.flow import Flow, arun, run
from farthing.meter import Meter
from farthing.meter.following import Posted, following
from farthing.routing import Attempt as Drafting
from farthing.routing import Decision, Draft, Query, Question, Router
from farthing.run.calls import AsyncCalls, Calls, Replay, Request
from farthing.run.failing import may_fall_back
from farthing.run.grading import outcome
from farthing.run.memory import Memory
from farthing.run.order import Mode, compared, serves, tried
from farthing.run.proof import Proves, Unproved
from farthing.run.questions import Questions
from farthing.run.routing_record import record
from farthing.run.serving import Attempt, Serving
from farthing.run.shadow import Shadow

_log = logging.getLogger('farthing')
_Ask: TypeAlias = Question | Drafting | Attempt


class Served:
    """A call that has been answered, or whose stream has begun.

    Attributes:
        answer: What `serve` returned, or the accepted draft's own answer.
        drafted: Whether it is an accepted draft.
        route: What answered.
    """

    def __init__(
        self, dispatcher: 'Dispatcher', serving: Serving, attempt: Attempt, answer: Any, calls: Any
    ) -> None:
        self.answer = answer
        self.drafted = attempt.kind == 'draft'
        self.route = attempt.route
        self._dispatcher = dispatcher
        self._serving = serving
        self._attempt = attempt
        self._calls = calls

    def ended(self, draft: Draft, thread: Hashable) -> None:
        """The answer is whole. Without this call nothing is learned from it, and nothing replayed.

        Args:
            draft: The whole answer.
            thread: Names the conversation from now on.
        """
        self._dispatcher.ended(self._serving, self._attempt, self._calls, draft, thread)


class Dispatcher:
    """Sends each call to the route that is to serve it. Safe to use from several threads.

    Args:
        router: Routes, policies, default and prices.
        meter: Whose ledger holds the decisions.
        mode: `shadow` or `active`.
        fallback: Whether, or to which routes in order, a call goes whose route fails. `True` is
            the default route, then stronger ones than that.
        ask_within_s: How long a policy's question may take.
        shadow: Replays a sample of calls on the other route; `None` replays none.
        proof: What evidence says; without it, nothing is promoted.
        now: Tells the time.

    Attributes:
        troubles: How often something went wrong that no call was to fail for, by kind.

    Raises:
        InputError: An argument cannot be taken.
    """

    def __init__(
        self,
        router: Router,
        meter: Meter,
        *,
        mode: Mode = 'shadow',
        fallback: bool | Sequence[str] = True,
        ask_within_s: float = 5.0,
        shadow: Shadow | None = None,
        proof: Proves | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if mode not in {'shadow', 'active'}:
            raise InputError(f"`mode` is {mode!r}: expected 'shadow' or 'active'")
        unknown = () if isinstance(fallback, bool) else {*fallback} - {*router.routes}
        if unknown:
            raise InputError(
                f'`fallback` names {sorted(unknown)}: expected some of {", ".join(router.routes)}'
            )
        self._memory = Memory(router)
        self.meter = meter
        self.mode = mode
        self.troubles: Counter[str] = Counter()
        self._fallback = fallback
        self._questions = Questions(ask_within_s)
        self.shadow = shadow
        self.proof = proof or Unproved()
        self._now = now
        self._warned: set[str] = set()

    @property
    def router(self) -> Router:
        """The router, as it is known by now."""
        return self._memory.router

    def call(self, request: Request, calls: Calls) -> Served:
        """The answer of the route that serves the request.

        Raises:
            RoutingError: The forced route does not exist.
            Exception: What the last route that was tried raised.
        """
        serving = self._begun(request)
        serve = partial(self._sync, serving, calls)
        attempt, answer = run(self._served(serving), serve)
        return Served(self, serving, attempt, answer, calls)

    async def acall(self, request: Request, calls: AsyncCalls) -> Served:
        """The answer of the route that serves the request; see `call`."""
        serving = self._begun(request)
        serve = partial(self._async, serving, calls)
        attempt, answer = await arun(self._served(serving), serve)
        return Served(self, serving, attempt, answer, calls)

    def feedback(self, run_id: object, score: float | str | Decimal, *, source: str) -> None:
        """Post how good the answer of a run was.

        Raises:
            InputError: The score is no number.
        """
        now = datetime.now(UTC)
        self.meter.ledger.post_outcome(outcome(str(run_id), score, source=source, time=now))

    def wait(self) -> None:
        """Wait until all of the sample is replayed and graded, and take in what that proves."""
        if self.shadow is not None:
            self.shadow.wait()
        self.proof.refresh()

    # The flow of a call.

    def _served(self, serving: Serving) -> Flow[_Ask, Any, tuple[Attempt, Any]]:
        """Decide, call, fall back: the attempt that answered, and its answer."""
        started_ns = time.perf_counter_ns()
        decision = yield from self._decided(serving)
        route = serves(
            decision, serving.query, self.router, mode=self.mode, promoted=self.proof.promoted
        )
        unproven = self.mode == 'active' and self._unproven(decision, serving)
        routing_us = (time.perf_counter_ns() - started_ns) // 1_000
        serving.decided(decision, route, unproven=unproven, routing_us=routing_us)
        if decision.draft is not None and decision.route == route:
            return serving.drafts[-1], decision.draft.answer
        return (yield from self._tried(serving, decision))

    def _decided(self, serving: Serving) -> Flow[_Ask, Any, Decision]:
        """The router's decision.

        In shadow mode a cascade's draft would be paid for and thrown away in the user's time. So
        none is made: the weak route is what the cascade wants, and is replayed like any other.
        """
        try:
            decision = yield from self.router.decide(serving.query, serving.at)
        except Exception as error:
            if serving.query.forced is not None:
                raise
            self.trouble('decide', error)
            return Decision(
                route=self.router.default,
                policy='default',
                reason='the router failed',
                failed=f'router: {type(error).__name__}',
            )
        if decision.failed is not None and (wanted := serving.undrafted) is not None:
            return replace(
                decision,
                route=wanted,
                wanted=wanted,
                policy=decision.failed.partition(':')[0],
                reason='in shadow mode a draft is made after the answer',
                failed=None,
            )
        return decision

    def _tried(self, serving: Serving, decision: Decision) -> Flow[_Ask, Any, tuple[Attempt, Any]]:
        """The first route that answers."""
        candidates = tried(serving.serves, decision, self.router, fallback=self._fallback)
        while True:
            serving.serves = candidates.pop(0)
            attempt = Attempt(serving, serving.serves, 'answer')
            try:
                answer = yield attempt
            except Exception as error:
                if not candidates or not may_fall_back(error):
                    raise
                serving.failed[attempt.route] = type(error).__name__
            else:
                return attempt, answer

    def _unproven(self, decision: Decision, serving: Serving) -> bool:
        """Whether another route than the default was chosen, and no evidence is there for it."""
        if decision.route == self.router.default or decision.policy == 'forced':
            return False
        if self.proof.promoted(serving.query.task, decision.route):
            return False
        self._warn(
            'unproven',
            f'route {decision.route!r} serves without evidence that it is good enough; '
            "`mode='shadow'` with a `grader` collects some",
        )
        return True

    # What a call knows when it begins, and teaches when it ends.

    def _begun(self, request: Request) -> Serving:
        at_s = self._now()
        try:
            query = self._memory.query(request, at_s=at_s)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.trouble('query', error)
            query = Query(text=request.text, needs=request.needs, forced=request.forced)
        return Serving(request, query, datetime.fromtimestamp(at_s, UTC), self._hang)

    def _hang(self, serving: Serving, attempt: Attempt, one: Posted) -> None:
        """Post what was decided about an entry of a call."""
        try:
            default = self.router.routes[self.router.default]
            one.tell(
                record(
                    serving, attempt, one, mode=self.mode, default=default, book=self.router.book
                )
            )
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.trouble('record', error)

    def ended(
        self, serving: Serving, attempt: Attempt, calls: Any, draft: Draft, thread: Hashable
    ) -> None:
        """Learn from a whole answer, and have it replayed where it is in the sample."""
        try:
            self._memory.learn(serving, attempt, draft, thread)
            self._replayed(serving, attempt, calls, draft)
        except Exception as error:  # noqa: BLE001 - as above
            self.trouble('learn', error)

    def _replayed(self, serving: Serving, attempt: Attempt, calls: Any, draft: Draft) -> None:
        """Offer a call for replay on the other route of its pair."""
        decision = serving.decision
        if self.shadow is None or decision is None or attempt.last is None:
            return
        if decision.policy == 'forced' or serving.failed:
            return
        other = compared(attempt.route, decision, self.router)
        if other is not None:
            self.shadow.offer(
                Replay(
                    request=serving.request,
                    served=attempt.route,
                    run_id=attempt.last.run_id,
                    answer=draft,
                    other=other,
                    version=decision.version,
                    call=partial(calls.replay, other),
                    ask=calls.judge,
                )
            )

    # Answers to what the flow asks.

    def _sync(self, serving: Serving, calls: Calls, ask: _Ask) -> Any:
        if isinstance(ask, Question):
            return self._questions.answer(ask, calls.answer, serving.tally)
        attempt = self._attempted(serving, ask)
        with following(attempt):
            if attempt.kind == 'draft':
                return calls.draft(attempt.route)
            return calls.serve(attempt.route)

    async def _async(self, serving: Serving, calls: AsyncCalls, ask: _Ask) -> Any:
        if isinstance(ask, Question):
            return await self._questions.aanswer(ask, calls.answer, serving.tally)
        attempt = self._attempted(serving, ask)
        with following(attempt):
            if attempt.kind == 'draft':
                return await calls.draft(attempt.route)
            return await calls.serve(attempt.route)

    def _attempted(self, serving: Serving, ask: Drafting | Attempt) -> Attempt:
        if isinstance(ask, Attempt):
            return ask
        if self.mode == 'shadow' and not self.proof.promoted(serving.query.task, ask.route):
            serving.undrafted = ask.route
            raise RoutingError('no draft is made in shadow mode')
        serving.drafts.append(Attempt(serving, ask.route, 'draft'))
        return serving.drafts[-1]

    def trouble(self, kind: str, error: Exception) -> None:
        """Count what no call is to fail for, and warn about the first of its kind."""
        self.troubles[kind] += 1
        self._warn(kind, f'a routed call could not be followed ({kind}: {type(error).__name__})')

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            _log.warning('farthing: %s', text)
