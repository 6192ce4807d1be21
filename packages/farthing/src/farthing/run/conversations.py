"""The latest conversations that a process routes; one that it does not know is a first turn."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from farthing.estimate import tokens
from farthing.routing import Session
from farthing.run.calls import Request
from farthing.run.conversation import Answered, Conversation

_MOST = 10_000
_FEW = 5  # conversations of a task, below which nobody knows how long the next one will be


@dataclass(slots=True)
class _Lengths:
    """How many conversations of a task began, and how many turns they had in all."""

    begun: int = 0
    turns: int = 0


class Conversations:
    """What is known of conversations. Bounded; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Conversation] = OrderedDict()
        self._lengths: OrderedDict[str | None, _Lengths] = OrderedDict()

    def session(
        self, request: Request, routes: Sequence[str], *, provider: str, at_s: float
    ) -> Session | None:
        """What is known of the conversation that a request goes on with; `None` is nothing.

        Args:
            request: The request.
            routes: The names of all routes, weakest first.
            provider: Whose way to count estimates its size.
            at_s: Seconds since 1970.
        """
        with self._lock:
            known = self._of(request)
            if known is not None:
                usual = self._usual_turns(request.who.task)
                return known.session(request, routes, at_s=at_s, usual_turns=usual)
        if request.pending_route is None or request.pending_route not in routes:
            return None
        # Another process has called the tool: only who did is known, from its answer.
        return Session(
            id=f'{hash(request.thread):x}',
            route=request.pending_route,
            prefix_tokens=tokens(request.chars, provider),
            pending_tool_call=True,
        )

    def input_tokens(self, request: Request, *, provider: str) -> int:
        """About how many tokens a request has."""
        with self._lock:
            known = self._of(request)
        if known is None or request.chars < known.chars:
            return tokens(request.chars, provider)
        return known.prefix_tokens + tokens(request.chars - known.chars, provider)

    def learn(self, request: Request, call: Answered, *, thread: Hashable) -> None:
        """Take in an answer.

        Args:
            request: The request.
            call: What became of it.
            thread: Names the conversation from now on.
        """
        with self._lock:
            known = self._of(request)
            lengths = self._of_task(request.who.task)
            lengths.begun += known is None
            lengths.turns += not call.goes_on
            if known is None:
                known = Conversation(
                    id=f'{hash(thread):x}', route=call.route.name, chars=0, prefix_tokens=0
                )
            # The earlier one stays: the same history may go on in several ways.
            self._known[thread] = known.after(call)
            self._known.move_to_end(thread)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def _of(self, request: Request) -> Conversation | None:
        return None if request.thread is None else self._known.get(request.thread)

    def _of_task(self, task: str | None) -> _Lengths:
        found = self._lengths.pop(task, None) or _Lengths()
        self._lengths[task] = found
        while len(self._lengths) > _MOST:
            self._lengths.popitem(last=False)
        return found

    def _usual_turns(self, task: str | None) -> float | None:
        """Turns of the task's conversations on average; those that still go on are counted too."""
        lengths = self._lengths.get(task)
        if lengths is None or lengths.begun < _FEW:
            return None
        return lengths.turns / lengths.begun
