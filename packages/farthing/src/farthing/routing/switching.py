"""Whether leaving a warm prompt cache for a cheaper route pays, now and for the turns to come.

A switch makes the new model write a prefix that the old one has cheaply in its cache, each later
turn may be cheaper, and what the old model has not seen meanwhile it must write when a turn wants
it again. With constant rates, a prefix of P tokens of which W_B are warm at B, n new tokens and o
output tokens a turn, it pays after m further turns in a row that want no more than B, where

    first = (w_B - r_A)(P - W_B) + (r_B - r_A) W_B - (w_A - w_B) n - (out_A - out_B) o
    later = (r_A - r_B) P + (w_A - w_B) n + (out_A - out_B) o
    first <= m later

Where only a share of the turns to come wants no more than B, both ways to serve this turn are
compared with all that follows from each of them (`farthing.routing.ahead`). A switch evicts
nothing: what is warm at the other model stays warm until it expires.

Such a forecast errs, and a second cache that is begun and then given up only costs. So a cache is
left where light turns are frequent enough for the whole conversation to become cheaper by `LEAST`,
even if they are as rare as what was seen of them allows.
"""

from dataclasses import dataclass
from datetime import datetime
from math import exp, floor, log, sqrt
from typing import NamedTuple

from farthing.prices import PriceBook
from farthing.routing.ahead import Ahead, Cached, Turn, ahead
from farthing.routing.query import Session
from farthing.routing.routes import LIFE_S, Rates, Route

USUAL_WEIGHT = 50
"""What is usual weighs as much as so many turns of the conversation itself."""
LEAST = 0.03
"""The share of a conversation's cost that a second cache must save: forecasts err, and without it
some recorded sessions (`bench.routing_sessions`) became dearer than the stronger model alone."""
_SURE = 2.0  # standard errors: what is rarer than their lower end is so in 1 of 40 cases
_FAR = 20  # turns: what comes later says little of the next one
_LONGEST = 100  # turns of a conversation that are looked at in full
_STEP, _SHARES = log(1.2), 40  # sizes are told apart by a fifth, shares by a fortieth, no finer


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """What a switch costs at first and saves later, in 1e-12 USD.

    Attributes:
        first: What this turn costs more on the new route; below 0 it is cheaper at once.
        later: What each further turn on the new route saves; 0 or less never pays `first` back.
        loss: What the switch is expected to lose, with all that follows; below 0 it gains.
        saves: The share of such a conversation's cost that a second cache saves at least; `None`
            where nobody knows how sure the expectation is.
    """

    first: int
    later: int
    loss: int
    saves: float | None = None

    @property
    def turns(self) -> float | None:
        """The turns in a row, this one included, from which it pays; `None` is never."""
        if self.first <= 0:
            return 1.0
        return None if self.later <= 0 else 1 + self.first / self.later

    @property
    def pays(self) -> bool:
        """Whether to switch."""
        return self.loss <= 0 and (self.saves is None or self.saves >= LEAST)


class Outlook(NamedTuple):
    """What is expected of the turns to come, as `Session` has it."""

    again: float
    again_least: float | None
    turns_left: float


def outlook(
    turns: int,
    alike: int,
    *,
    usual_turns: float | None = None,
    usual_share: float | None = None,
    usual_seen: int = 0,
) -> Outlook:
    """What the conversation so far, and others like it, let expect of the turns to come.

    Args:
        turns: Turns before this one.
        alike: Those of them that wanted no more than this one.
        usual_turns: Turns of such a conversation in all, such as the mean of the task; `None` is
            unknown, and then as many are expected as there were.
        usual_share: The share of turns in such conversations that want no more than this one; it
            weighs as much as `USUAL_WEIGHT` turns. `None` is unknown: one half, for two turns, and
            what is sure is unknown, too.
        usual_seen: The turns of which that is the share.
    """
    if usual_share is None:
        again = (alike + 1) / (turns + 2)
    else:
        again = (alike + USUAL_WEIGHT * usual_share) / (turns + USUAL_WEIGHT)
    left = max(turns if usual_turns is None else usual_turns - turns - 1, 1.0)
    least = None
    if usual_share is not None:
        least = _at_least(alike + usual_seen * usual_share, turns + usual_seen)
    return Outlook(again, least, again * left)


