"""What a decision looks at: a request, and the session that it belongs to, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from farthing.errors import RoutingError

Ability = Literal['tools', 'structured_output', 'thinking', 'image', 'audio', 'file']
SwitchPoint = Literal['first_turn', 'expired', 'compacted', 'sub_agent', 'new_thread']

_NOTHING_WARM: Mapping[str, int] = MappingProxyType({})
_NOTHING_IDLE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is known of the conversation before this turn.

    Attributes:
        id: The session's id; empty where it has none yet.
        route: The route that served the latest turn.
        prefix_tokens: Tokens of the conversation that this turn repeats.
        warm_tokens: By route, how many of them its model still has in its prompt cache; a route
            that is absent has none.
        new_tokens: Input tokens that a turn adds; `None` is unknown.
        output_tokens: Output tokens of a turn, as expected; `None` is unknown.
        calls: Calls that a turn makes.
        again: The share of the turns to come that is expected to want no more than this turn does;
            `None` is unknown: where `turns_left` is given they follow in a row, else the next turn
            is expected to want more.
        again_least: The least that this share is sure to be; `None` is unknown, and then `again` is
            taken at its word.
        turns_left: Turns that are expected to follow this one, in a row or not, and to want no more
            than it; `None` is unknown and counts as none. `outlook` estimates it, and both shares.
        turns: Turns before this one.
        turn_s: Seconds from one turn to the next; `None` is unknown, and then no cache expires.
        idle_s: By route, seconds since its cache was last used; absent is 0.
        free: Why switching costs nothing now: nothing is cached yet, the cache expired, the context
            was compacted, a sub-agent or a new thread begins. `None` where it may cost.
        home: Where a turn without an opinion goes: another route than `route` where that only stood
            in for one that failed. `None` is `route`.
        pending_tool_call: Whether the latest answer waits for a tool's result.

    Raises:
        RoutingError: A count is negative, a share is none, or more is warm than the prefix has.
    """

    id: str
    route: str
    prefix_tokens: int
    warm_tokens: Mapping[str, int] = field(default_factory=lambda: _NOTHING_WARM)
    new_tokens: int | None = None
    output_tokens: int | None = None
    calls: float = 1.0
    again: float | None = None
    again_least: float | None = None
    turns_left: float | None = None
    turns: int = 0
    turn_s: float | None = None
    idle_s: Mapping[str, float] = field(default_factory=lambda: _NOTHING_IDLE)
    free: SwitchPoint | None = None
    home: str | None = None
    pending_tool_call: bool = False

    def __post_init__(self) -> None:
        counts = (
            self.prefix_tokens,
            self.new_tokens,
            self.output_tokens,
            self.calls - 1,
            self.turns_left,
            self.turns,
            self.turn_s,
            *self.idle_s.values(),
        )
        if any(count is not None and count < 0 for count in counts):
            raise RoutingError(f'a session has a negative count, or less than a call: {self!r}')
        for share in (self.again, self.again_least):
            if share is not None and not 0 <= share <= 1:
                raise RoutingError(f'`again` is {share!r}: expected a share of 0 to 1')
        for route, warm in self.warm_tokens.items():
            if not 0 <= warm <= self.prefix_tokens:
                raise RoutingError(
                    f'route {route!r} has {warm} warm tokens of a prefix of {self.prefix_tokens}: '
                    'expected at least 0 and at most the prefix'
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request that wants a route.

    Attributes:
        text: The latest user message. Policies read it; no record keeps it.
        task: What the call is for.
        tenant: For whom it is.
        input_tokens: Tokens of the whole request, tools included; `None` is unknown.
        output_tokens: The most output tokens that are asked for; `None` is unknown.
        needs: What the model must be able to do: `tools` where tools are bound, `image` where one
            is attached ...
        forced: The route that the caller insists on.
        session: The conversation so far; `None` on its first turn.
        refused: The routes that cannot serve it, or would leave a warm cache and not pay; the
            router sets it, so that no policy drafts there.
    """

    text: str = field(repr=False)
    task: str | None = None
    tenant: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    needs: frozenset[Ability] = frozenset()
    forced: str | None = None
    session: Session | None = None
    refused: frozenset[str] = frozenset()
