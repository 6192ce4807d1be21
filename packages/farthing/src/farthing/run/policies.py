"""Policies that know their routes only when a router is made, and those that cannot be loaded.

A policy that cannot be loaded is no reason to refuse to start: it fails at each call, so the
default route serves, and the ledger says why.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

from farthing import routing
from farthing.attribution import attributed
from farthing.errors import ArtefactError, InputError
from farthing.ledger import Ledger
from farthing.meter.shared import Source, meter
from farthing.routing import AskingPolicy, Choice, Policy, Query, Route
from farthing.routing.pair import MARGIN
from farthing.routing.policy import Embed

_log = logging.getLogger('farthing')
_EMBEDS = ('embed_documents', 'get_text_embedding_batch')


@runtime_checkable
class Knows(Protocol):
    """A policy that is told its routes."""

    def knowing(self, routes: Sequence[str]) -> 'Policy | AskingPolicy':
        """The policy that chooses among these routes, weakest first."""


AnyPolicy: TypeAlias = Policy | AskingPolicy | Knows


def ready(
    policy: AnyPolicy | Sequence[AnyPolicy], routes: Mapping[str, Route]
) -> tuple[Policy | AskingPolicy, ...]:
    """The policies, told of the routes; one alone need not stand in a list.

    Raises:
        InputError: One is no policy.
    """
    given = policy if isinstance(policy, (list, tuple)) else (policy,)
    known = [one.knowing([*routes]) if isinstance(one, Knows) else one for one in given]
    for one in known:
        if not (hasattr(one, 'choose') or hasattr(one, 'choosing')):
            raise InputError(
                f'`policy` has {one!r}: expected policies such as Rules, TaskTable or LLMClassifier'
            )
    return tuple(cast('list[Policy | AskingPolicy]', known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A policy that could not be loaded: it fails at every call."""

    name: str
    error: Exception
    version: str = 'unread'

    def choose(self, query: Query) -> Choice | None:  # noqa: ARG002 - a policy's signature
        """Raises what was raised when it was loaded."""
        raise self.error


class TaskTable(routing.TaskTable):
    """See `farthing.routing.TaskTable`; read from a ledger, it takes its routes from the router."""

    @classmethod
    def from_ledger(  # type: ignore[override] # the router tells the rest
        cls,
        ledger: Source = None,
        *,
        weak: str | None = None,
        strong: str | None = None,
        margin: float = MARGIN,
        least_labels: int = 20,
    ) -> 'TasksOfLedger':
        """The gaps by graded pairs of the ledger, as they are when the router is made.

        Args:
            ledger: An open ledger, its address, or `None` as for every adapter.
            weak: The weaker route; by default the router's weakest.
            strong: The stronger one; by default the next after it.
            margin: The gap that is still accepted, in the unit of the scores.
            least_labels: Pairs that a task needs.
        """
        return TasksOfLedger(
            ledger=ledger, weak=weak, strong=strong, margin=margin, least_labels=least_labels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksOfLedger:
    """A task table that is read when its routes are known."""

    ledger: Source
    weak: str | None
    strong: str | None
    margin: float
    least_labels: int

    def knowing(self, routes: Sequence[str]) -> Policy:
        """The table; where the ledger cannot be read, a policy that says so at each call."""
        weak, strong = _ends(self.weak, self.strong, routes)
        try:
            return routing.TaskTable.from_ledger(
                cast('Ledger', meter(self.ledger).ledger),
                weak=weak,
                strong=strong,
                margin=self.margin,
                least_labels=self.least_labels,
            )
        except OSError as error:
            return _unusable('task_table', error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A router that `farthing router calibrate` wrote, loaded when its routes are known."""

    path: str | Path
    weak: str | None
    strong: str | None
    embed: Embed | None

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        weak: str | None = None,
        strong: str | None = None,
        embed: Any = None,
    ) -> 'Trained':
        """The policy in a file.

        Args:
            path: What `farthing router calibrate --out` wrote.
            weak: The route for low scores; by default the weak column's name, where that is a
                route, else the weakest route.
            strong: The route for high ones; likewise, else the next after the weak one.
            embed: The embedding that it was calibrated with: a function, or a framework's object.
        """
        return cls(path=path, weak=weak, strong=strong, embed=embedding_of(embed))

    def knowing(self, routes: Sequence[str]) -> Policy:
        """The policy; where the file is damaged or of another version, one that always fails."""
        try:
            weak, strong = _ends(self.weak, self.strong, routes)
            found = routing.Trained.load(self.path, weak=weak, strong=strong, embed=self.embed)
        except ArtefactError as error:
            return _unusable('trained', error)
        named = found.router.weak, found.router.strong
        if self.weak is self.strong is None and {*named} <= {*routes}:
            return routing.Trained(
                router=found.router, weak=named[0], strong=named[1], embed=self.embed
            )
        return found


def Embedding(  # noqa: N802 - it makes what it is called after
    examples: Mapping[str, Sequence[str]], embed: Any, *, least: float = 0.3, nearest: int = 3
) -> Policy:
    """A policy of examples: the route whose examples are nearest in meaning.

    Args:
        examples: Texts by the route that they need.
        embed: A function from texts to vectors, or a framework's embedding object.
        least: The likeness (cosine) below which there is no opinion.
        nearest: How many of a route's examples are averaged.

    Raises:
        InputError: There is no route, or one without an example, or nothing that embeds.
    """
    function = embedding_of(embed)
    if function is None:
        raise InputError('`embed` is None: expected a function from texts to vectors')
    return routing.Embedding.of(examples, function, least=least, nearest=nearest)


def embedding_of(embed: Any) -> Embed | None:
    """The function that embeds texts; `None` stays.

    Raises:
        InputError: It is neither a function nor an object that embeds.
    """
    if embed is None:
        return None
    methods = [name for name in _EMBEDS if hasattr(embed, name)]
    if methods or callable(embed):
        function = getattr(embed, methods[0]) if methods else embed

        def embedded(texts: Sequence[str]) -> Any:
            with attributed(purpose='routing'):
                return function(list(texts))

        return embedded
    raise InputError(f'`embed` is {type(embed).__name__}: expected a function or an embedding')


def _ends(weak: str | None, strong: str | None, routes: Sequence[str]) -> tuple[str, str]:
    """The weakest route and the next one, where nothing else was said."""
    weak = weak or next((one for one in routes if one != strong), routes[0])
    if strong is None:
        after = routes[routes.index(weak) + 1 :] if weak in routes else routes
        strong = after[0] if after else weak
    if unknown := {weak, strong} - {*routes}:
        raise InputError(
            f'a policy names the route {min(unknown)!r}: expected one of {", ".join(routes)}'
        )
    return weak, strong


def _unusable(name: str, error: Exception) -> Unusable:
    _log.warning('farthing: the policy %r cannot be used, so the default serves: %s', name, error)
    return Unusable(name=name, error=error)
