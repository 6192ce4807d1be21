"""What a router knows when a call begins, and learns when it has ended."""

from collections.abc import Hashable
from dataclasses import replace

from farthing.routing import Draft, Query, Router
from farthing.run.caches import taught
from farthing.run.calls import Request
from farthing.run.conversation import Answered
from farthing.run.conversations import Conversations
from farthing.run.serving import Attempt, Serving


class Memory:
    """A router with its conversations. Safe to use from several threads.

    Attributes:
        router: The routes as they are known by now: what usage shows of a provider's cache is told
            to them.
    """

    def __init__(self, router: Router) -> None:
        self.router = router
        self._conversations = Conversations()

    def query(self, request: Request, *, at_s: float) -> Query:
        """What a router is asked about a request that leaves at `at_s`, in seconds since 1970."""
        router = self.router
        provider = router.routes[router.default].provider
        return Query(
            text=request.text,
            task=request.who.task,
            tenant=request.who.tenant,
            input_tokens=self._conversations.input_tokens(request, provider=provider),
            output_tokens=request.output_tokens,
            needs=request.needs,
            forced=request.forced,
            session=self._conversations.session(
                request, [*router.routes], default=router.default, provider=provider, at_s=at_s
            ),
        )

    def learn(self, serving: Serving, attempt: Attempt, draft: Draft, thread: Hashable) -> None:
        """Take in a whole answer; without its usage there is nothing to learn."""
        posted = attempt.last
        reading = posted.answer.reading if posted is not None and posted.answer.ok else None
        if reading is None or reading.usage is None:
            return
        routes = taught(self.router.routes, attempt.route, reading.usage)
        if routes is not self.router.routes:
            self.router = replace(self.router, routes=routes)
        request, query, decision = serving.request, serving.query, serving.decision
        home: str | None = next(iter(serving.failed), attempt.route)
        if decision is not None and decision.policy == 'session':
            home = None  # no policy had an opinion: it belongs where it did
        self._conversations.learn(
            request,
            Answered(
                route=routes[attempt.route],
                wanted=(decision and decision.wanted) or home or attempt.route,
                home=home,
                usage=reading.usage,
                chars=request.chars + _chars(draft),
                at_s=serving.at.timestamp(),
                goes_on=request.pending,
                compacted=query.session is not None and query.session.free == 'compacted',
            ),
            thread=thread,
        )


def _chars(draft: Draft) -> int:
    calls = sum(len(name) + len(str(arguments)) for name, arguments in draft.tool_calls)
    return len(draft.text) + calls
