"""What a process remembers of the conversations that it routes: who serves them, and what is warm.

All of it follows from the usage that providers reported. It is bounded, it holds no text, and a
process that knows nothing of a conversation decides as on a first turn.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from farthing.estimate import tokens
from farthing.routing import Query, Route, Session
from farthing.run.caches import LIFETIMES_S, cached
from farthing.run.calls import Request
from farthing.usage import Usage

_MOST = 10_000
_FEW = 5  # conversations of a task, below which nobody knows how long the next one will be
_SHARE = 0.3  # of the latest turn in the averages


@dataclass(slots=True)
class _Warm:
    tokens: int
    until_s: float


@dataclass(slots=True)
class _Known:
    """One conversation, as of its latest answer."""

    id: str
    route: str
    task: str | None
    chars: int
    prefix_tokens: int
    output_tokens: float
    new_tokens: float | None = None
    warm: dict[str, _Warm] = field(default_factory=dict)


@dataclass(slots=True)
class _Lengths:
    """How many conversations of a task began, and how many requests they had in all."""

    begun: int = 0
    turns: int = 0


class Conversations:
    """The latest conversations of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._lengths: OrderedDict[str | None, _Lengths] = OrderedDict()

    def session(self, request: Request, *, provider: str, at_s: float) -> Session | None:
        """What is known of the conversation that a request goes on with; `None` is nothing.

        Args:
            request: The request.
            provider: Whose way to count estimates its size.
            at_s: Seconds since 1970.
        """
        thread, chars = request.thread, request.chars
        with self._lock:
            known = None if thread is None else self._known.get(thread)
            if known is None and request.pending_route is not None:
                # Another process has called the tool: only who did is known, from its answer.
                return Session(
                    id=f'{hash(thread):x}',
                    route=request.pending_route,
                    prefix_tokens=tokens(chars, provider),
                    pending_tool_call=True,
                )
            if known is None:
                return None
            compacted = chars < known.chars
            prefix = 0 if compacted else known.prefix_tokens
            warm = {
                route: min(one.tokens, prefix)
                for route, one in known.warm.items()
                if one.until_s > at_s and prefix
            }
            expired = known.route in known.warm and known.route not in warm
            return Session(
                id=known.id,
                route=known.route,
                prefix_tokens=prefix,
                warm_tokens=warm,
                new_tokens=self._new(known, chars, prefix),
                output_tokens=round(known.output_tokens),
                turns_left=self._turns_left(known.task),
                free='compacted' if compacted else 'expired' if expired else None,
                pending_tool_call=request.pending,
            )

    def input_tokens(self, request: Request, *, provider: str) -> int:
        """About how many tokens a request has."""
        with self._lock:
            known = None if request.thread is None else self._known.get(request.thread)
            if known is None or request.chars < known.chars:
                return tokens(request.chars, provider)
            return known.prefix_tokens + tokens(request.chars - known.chars, provider)

    def learn(
        self,
        query: Query,
        request: Request,
        *,
        after: Hashable,
        chars: int,
        route: Route,
        usage: Usage,
        at_s: float,
    ) -> None:
        """Take in an answer and what it used.

        Args:
            query: What the router was asked.
            request: The request.
            after: Names the conversation from now on.
            chars: Characters of the answer.
            route: What answered.
            usage: What that used.
            at_s: Seconds since 1970.
        """
        chars += request.chars
        whole = usage.input_tokens + usage.output_tokens
        with self._lock:
            known = None if request.thread is None else self._known.get(request.thread)
            lengths = self._of_task(query.task)
            if known is None:
                lengths.begun += 1
                known = _Known(
                    id=f'{hash(after):x}',
                    route=route.name,
                    task=query.task,
                    chars=chars,
                    prefix_tokens=whole,
                    output_tokens=usage.output_tokens,
                )
            else:
                # A copy: the same history may go on in several ways.
                known = replace(known, warm={**known.warm})
                added = usage.input_tokens - known.prefix_tokens
                if added >= 0:
                    known.new_tokens = _averaged(known.new_tokens, added)
                known.output_tokens = _averaged(known.output_tokens, usage.output_tokens)
            if query.session is not None and query.session.free == 'compacted':
                known.warm.clear()
            known.route, known.chars, known.prefix_tokens = route.name, chars, whole
            lengths.turns += 1
            warm = cached(route, usage)
            if warm:
                until_s = at_s + LIFETIMES_S[route.cache_writes]
                known.warm[route.name] = _Warm(warm, until_s)
            self._known[after] = known
            self._known.move_to_end(after)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def _new(self, known: _Known, chars: int, prefix: int) -> int | None:
        """Input tokens that a turn adds: this turn's, where it can be told, else the average."""
        if known.new_tokens is not None:
            return round(known.new_tokens)
        return tokens(chars - known.chars) if prefix else None

    def _of_task(self, task: str | None) -> _Lengths:
        found = self._lengths.pop(task, None) or _Lengths()
        self._lengths[task] = found
        while len(self._lengths) > _MOST:
            self._lengths.popitem(last=False)
        return found

    def _turns_left(self, task: str | None) -> float | None:
        """The requests that follow on average, if a conversation is as likely to end at any turn.

        Conversations that still go on are counted with what they had, so it is no more than
        what follows; where few were seen it is unknown.
        """
        lengths = self._lengths.get(task)
        if lengths is None or lengths.begun < _FEW:
            return None
        return lengths.turns / lengths.begun - 1


def _averaged(known: float | None, latest: int) -> float:
    return float(latest) if known is None else (1 - _SHARE) * known + _SHARE * latest
