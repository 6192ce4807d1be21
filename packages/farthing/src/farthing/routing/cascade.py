"""A cheap draft first, a check, and the strong model where the check fails.

What a router cannot see before the call, a check sees after it; the price is the draft where it is
thrown away. With costs `c_w` of a draft, `c_v` of its check and `c_s` of the strong call, and a
share `e` of drafts that are refused, it pays where `c_w + c_v + e * c_s < c_s`.

A draft must be whole before it can be checked: a driver that streams either holds the draft back
until it is accepted, or does not cascade streamed calls. It says which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import loads
from typing import Any

from farthing.errors import RoutingError
from farthing.flow import Flow
from farthing.routing.policy import Ask, Attempt, Choice, Draft, Question, Reply
from farthing.routing.query import Query

Check = Callable[[Query, Draft], str | None]
"""Why a draft is refused, in a few words without its text; `None` accepts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Asks the policy's small model whether a draft answers the query.

    Attributes:
        instruction: What a good answer is, in the user's words.
        model: The framework's model to ask, handed on unread.
    """

    instruction: str
    model: object = field(default=None, repr=False, compare=False)

    def question(self, query: Query, draft: Draft) -> Question:
        """What the judge is asked; it answers `yes` or `no`."""
        return Question(
            prompt=(
                f'{self.instruction}\n\nRequest:\n{query.text}\n\nAnswer:\n{draft.text}\n\n'
                'Is the answer good enough? Answer with one word, yes or no.'
            ),
            model=self.model,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """A policy that tries the weak route and keeps its answer where all checks accept it.

    Attributes:
        weak: The route of the draft.
        strong: The route where the draft is refused.
        checks: Tried in order; `complete`, `is_json` and `tool_arguments` are here, a user's own
            is any function of query and draft.
        judge: Asked last, where the checks accept; `None` asks nobody.
        version: Changes whenever the checks change: functions have no version of their own, so a
            user who edits one says so here.
        name: As it stands in the decision record.

    Raises:
        RoutingError: There is neither a check nor a judge.
    """

    weak: str
    strong: str
    checks: tuple[Check, ...]
    judge: Judge | None = None
    version: str = '1'
    name: str = 'cascade'

    def __post_init__(self) -> None:
        if not self.checks and self.judge is None:
            raise RoutingError('a cascade without a check accepts every draft: route to the weak')

    def choosing(self, query: Query) -> Flow[Ask, Reply, Choice | None]:
        """The weak route with its draft, or the strong one.

        Raises:
            RoutingError: An ask was answered with something else than was asked for.
        """
        if self.weak in query.refused:
            return Choice(route=self.strong, reason='no draft: the weak route is out')
        draft = yield Attempt(route=self.weak)
        if not isinstance(draft, Draft):
            raise RoutingError(f'an attempt was answered with {type(draft).__name__}, not a draft')
        for check in self.checks:
            if (refusal := check(query, draft)) is not None:
                return Choice(route=self.strong, reason=f'draft refused: {refusal}')
        if self.judge is not None:
            reply = yield self.judge.question(query, draft)
            word = reply.strip().strip('.!"\'`*').lower() if isinstance(reply, str) else ''
            if word not in {'yes', 'no'}:
                raise RoutingError('the judge answered neither yes nor no')
            if word == 'no':
                return Choice(route=self.strong, reason='draft refused: the judge says no')
        return Choice(route=self.weak, reason='draft accepted', draft=draft)


def pays(*, draft: int, check: int, strong: int, refused: float) -> bool:
    """Whether a cascade is cheaper than the strong route alone.

    Args:
        draft: Cost of a draft in 1e-12 USD.
        check: Cost of checking it in 1e-12 USD.
        strong: Cost of the strong call in 1e-12 USD.
        refused: Share of drafts that are refused, false alarms included.
    """
    return draft + check + refused * strong < strong


def complete(query: Query, draft: Draft) -> str | None:  # noqa: ARG001 - a check's signature
    """Accepts a draft that ended by itself and says something."""
    if not draft.complete:
        return 'it was cut off'
    return None if draft.text.strip() or draft.tool_calls else 'it is empty'


def is_json(query: Query, draft: Draft) -> str | None:  # noqa: ARG001 - a check's signature
    """Accepts a draft whose text is JSON."""
    try:
        loads(draft.text)
    except ValueError:
        return 'it is no JSON'
    return None


def tool_arguments(tools: Mapping[str, Mapping[str, Any]]) -> Check:
    """Accepts a draft whose tool calls name known tools and give what they require.

    Args:
        tools: JSON schema of each tool's arguments, by the tool's name. Names and presence are
            checked; values are the tool's own matter.
    """

    def check(query: Query, draft: Draft) -> str | None:  # noqa: ARG001 - a check's signature
        for name, arguments in draft.tool_calls:
            if name not in tools:
                return 'it calls an unknown tool'
            if arguments is None:
                return 'its tool arguments are no JSON'
            if _misses(tools[name], arguments):
                return 'its tool arguments do not fit'
        return None

    return check


def _misses(schema: Mapping[str, Any], arguments: Mapping[str, object]) -> bool:
    required: Sequence[str] = schema.get('required', ())
    known: Mapping[str, Any] = schema.get('properties', {})
    closed = schema.get('additionalProperties') is False
    return not {*required} <= {*arguments} or (closed and not {*arguments} <= {*known})
