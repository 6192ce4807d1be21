"""The latest conversations that a process routes; one that it does not know is a first turn."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from farthing.estimate import tokens
from farthing.routing import Session
from farthing.run.calls import Request
from farthing.run.conversation import Answered, Conversation, Usual

_MOST = 10_000
_FEW = 5  # conversations of a task, below which nobody knows how long the next one will be


@dataclass(slots=True)
class _Task:
    """How many conversations of a task began, and how many of their turns wanted each route."""

    begun: int = 0
    wanted: Counter[str] = field(default_factory=Counter)

    @property
    def usual(self) -> Usual | None:
        """What they are like; `None` where few were seen."""
        if self.begun < _FEW:
            return None
        turns = self.wanted.total()
        shares = {name: count / turns for name, count in self.wanted.items()}
        return Usual(turns=turns / self.begun, wanted=shares)


_UNSEEN = _Task()


class Conversations:
    """What is known of conversations. Bounded; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Conversation] = OrderedDict()
        self._tasks: OrderedDict[str | None, _Task] = OrderedDict()

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
                task = self._tasks.get(request.who.task, _UNSEEN)
                return known.session(request, routes, at_s=at_s, usual=task.usual)
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
            task = self._of_task(request.who.task)
            task.begun += known is None
            task.wanted[call.wanted] += not call.goes_on or known is None
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

    def _of_task(self, task: str | None) -> _Task:
        found = self._tasks.pop(task, None) or _Task()
        self._tasks[task] = found
        while len(self._tasks) > _MOST:
            self._tasks.popitem(last=False)
        return found
