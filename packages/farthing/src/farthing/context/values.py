"""What context policies work on: numbers and digests of a history, never its text.

A block is one message of the framework. Policies answer with the positions of blocks, so that tool
calls, images and thinking pass through untouched; its position is all the identity a block has.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from typing import Literal

from farthing.context.rates import Rates
from farthing.context.turns import Turn, turns
from farthing.errors import ContextError

Kind = Literal['system', 'user', 'assistant', 'tool_call', 'tool_result']

ANSWERS = frozenset({'assistant', 'tool_call'})
"""Kinds that a model made: each is one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One message of a history.

    Attributes:
        kind: What it is; an answer that calls tools is a `tool_call`, whatever else it says.
        tokens: All that is sent of it: text, tool arguments, thinking, images.
        digest: A keyed fingerprint of its content; equal blocks have equal ones.
        call_ids: Ids of the tool calls it makes, or that its results answer.

    Raises:
        ContextError: Its tokens are negative.
    """

    kind: Kind
    tokens: int
    digest: str
    call_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise ContextError(f'a block has {self.tokens} tokens: expected at least 0')


Find = Callable[[AbstractSet[int], int], Sequence[int]]
"""Which of these blocks bear on the newest request, within so many tokens."""


@dataclass(frozen=True, kw_only=True)
class History:
    """All that was said in one session, before anything is left out.

    Attributes:
        blocks: Its messages, oldest first.
        fixed_tokens: What every call sends besides: tools, and a system text that is no block.
        limit: The most tokens a prompt may have, tools and system included; `None` without.
        find: Finds old blocks for `Select`, over the texts of this session alone.
    """

    blocks: tuple[Block, ...]
    fixed_tokens: int = 0
    limit: int | None = None
    find: Find | None = None

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """A request of the user each, with everything until the next one."""
        return turns(self.blocks)

    @cached_property
    def sums(self) -> tuple[int, ...]:
        """Tokens of the blocks before each position, and of all."""
        return tuple(accumulate((block.tokens for block in self.blocks), initial=0))

    @cached_property
    def head(self) -> tuple[int, ...]:
        """What always stays: system texts and the first request."""
        first = next((at for at, one in enumerate(self.blocks) if one.kind == 'user'), None)
        return tuple(
            at for at, one in enumerate(self.blocks) if one.kind == 'system' or at == first
        )

    def tokens(self, start: int, stop: int) -> int:
        """Tokens of the blocks from `start` up to `stop`."""
        return self.sums[stop] - self.sums[start]

    def calls(self) -> int:
        """How many calls the history shows."""
        return sum(one.kind in ANSWERS for one in self.blocks)

    def anchor(self, stop: int) -> str:
        """A digest of the blocks before `stop`: it tells this beginning from every other."""
        beginning = '\0'.join(block.digest for block in self.blocks[:stop])
        return blake2b(beginning.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What stands for the oldest part of a history; its text is kept by who made it.

    Attributes:
        until: The first block that it does not cover.
        tokens: Its length.
        digest: A keyed fingerprint of its text.
        cost: What making it cost, in 1e-12 USD.
    """

    until: int
    tokens: int
    digest: str
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A summary that is wanted: of the old one and of the blocks since.

    Attributes:
        start: The first block of the slice; system texts and the first request are no part of it.
        stop: The first block after it.
        anchor: Which history it is of; see `History.anchor`.
        previous: The summary that the new one takes up.
        tokens: About how long it shall be.
        shares_prefix: Whether it is cheaper to ask the session's own model, with the instruction
            after the prompt that it has cached, than to send the slice to the cheap one.
        cost: What it will cost, in 1e-12 USD.
        token_cost: What of that each token of the slice costs.
        at: When it was asked for.
    """

    start: int
    stop: int
    anchor: str
    previous: Summary | None
    tokens: int
    shares_prefix: bool
    cost: int
    token_cost: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a session remembers between calls; small, without text, fit to be stored.

    Attributes:
        cut: The first block that is kept after the head; 0 where all are.
        cleared: Tool results before this block are cleared, where that saves anything.
        anchored: The blocks that were settled at the last call.
        anchor: Which history it is of: see `History.anchor`, of those blocks.
        summary: What stands for the blocks before the cut.
        asked: The summary that is awaited; the old view serves until it is there.
        ready: The summary that came, before a policy takes it.
        failures: Summaries that failed in a row.
        retry_at: No summary is asked for before this time.
        seen: Blocks at the last call.
        last_call: When that was.
    """

    cut: int = 0
    cleared: int = 0
    anchored: int = 0
    anchor: str = ''
    summary: Summary | None = None
    asked: Request | None = None
    ready: Summary | None = None
    failures: int = 0
    retry_at: datetime | None = None
    seen: int = 0
    last_call: datetime | None = None

    @property
    def settled(self) -> int:
        """The first block about which nothing has been decided."""
        asked = self.asked.stop if self.asked else 0
        ready = self.ready.until if self.ready else 0
        return max(self.cut, self.cleared, asked, ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Under which conditions a policy decides.

    Attributes:
        rates: What tokens cost.
        now: The time of the call.
        ttl: How long the provider keeps a cached prefix after its last use.
        remaining_calls: How many calls the session is expected to make from this one on; `None`
            is unknown.
    """

    rates: Rates
    now: datetime
    ttl: timedelta = timedelta(minutes=5)
    remaining_calls: int | None = None

    def is_cold(self, state: 'State') -> bool:
        """Whether the cache has forgotten the session's last prompt, or never had one."""
        return state.last_call is None or self.now - state.last_call > self.ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one policy makes of a session's state.

    Attributes:
        state: The new state.
        reason: Why it changed, in one line; empty where it did not.
        retrieved: Old blocks that are repeated at the end of this prompt.
    """

    state: State
    reason: str = ''
    retrieved: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the next call is sent, in this order; tools come first.

    Attributes:
        head: Blocks before the summary.
        summary: Stands after the head, as a message of the user.
        rest: Blocks after the summary.
        cleared: Blocks of the rest or head whose content is replaced by `CLEARED`.
        retrieved: Old blocks that are repeated after all others, as one message of the user, behind
            the last cache mark and never in a system text.
        tokens: Of all that, tools included.
    """

    head: tuple[int, ...]
    summary: Summary | None
    rest: tuple[int, ...]
    cleared: frozenset[int]
    retrieved: tuple[int, ...]
    tokens: int

    @property
    def kept(self) -> tuple[int, ...]:
        """All blocks that stand at their own place."""
        return self.head + self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one call, and what is expected of it. Money is in 1e-12 USD.

    Attributes:
        reason: Why, in one line; empty where nothing changed.
        rewrite: Whether bytes that the last call sent are changed, which no cache survives.
        reused_tokens: Of the prompt, what the last call began with as well: a cache that is still
            warm has it.
        kept_tokens: Of the prompt.
        dropped_tokens: Of the whole history, what the prompt leaves out.
        rewrite_cost: What writing the changed part again costs above reading it, the making of a
            summary included.
        saving: What the change saves on every further call.
        retrieved_cost: What the retrieved blocks add to this call.
    """

    reason: str
    rewrite: bool
    reused_tokens: int
    kept_tokens: int
    dropped_tokens: int
    rewrite_cost: int
    saving: int
    retrieved_cost: int

    @property
    def break_even_calls(self) -> int | None:
        """After how many calls the change has paid; `None` where it never does."""
        return -(-self.rewrite_cost // self.saving) if self.saving > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A policy's answer for one call.

    Attributes:
        view: What the call is sent.
        state: What the session remembers.
        decision: What changed, and why.
    """

    view: View
    state: State
    decision: Decision
