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
    """Sums over the conversations of a task.

    Attributes:
        begun: Conversations.
        wanted: Turns that wanted each route.
        calls: Calls.
        output: Output tokens.
        second: Second turns.
        gone_on: Turns that went on from one before, and of them:
        added: Input tokens that they added.
        pauses_s: Seconds since the turns before them.
    """

    begun: int = 0
    wanted: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    output: int = 0
    second: int = 0
    gone_on: int = 0
    added: int = 0
    pauses_s: float = 0.0

    def learn(self, known: Conversation | None, call: Answered) -> None:
        """Take in an answer of a conversation as it was known before."""
        self.begun += known is None
        self.calls += 1
        self.output += call.usage.output_tokens
        if known is None or not call.goes_on:
            self.wanted[call.wanted] += 1
        if known is not None and not call.goes_on:
            added, pause_s = known.since(call)
            # A rewritten history adds nothing, and a turn beside another one has no pause.
            if added >= 0 and pause_s >= 0:
                self.second += known.turns == 1
                self.gone_on += 1
                self.added += added
                self.pauses_s += pause_s

    @property
    def usual(self) -> Usual | None:
        """What they are like; `None` where few were seen."""
        if self.begun < _FEW:
            return None
        turns = self.wanted.total()
        shares = {name: count / turns for name, count in self.wanted.items()}
        return Usual(
            turns=turns / self.begun,
            wanted=shares,
            seen=turns,
            go_on=self.second / self.begun,
            calls=self.calls / turns,
            output_tokens=self.output / turns,
            new_tokens=self.added / self.gone_on if self.gone_on else None,
            turn_s=self.pauses_s / self.gone_on if self.gone_on else None,
        )


_UNSEEN = _Task()


class Conversations:
    """What is known of conversations. Bounded; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Conversation] = OrderedDict()
        self._tasks: OrderedDict[str | None, _Task] = OrderedDict()

    def session(
        self, request: Request, routes: Sequence[str], *, default: str, provider: str, at_s: float
    ) -> Session | None:
        """What is known of the conversation that a request goes on with; `None` is nothing.

        Args:
            request: The request.
            routes: The names of all routes, weakest first.
            default: The one of a first turn without an opinion.
            provider: Whose way to count estimates its size.
            at_s: Seconds since 1970.
        """
        with self._lock:
            known = self._of(request)
            usual = self._tasks.get(request.who.task, _UNSEEN).usual
        if known is not None:
            return known.session(request, routes, at_s=at_s, usual=usual)
        if request.pending_route is None or request.pending_route not in routes:
            if usual is None or request.pending:
                return None
            return usual.first(tokens(request.chars, provider), routes, default=default)
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
            self._of_task(request.who.task).learn(known, call)
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
