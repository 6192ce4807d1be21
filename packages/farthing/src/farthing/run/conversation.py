"""One conversation as a router's driver knows it: who serves it, what is warm, what is to come.

All of it follows from the usage that providers reported and from what the policies wanted; it
holds no text. A turn is what one message of the user leads to; it may take several calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from farthing.estimate import tokens
from farthing.routing import Route, Session
from farthing.routing.routes import LIFE_S
from farthing.routing.switching import outlook
from farthing.run.caches import cached
from farthing.run.calls import Request
from farthing.usage import Usage

_SHARE = 0.3  # of the latest turn in the averages
_MOSTLY = 0.9  # of a task's conversations go on, where a first turn is taken to have a second one
_NOTHING_WARM: Mapping[str, 'Warm'] = MappingProxyType({})
_NOTHING_WANTED: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """What a route's prompt cache holds of a conversation.

    Attributes:
        tokens: Tokens of its prefix.
        used_s: When it was used last, in seconds since 1970.
        until_s: Until when it is kept.
    """

    tokens: int
    used_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What conversations of a task are like.

    Attributes:
        turns: Turns in all, on average; those that still go on are counted with what they had.
        wanted: The share of the turns that wanted each route.
        seen: The turns of which these are the shares.
        go_on: The share of the conversations that had a second turn.
        calls: Calls of a turn.
        output_tokens: Output tokens of a turn.
        new_tokens: Input tokens that a turn adds; `None` where no conversation went on.
        turn_s: Seconds between turns; `None` likewise.
    """

    turns: float
    wanted: Mapping[str, float]
    seen: int
    go_on: float
    calls: float
    output_tokens: float
    new_tokens: float | None
    turn_s: float | None

    def first(self, size: int, routes: Sequence[str], *, default: str) -> Session | None:
        """What a router is told of a first turn; `None` where it may well be the only one.

        Args:
            size: Tokens of the request.
            routes: The names of all routes, weakest first.
            default: The one that serves where a second cache beside its own would not pay.
        """
        if self.new_tokens is None or self.go_on < _MOSTLY:
            return None
        ahead = outlook(
            0,
            0,
            usual_turns=self.turns,
            usual_share=self.share(routes[: routes.index(default)]),
            usual_seen=self.seen,
        )
        return Session(
            id='',
            route=default,
            prefix_tokens=size,
            new_tokens=round(self.new_tokens),
            output_tokens=round(self.output_tokens),
            calls=self.calls,
            again=ahead.again,
            again_least=ahead.again_least,
            turns_left=ahead.turns_left,
            turn_s=self.turn_s,
            free='first_turn',
        )

    def share(self, routes: Sequence[str]) -> float:
        """The share of the turns that wanted one of these routes."""
        return sum(self.wanted.get(name, 0.0) for name in routes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A call of a conversation that was answered.

    Attributes:
        route: What answered.
        wanted: The route that the policies wanted.
        home: What was to answer, whether it failed or not; `None` where no policy had an opinion,
            and then it is what it was.
        usage: What it used.
        chars: Characters of request and answer.
        at_s: When it was made, in seconds since 1970.
        goes_on: Whether it belongs to the turn before it: it brings a tool's result.
        compacted: Whether its request was a shorter history than the one before.
    """

    route: Route
    wanted: str
    home: str | None = None
    usage: Usage
    chars: int
    at_s: float
    goes_on: bool
    compacted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What is known after its latest answer.

    Attributes:
        id: Names it.
        route: What served it last.
        home: Where it belongs; another route than `route` where that only stood in for it.
        chars: Characters so far.
        prefix_tokens: Tokens so far, as the latest answer's usage has them.
        warm: What is cached, by route.
        wanted: How many turns wanted each route.
        turns: Turns so far.
        calls: Calls so far.
        new_tokens: Input tokens that a turn adds, averaged; `None` is unknown.
        output_tokens: Output tokens of a turn, averaged over those before the latest.
        turn_s: Seconds between turns, averaged; `None` is unknown.
        began_s: When the latest turn began.
        turn_output: Output tokens of the latest turn so far.
    """

    id: str
    route: str
    home: str | None = None
    chars: int
    prefix_tokens: int
    warm: Mapping[str, Warm] = field(default_factory=lambda: _NOTHING_WARM)
    wanted: Mapping[str, int] = field(default_factory=lambda: _NOTHING_WANTED)
    turns: int = 0
    calls: int = 0
    new_tokens: float | None = None
    output_tokens: float | None = None
    turn_s: float | None = None
    began_s: float = 0.0
    turn_output: int = 0

    def session(
        self, request: Request, routes: Sequence[str], *, at_s: float, usual: Usual | None
    ) -> Session:
        """What a router is told when a request goes on with it.

        Args:
            request: The request.
            routes: The names of all routes, weakest first.
            at_s: Seconds since 1970.
            usual: What such conversations are like; `None` is unknown.
        """
        compacted = request.chars < self.chars
        prefix = 0 if compacted else self.prefix_tokens
        warm = {name: one for name, one in self.warm.items() if prefix and one.until_s > at_s}
        expired = bool(self.warm) and not warm
        output = self.turn_output if self.output_tokens is None else self.output_tokens
        added = tokens(request.chars - self.chars) if self.new_tokens is None else self.new_tokens
        # Turns that want less than the strongest route whose cache might be left.
        strongest = max((n for n, name in enumerate(routes) if name in warm), default=len(routes))
        weaker = routes[:strongest]
        ahead = outlook(
            self.turns,
            sum(self.wanted.get(name, 0) for name in weaker),
            usual_turns=None if usual is None else usual.turns,
            usual_share=None if usual is None else usual.share(weaker),
            usual_seen=0 if usual is None else usual.seen,
        )
        return Session(
            id=self.id,
            route=self.route,
            prefix_tokens=prefix,
            warm_tokens={name: min(one.tokens, prefix) for name, one in warm.items()},
            new_tokens=round(added) if prefix else None,
            output_tokens=round(output),
            calls=max(self.calls / self.turns, 1.0),
            again=ahead.again,
            again_least=ahead.again_least,
            turns_left=ahead.turns_left,
            turns=self.turns,
            turn_s=usual.turn_s if self.turn_s is None and usual is not None else self.turn_s,
            # Calls beside each other may begin before what they are compared with.
            idle_s={name: max(at_s - one.used_s, 0.0) for name, one in warm.items()},
            free='compacted' if compacted else 'expired' if expired else None,
            home=self.home,
            pending_tool_call=request.pending,
        )

    def after(self, call: Answered) -> 'Conversation':
        """What is known after a further answer."""
        usage = call.usage
        warm = {} if call.compacted else dict(self.warm)
        held = cached(call.route, usage)
        if held:
            until_s = call.at_s + LIFE_S[call.route.cache_writes]
            warm[call.route.name] = Warm(tokens=held, used_s=call.at_s, until_s=until_s)
        known = replace(
            self,
            route=call.route.name,
            home=call.home or self.home or self.route,
            chars=call.chars,
            prefix_tokens=usage.input_tokens + usage.output_tokens,
            warm=warm,
            calls=self.calls + 1,
            turn_output=self.turn_output + usage.output_tokens,
        )
        goes_on = call.goes_on and self.turns
        return known if goes_on else self._turned(known, call)

    def _turned(self, known: 'Conversation', call: Answered) -> 'Conversation':
        """The same, where the call began a turn."""
        added, pause_s = self.since(call)
        return replace(
            known,
            turns=self.turns + 1,
            wanted={**self.wanted, call.wanted: self.wanted.get(call.wanted, 0) + 1},
            began_s=call.at_s,
            turn_output=call.usage.output_tokens,
            new_tokens=_averaged(self.new_tokens, added)
            if self._goes_by(added)
            else self.new_tokens,
            output_tokens=_averaged(self.output_tokens, self.turn_output) if self.turns else None,
            turn_s=_averaged(self.turn_s, pause_s) if self._goes_by(pause_s) else self.turn_s,
        )

    def since(self, call: Answered) -> tuple[int, float]:
        """Input tokens that a call which begins a turn adds, and seconds since the turn before."""
        return call.usage.input_tokens - self.prefix_tokens, call.at_s - self.began_s

    def _goes_by(self, difference: float) -> bool:
        """Whether a difference to the turn before says something.

        The first turn has none before it. A shorter prompt was rewritten, and a turn that began
        earlier went on from the same history beside this one.
        """
        return bool(self.turns) and difference >= 0


def _averaged(known: float | None, latest: float) -> float:
    return float(latest) if known is None else (1 - _SHARE) * known + _SHARE * latest