def _at_least(alike: float, turns: int) -> float:
    """The lower end of a share of which so many turns were seen (Wilson's interval)."""
    if not turns:
        return 0.0
    share, spread = alike / turns, _SURE**2 / turns
    around = sqrt(share * (1 - share) * spread + spread**2 / 4)
    return (share + spread / 2 - around) / (1 + spread)


def break_even(
    session: Session, old: Route, new: Route, book: PriceBook, at: datetime
) -> BreakEven | None:
    """What leaving `old` for `new` costs and saves.

    Args:
        session: The conversation; the prefix that is warm at `old` is what it says, as at `new`.
        old: The route whose cache would be left.
        new: The cheaper route.
        book: The prices.
        at: When.

    Returns:
        `None` where a price or the size of a turn is unknown.
    """
    added, output = session.new_tokens, session.output_tokens
    if added is None or output is None:
        return None
    prompt = session.prefix_tokens + added
    left, joined = old.rates(book, at, prompt), new.rates(book, at, prompt)
    if left is None or joined is None:
        return None
    here, there = (session.warm_tokens.get(one.name, 0) for one in (old, new))
    first = _turn(joined, prompt, output, there) - _turn(left, prompt, output, here)
    whole = session.prefix_tokens
    later = _turn(left, prompt, output, whole) - _turn(joined, prompt, output, whole)
    strong, weak = _cached(session, old, left), _cached(session, new, joined)
    light, turns = _to_come(session)
    turn, near = _like(session, light), min(turns, _FAR)
    to_come = _ahead(strong, weak, session.prefix_tokens, turn, near)
    loss = first - (session.calls - 1) * (left.read - joined.read) * prompt
    loss += to_come.after_weak[_unused(session, old, strong)]
    loss -= to_come.after_strong[_unused(session, new, weak)]
    saves = _saves(session, strong, weak, turns)
    return BreakEven(first=first, later=later, loss=round(loss), saves=saves)


def _turn(rates: Rates, prompt: int, output: int, warm: int) -> int:
    """What a turn of one call costs: it writes what is not warm."""
    return rates.read * warm + rates.write * (prompt - warm) + rates.output * output


def _to_come(session: Session) -> tuple[float, float]:
    """The chance that a turn to come wants no more than this one, and how many come."""
    again, alike = session.again, session.turns_left
    if again is None:
        return (0.0, 1.0) if alike is None else (1.0, alike)
    return (again, alike / again) if alike is not None and again else (again, 1.0)


def _saves(session: Session, strong: Cached, weak: Cached, turns: float) -> float | None:
    """What a second cache saves of a conversation like this one, from its beginning."""
    if session.again_least is None:
        return None
    turn = _like(session, floor(session.again_least * _SHARES) / _SHARES)
    began = max(session.prefix_tokens - session.turns * turn.added, 0)
    return _ahead(strong, weak, began, turn, min(session.turns + turns, _LONGEST)).saves


def _like(session: Session, light: float) -> Turn:
    """A turn to come of this conversation."""
    added, output = session.new_tokens or 0, session.output_tokens or 0
    return Turn(light=light, added=added + output, output=output, calls=session.calls)


def _ahead(strong: Cached, weak: Cached, prefix: int, turn: Turn, turns: float) -> Ahead:
    """The same for all conversations of about that size, so that it is known at most turns."""
    like = Turn(
        light=round(turn.light * _SHARES) / _SHARES,
        added=_rough(turn.added),
        output=_rough(turn.output),
        calls=turn.calls if turn.calls == 1 else exp(round(log(turn.calls) / _STEP) * _STEP),
    )
    return ahead(strong, weak, _rough(prefix), like, round(turns))


def _rough(count: int) -> int:
    return round(exp(round(log(count) / _STEP) * _STEP)) if count else 0


def _cached(session: Session, route: Route, rates: Rates) -> Cached:
    life_s = LIFE_S[route.cache_writes]
    life = min(int(life_s // session.turn_s), _FAR) if session.turn_s else _FAR
    return Cached(rates, life)


def _unused(session: Session, route: Route, cache: Cached) -> int:
    """The turns since a route's cache was used, after this turn on another route."""
    if not session.warm_tokens.get(route.name):
        return cache.life
    if not session.turn_s:
        return min(1, cache.life)
    left_s = LIFE_S[route.cache_writes] - session.idle_s.get(route.name, 0.0)
    return min(max(cache.life - int(left_s // session.turn_s), 1), cache.life)
