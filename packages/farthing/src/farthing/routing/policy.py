"""What a policy is: it looks at a query and chooses a route, or has no opinion.

A plain policy answers at once. One that needs a model's word or an answer to judge yields what it
wants to know, as a flow; the driver sends it and bills it. A policy that raises means the default
route, never a failed call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, TypeAlias

from farthing.flow import Flow
from farthing.frozen import quick
from farthing.routing.query import Query

_NO_SCORES: Mapping[str, float] = MappingProxyType({})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a policy chose, and why.

    Attributes:
        route: The chosen route's name.
        reason: Why, in one line that holds nothing of the query's text.
        scores: What it measured, by name.
        threshold: What the score was compared with; `None` where nothing was.
        draft: The answer that is already there, where a cascade accepted its draft.
    """

    route: str
    reason: str
    scores: Mapping[str, float] = field(default_factory=lambda: _NO_SCORES)
    threshold: float | None = None
    draft: 'Draft | None' = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Asks the policy's small model; the driver answers with its text.

    The driver posts the call with the purpose `routing`. A question about one session and one user
    turn has one answer: the driver may keep it in memory under `key`.

    Attributes:
        prompt: What is sent.
        key: Names the session and turn; `None` where the answer must not be kept.
        model: The framework's model to ask, handed on unread.
    """

    prompt: str = field(repr=False)
    key: str | None = None
    model: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Asks a route for its answer to the query; the driver answers with a `Draft`.

    Each attempt is a call like any other: it is posted and billed, accepted or not.
    """

    route: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A route's answer, as far as a check may look at it.

    Attributes:
        text: Its text.
        tool_calls: Name and arguments of each tool call; `None` for arguments that are no JSON.
        complete: Whether it ended by itself, not at a limit.
        answer: The framework's own answer, handed on unread.
    """

    text: str = field(repr=False)
    tool_calls: tuple[tuple[str, Mapping[str, object] | None], ...] = field(default=(), repr=False)
    complete: bool = True
    answer: object = field(default=None, repr=False)


Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Embeds texts: one vector each."""
Ask: TypeAlias = Question | Attempt
Reply: TypeAlias = str | Draft


class Named(Protocol):
    """What stands in the record: which policy decided, and which edition of it."""

    @property
    def name(self) -> str:
        """Such as `rules`."""

    @property
    def version(self) -> str:
        """Changes whenever the policy could decide differently."""


class Policy(Named, Protocol):
    """A policy that answers at once."""

    def choose(self, query: Query) -> Choice | None:
        """The route it chooses; `None` is no opinion, and the next policy is asked."""


class AskingPolicy(Named, Protocol):
    """A policy that asks before it answers."""

    def choosing(self, query: Query) -> Flow[Ask, Reply, Choice | None]:
        """The route it chooses; `None` is no opinion, and the next policy is asked."""
