"""Recorded sessions routed again: what a driver would have known at each turn, and what it costs.

The tiers that turns want are given. A `Bill` prices each turn; it keeps the caches of both models,
and knows nothing of how routes are chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from farthing.flow import run
from farthing.routing.decide import Router
from farthing.routing.policy import Choice
from farthing.routing.query import Query, Session
from farthing.routing.routes import LIFE_S
from farthing.routing.switching import outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A recorded session.

    Attributes:
        before: Tokens before each message, tools among them, and of all messages.
        turns: Positions of the answers, by turn: from a request of the user to the next.
        asked: Positions of the request that begins each turn.
    """

    before: tuple[int, ...]
    turns: tuple[tuple[int, ...], ...]
    asked: tuple[int, ...]

    @classmethod
    def of(cls, kinds: Sequence[str], tokens: Sequence[int], *, fixed_tokens: int) -> 'Talk':
        """The session of these messages; turns that no answer followed are left out.

        Args:
            kinds: `system`, `user`, `assistant`, `tool_call` or `tool_result`.
            tokens: Tokens of each message.
            fixed_tokens: What each call sends besides.
        """
        before = [fixed_tokens]
        for count in tokens:
            before.append(before[-1] + count)
        starts = [
            at
            for at, kind in enumerate(kinds)
            if kind == 'user' and (not at or kinds[at - 1] != 'user')
        ]
        found = [
            (start, answers)
            for start, stop in pairwise([*starts, len(kinds)])
            if (
                answers := tuple(
                    at for at in range(start, stop) if kinds[at] in {'assistant', 'tool_call'}
                )
            )
        ]
        return cls(
            before=tuple(before),
            turns=tuple(answers for _, answers in found),
            asked=tuple(start for start, _ in found),
        )

    def output(self, at: int) -> int:
        """Tokens of an answer."""
        return self.before[at + 1] - self.before[at]


class Bill(Protocol):
    """Prices the turns of one session, in order."""

    @property
    def begins_s(self) -> float:
        """When the next turn begins, in seconds."""

    @property
    def ended_s(self) -> float:
        """When the last call of the latest turn was made."""

    def turn(self, number: int, route: str) -> int:
        """Serve a turn; its cost in 1e-12 USD."""


@dataclass(slots=True)
class Usual:
    """What a ledger tells of a task: sums over the sessions that have ended."""

    sessions: int = 0
    turns: int = 0
    light: int = 0
    calls: int = 0
    output: int = 0
    added: int = 0
    took_s: float = 0.0

    def learn(self, talk: Talk, light: Sequence[bool], *, took_s: float) -> None:
        """Add a session whose turns wanted the weaker route so, and which took so long."""
        answers = [at for turn in talk.turns for at in turn]
        if answers:
            self.sessions += 1
            self.turns += len(talk.turns)
            self.took_s += took_s
            self.light += sum(light)
            self.calls += len(answers)
            self.output += sum(map(talk.output, answers))
            self.added += talk.before[-1] - talk.before[answers[0]]


@dataclass(slots=True)
class Known:
    """What a driver knows of a session: what it has sent where, and when, and what is usual."""

    talk: Talk
    usual: Usual
    router: Router
    route: str
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    turns: int = 0

    def served(self, number: int, route: str, *, ended_s: float) -> None:
        """Take note of a turn."""
        self.seen[route] = (self.talk.before[self.talk.turns[number][-1]], ended_s)
        self.route, self.turns = route, number + 1

    def session(self, light: Sequence[bool], *, wants_weak: bool, now_s: float) -> Session | None:
        """The session before a turn; `None` where nothing is known of any.

        Args:
            light: Whether the turns so far wanted the weaker route.
            wants_weak: Whether this one does.
            now_s: When it begins.
        """
        usual, talk = self.usual, self.talk
        turns = usual.turns + self.turns
        if not turns:
            return None
        past = [at for turn in talk.turns[: self.turns] for at in turn]
        first = talk.before[talk.turns[0][0]]
        prefix = talk.before[past[-1] + 1] if past else first
        output = (usual.output + sum(map(talk.output, past))) / turns
        added = (usual.added + prefix - first) / turns
        share = usual.light / usual.turns if usual.turns else None
        expected = outlook(
            self.turns,
            sum(light) if wants_weak else self.turns,
            usual_turns=usual.turns / usual.sessions if usual.sessions else None,
            usual_share=share if wants_weak else 1.0,
            usual_seen=usual.turns,
        )
        idle_s = {name: now_s - at for name, (_, at) in self.seen.items()}
        return Session(
            id='simulated',
            route=self.route,
            prefix_tokens=prefix,
            warm_tokens={
                name: tokens
                for name, (tokens, _) in self.seen.items()
                if idle_s[name] < LIFE_S[self.router.routes[name].cache_writes]
            },
            new_tokens=max(round(added - output), 0),
            output_tokens=round(output),
            calls=(usual.calls + len(past)) / turns,
            again=expected.again,
            again_least=expected.again_least,
            turns_left=expected.turns_left,
            turns=self.turns,
            turn_s=(usual.took_s + now_s) / turns,
            free=None if self.turns else 'first_turn',
            idle_s=idle_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The policy that wants what is given: a query's text is the route."""

    name: str = 'given'
    version: str = '1'

    def choose(self, query: Query) -> Choice:
        """The route."""
        return Choice(route=query.text, reason='given')


def fixed(talk: Talk, bill: Bill, routes: Sequence[str]) -> int:
    """What a session costs whose turns are served so, in 1e-12 USD."""
    return sum(bill.turn(number, route) for number, route in enumerate(routes[: len(talk.turns)]))


def aware(
    talk: Talk, bill: Bill, router: Router, light: Sequence[bool], usual: Usual, at: datetime
) -> int:
    """What it costs under a router, which learns of each turn when that comes.

    Args:
        talk: The session.
        bill: Prices it.
        router: Two routes, the weaker first, and the policy `Given`.
        light: Whether each turn wants the weaker route.
        usual: What is known of earlier sessions.
        at: The day of the prices.
    """
    weak, strong = router.routes
    known, total = Known(talk, usual, router, strong), 0
    for number, wants_weak in enumerate(light):
        session = known.session(light[:number], wants_weak=wants_weak, now_s=bill.begins_s)
        query = Query(text=weak if wants_weak else strong, session=session)
        route = run(router.decide(query, at), str).route
        total += bill.turn(number, route)
        known.served(number, route, ended_s=bill.ended_s)
    return total
