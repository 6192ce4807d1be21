"""What an adapter tells the router's driver of a call, and what it does for it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from farthing.attribution import NOBODY, Attribution
from farthing.routing import Ability, Draft, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call that wants a route.

    Attributes:
        text: The latest user message.
        chars: Characters of the whole request, tools included.
        thread: Names the conversation up to its latest answer; `None` is a first turn.
        who: For whom the call is, and what for.
        needs: What the model must be able to do.
        output_tokens: The most output tokens that are asked for; `None` is unknown.
        forced: The route that the caller insists on.
        pending: Whether the latest answer waits for a tool's result.
        pending_route: The route that gave it, where the conversation says so.
    """

    text: str = field(repr=False)
    chars: int
    thread: Hashable | None = None
    who: Attribution = NOBODY
    needs: frozenset[Ability] = frozenset()
    output_tokens: int | None = None
    forced: str | None = None
    pending: bool = False
    pending_route: str | None = None


class Calls(Protocol):
    """How an adapter calls models for one request, in sync code."""

    def answer(self, question: Question) -> str:
        """The text that the question's model answers; it may be called from another thread."""

    def draft(self, route: str) -> Draft:
        """The route's whole answer to the request."""

    def serve(self, route: str) -> Any:
        """The route's answer for the user; of a stream, its first piece has come."""

    def replay(self, route: str) -> Draft:
        """The route's whole answer, unseen by the user; called later, from another thread."""

    def judge(self, question: Question) -> str:
        """The text that the question's model answers; called later, from another thread."""


class AsyncCalls(Protocol):
    """The same in async code; what is called later is called without an event loop."""

    async def answer(self, question: Question) -> str:
        """See `Calls.answer`."""

    async def draft(self, route: str) -> Draft:
        """See `Calls.draft`."""

    async def serve(self, route: str) -> Any:
        """See `Calls.serve`."""

    def replay(self, route: str) -> Draft:
        """See `Calls.replay`."""

    def judge(self, question: Question) -> str:
        """See `Calls.judge`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A call that was answered, and how to have another route answer it as well.

    Attributes:
        request: What was asked.
        served: The route that answered the user.
        run_id: The framework's run of that answer.
        answer: The answer.
        other: The route that is to answer it too.
        version: The version of the policy that chose for the call.
        call: Calls it; the user never sees the answer.
        ask: Asks a grader's question.
    """

    request: Request
    served: str
    run_id: str
    answer: Draft = field(repr=False)
    other: str
    version: str
    call: Callable[[], Draft]
    ask: Callable[[Question], str]
