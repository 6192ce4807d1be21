"""The order of a decision: forced route, guards, session, policies, default.

forced      the caller insists: nothing else is asked
guards      routes that cannot serve the query are out; a choice that is out moves up to the
            next stronger route that can serve it, never down
session     a pending tool call stays with its route; a warm cache of a stronger route is left
            for a cheaper one only where that pays, or at a free switch point; for a stronger one
            always. Where it would expire unused and be needed again, it is returned to in time.
            Where too few turns of a task want less than the default, its first turn stays there
policies    in order, the first with an opinion; one that fails means the default route
default     where no policy has an opinion
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias, cast

from farthing.errors import RoutingError
from farthing.flow import Flow
from farthing.frozen import quick
from farthing.prices import PriceBook
from farthing.routing.policy import Ask, AskingPolicy, Choice, Draft, Policy, Reply
from farthing.routing.query import Query, Session
from farthing.routing.routes import Route, refusals
from farthing.routing.switching import BreakEven, break_even

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_SCORES: Mapping[str, float] = MappingProxyType({})
_Leaving: TypeAlias = Mapping[str, BreakEven | None]
ORDER_VERSION = '1'
"""The edition of this order: it stands for the version where no policy decided."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which route serves a query, and all that led to it. It holds nothing of the query's text.

    Attributes:
        route: The route to serve it.
        policy: What decided: a policy's name, or `forced`, `session`, `guards`, `default`.
        version: The policy's version.
        reason: Why, in one line.
        wanted: The route that the policy chose, before guards and session.
        scores: What the policy measured.
        threshold: What it compared with.
        refused: The routes that cannot serve the query, and why.
        failed: Name of the policy that failed and the kind of its error.
        switch: The break-even of a switch that was weighed.
        draft: The accepted draft of a cascade; nothing more need be called.
    """

    route: str
    policy: str
    version: str = ORDER_VERSION
    reason: str
    wanted: str | None = None
    scores: Mapping[str, float] = field(default_factory=lambda: _NO_SCORES)
    threshold: float | None = None
    refused: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    failed: str | None = None
    switch: BreakEven | None = None
    draft: Draft | None = field(default=None, repr=False)

    @property
    def facts(self) -> dict[str, object]:
        """Numbers and names for the ledger's decision record; what is unknown is left out."""
        found: dict[str, object] = {
            'wanted': self.wanted,
            'scores': dict(self.scores) or None,
            'threshold': self.threshold,
            'refused': dict(self.refused) or None,
            'failed': self.failed,
            'switch_first': None if self.switch is None else self.switch.first,
            'switch_later': None if self.switch is None else self.switch.later,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Routes, policies and a default: it decides, and calls nothing itself. Share it freely.

    Attributes:
        routes: By name, the weakest first: a refused choice moves towards the end.
        policies: In the order in which they are asked.
        default: The route of a new conversation without an opinion, or where a policy fails.
        book: Prices, for weighing a switch.

    Raises:
        RoutingError: There is no route, a name differs from its key, or the default is unknown.
    """

    routes: Mapping[str, Route]
    policies: tuple[Policy | AskingPolicy, ...]
    default: str
    book: PriceBook

    def __post_init__(self) -> None:
        if self.default not in self.routes:
            raise RoutingError(
                f'`default` is {self.default!r}: expected one of {", ".join(self.routes)}'
            )
        for name, route in self.routes.items():
            if name != route.name:
                raise RoutingError(f'route {route.name!r} stands under the name {name!r}')

    def decide(self, query: Query, at: datetime) -> Flow[Ask, Reply, Decision]:
        """The route for `query`, as a flow: drive it with `farthing.flow.run` or `arun`.

        What a policy raises, or what answering its question raised, is recorded as `failed`.

        Raises:
            RoutingError: The forced route is none of ours.
        """
        if query.forced is not None:
            self._check(query.forced)
            return Decision(route=query.forced, policy='forced', reason='the caller insists')
        refused = refusals(query, self.routes)
        session = query.session
        if session is not None and session.route not in self.routes:
            session = None  # the routes were changed since: a new conversation for us
        if session is not None and session.pending_tool_call and session.route not in refused:
            return Decision(
                route=session.route,
                policy='session',
                reason='a pending tool call stays with its model',
                refused=refused,
            )
        held = None
        if session is not None and self._asks:
            # A draft, or a question to a model, is not paid for where its answer would not count.
            leaving = self._leaving(session, refused, at)
            held = session.route if self._holds(session, refused, leaving) else None
            out = {*refused, *(name for name, weighed in leaving.items() if not _pays(weighed))}
            query = replace(query, session=session, refused=frozenset(out))
        elif refused or session is not query.session:
            query = replace(query, session=session, refused=frozenset(refused))
        found = self._guarded((yield from self._chosen(query, held=held)), refused)
        return found if session is None else self._kept(found, session, refused, at)

    def _chosen(self, query: Query, *, held: str | None) -> Flow[Ask, Reply, Decision]:
        """What the policies want; the default where one fails.

        Without an opinion a conversation stays where it is, or returns there after a failure, and
        a new one begins at the default. One that is `held` by a route stays there where a policy
        would have to ask.
        """
        for policy in self.policies:
            if held is not None and _is_asking(policy):
                return Decision(
                    route=held,
                    policy='session',
                    reason='the cache is warm and no cheaper route would pay',
                )
            try:
                choice = yield from _choosing(policy, query)
                if choice is not None:
                    self._check(choice.route)
                    return _decided(policy, choice)
            except Exception as error:  # noqa: BLE001 - a user's call never fails for its router
                return Decision(
                    route=self.default,
                    policy='default',
                    reason=f'{policy.name} failed',
                    failed=f'{policy.name}: {type(error).__name__}',
                )
        session, reason = query.session, 'no policy has an opinion'
        if session is None or session.free in {'first_turn', 'sub_agent', 'new_thread'}:
            return Decision(route=self.default, policy='default', reason=reason)
        home = session.home or session.route
        home = home if home in self.routes else session.route
        return Decision(route=home, policy='session', reason=reason)

    def _guarded(self, found: Decision, refused: Mapping[str, str]) -> Decision:
        """The decision, moved up to a route that can serve the query."""
        route, reason = found.route, found.reason
        if not refused:
            return found
        if route in refused:
            names = list(self.routes)
            above = names[names.index(route) + 1 :]
            able = [name for name in (*above, self.default, *names[::-1]) if name not in refused]
            # Where no route seems able, the one that was wanted is called: its own error says why.
            route = able[0] if able else route
            reason = f'{reason}; {found.route} {refused[found.route]}'
        draft = found.draft if route == found.route else None
        return replace(found, route=route, reason=reason, refused=refused, draft=draft)

    def _kept(
        self, found: Decision, session: Session, refused: Mapping[str, str], at: datetime
    ) -> Decision:
        """The decision, unless it leaves the warm cache of a stronger route and does not pay."""
        if session.free not in {None, 'first_turn'} or found.draft is not None:
            return found
        names = list(self.routes)
        kept: tuple[int, str, BreakEven] | None = None
        for name in names[names.index(found.route) + 1 :]:
            if name in refused or not (name == session.route or session.warm_tokens.get(name)):
                continue
            weighed = self._weighed(session, name, found.route, at)
            if weighed is None:
                if name == session.route and session.free is None:
                    return _staying(found, name, None, 'its price is unknown')
            elif not weighed.pays:
                if kept is None or weighed.loss > kept[0]:
                    kept = weighed.loss, name, weighed
            elif name == session.route:
                found = replace(found, switch=weighed)
        if kept is None:
            return found
        why = 'leaving its cache' if session.free is None else 'a second cache beside its own'
        return _staying(found, kept[1], kept[2], f'{why} does not pay')

    def _leaving(self, session: Session, refused: Mapping[str, str], at: datetime) -> _Leaving:
        """What leaving a warm cache for each weaker route comes to; empty where leaving is free."""
        if session.free is not None or session.route in refused:
            return {}
        names = list(self.routes)
        weaker = names[: names.index(session.route)]
        return {
            name: self._weighed(session, session.route, name, at)
            for name in weaker
            if name not in refused
        }

    def _weighed(self, session: Session, old: str, new: str, at: datetime) -> BreakEven | None:
        return break_even(session, self.routes[old], self.routes[new], self.book, at)

    @property
    def _asks(self) -> bool:
        return any(map(_is_asking, self.policies))

    def _holds(self, session: Session, refused: Mapping[str, str], leaving: _Leaving) -> bool:
        """Whether no policy need be asked: nothing is stronger, and nothing weaker would pay."""
        if session.free is not None:
            return False
        strongest = [name for name in self.routes if name not in refused][-1:]
        return strongest == [session.route] and not any(map(_pays, leaving.values()))

    def _check(self, route: str) -> None:
        if route not in self.routes:
            raise RoutingError(f'no route {route!r}; known: {", ".join(self.routes)}')


def _choosing(policy: Policy | AskingPolicy, query: Query) -> Flow[Ask, Reply, Choice | None]:
    if _is_asking(policy):
        return (yield from cast('AskingPolicy', policy).choosing(query))
    return cast('Policy', policy).choose(query)


def _is_asking(policy: Policy | AskingPolicy) -> bool:
    # An `isinstance` of a protocol would take longer than most rules.
    return hasattr(policy, 'choosing')


def _pays(weighed: BreakEven | None) -> bool:
    """Whether a switch pays; where a price is unknown it does not."""
    return weighed is not None and weighed.pays


def _staying(found: Decision, route: str, switch: BreakEven | None, why: str) -> Decision:
    return replace(
        found,
        route=route,
        draft=None,
        switch=switch,
        reason=f'{found.reason}; {route} serves it, for {why}',
    )


def _decided(policy: Policy | AskingPolicy, choice: Choice) -> Decision:
    return Decision(
        route=choice.route,
        policy=policy.name,
        version=policy.version,
        reason=choice.reason,
        wanted=choice.route,
        scores=choice.scores,
        threshold=choice.threshold,
        draft=choice.draft,
    )
