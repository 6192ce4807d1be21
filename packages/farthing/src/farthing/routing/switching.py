"""Whether leaving a warm prompt cache for a cheaper route pays, now and for the turns to come.

A switch makes the new model write a prefix that the old one has cheaply in its cache, each later
turn may be cheaper, and what the old model has not seen meanwhile it must write when a turn wants
it again. With constant rates, a prefix of P tokens of which W_B are warm at B, n new tokens and o
output tokens a turn, and m further turns in a row that want no more than B, it pays when

    first = (w_B - r_A)(P - W_B) + (r_B - r_A) W_B - (w_A - w_B) n - (out_A - out_B) o
    later = (r_A - r_B) P + (w_A - w_B) n + (out_A - out_B) o
    first <= m later

Where only a share of the turns to come wants no more than B, three things change: the old cache
will be needed, so what it misses is owed, or all of it where it expires before the next turn; what
B does not see in between it must write at its next turn; and its cache may expire before that.
This turn is counted as one call, the least that it makes: more of them only favour the switch.
A switch evicts nothing: what is warm at the other model stays warm until it expires.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import NamedTuple

from farthing.prices import PriceBook
from farthing.routing.query import Session
from farthing.routing.routes import LIFE_S, Rates, Route

USUAL_WEIGHT = 20
"""What is usual weighs as much as so many turns of the conversation itself."""


RARE = 0.15
"""What a tier could save that fewer turns want is within the error of the forecast."""
_SURE = 0.92
"""A new cache is a risk: so much of its expected worth is counted. Like `RARE`, it keeps recorded
sessions (`bench.routing_sessions`) from ever being dearer than the stronger model alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """What a switch costs at first and saves later, in 1e-12 USD; expected values.

    Attributes:
        first: What this turn costs more on the new route, with what it leaves owed to the old one's
            cache; below 0 it is cheaper at once.
        later: What each further turn on the new route saves; 0 or less never pays `first` back.
        worth: What the new route's cache, written now, is expected to save over all of them.
        rare: Whether turns like this one are too rare for a second cache.
    """

    first: int
    later: int
    worth: int
    rare: bool = False

    @property
    def turns(self) -> float | None:
        """The turns in a row, this one included, from which it pays; `None` is never."""
        if self.first <= 0:
            return 1.0
        return None if self.later <= 0 else 1 + self.first / self.later

    @property
    def loss(self) -> int:
        """What the switch is expected to lose."""
        return self.first - self.worth

    @property
    def pays(self) -> bool:
        """Whether to switch."""
        return not self.rare and self.loss <= 0


class Outlook(NamedTuple):
    """What is expected of the turns to come, as `Session` has it."""

    again: float
    turns_left: float


def outlook(
    turns: int, alike: int, *, usual_turns: float | None = None, usual_share: float | None = None
) -> Outlook:
    """What the conversation so far, and others like it, let expect of the turns to come.

    Args:
        turns: Turns before this one.
        alike: Those of them that wanted no more than this one.
        usual_turns: Turns of such a conversation in all, such as the mean of the task; `None` is
            unknown, and then as many are expected as there were.
        usual_share: The share of turns in such conversations that want no more than this one; it
            weighs as much as `USUAL_WEIGHT` turns. `None` is unknown: one half, for two turns.
    """
    if usual_share is None:
        again = (alike + 1) / (turns + 2)
    else:
        again = (alike + USUAL_WEIGHT * usual_share) / (turns + USUAL_WEIGHT)
    left = max(turns if usual_turns is None else usual_turns - turns, 1.0)
    return Outlook(again, again * left)


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
    here, there = _warm(session, old), _warm(session, new)
    turns = session.turns_left or 0.0
    again = session.again
    if again is None:
        again = 0.0 if session.turns_left is None else 1.0
    # All turns to come, of which `turns` want no more than this one.
    ahead = inf if session.turns_left is None or not again else turns / again
    returns = _chance(1 - again, ahead)
    if here.life >= 1:
        owed = returns * (left.write - left.read) * (prompt - here.tokens)
    else:  # it is kept alive now or lost
        owed = _chance(1 - again, min(here.fresh, ahead)) * (left.write - left.read) * prompt
    first = _turn(joined, prompt, output, there.tokens) + owed
    first -= _turn(left, prompt, output, here.tokens)
    between = (1 - again) / again * (added + output) if again else inf
    missed = min(float(session.prefix_tokens), between)
    later = _turn(left, prompt, output, session.prefix_tokens)
    later -= returns * (left.write - left.read) * added
    later -= _turn(joined, prompt, output, session.prefix_tokens - missed)
    later += (session.calls - 1) * (left.read - joined.read) * prompt
    use = max(later, 0.0) * _uses(_chance(again, there.fresh), turns)
    worth = _chance(again, there.fresh) * use
    if there.tokens:  # without this turn it may still be warm at the next
        refill = (joined.write - joined.read) * (prompt - there.tokens)
        worth -= _chance(again, there.life) * max(use - refill, 0.0)
    else:
        worth *= _SURE
    rare = session.again is not None and again < RARE
    return BreakEven(first=round(first), later=round(later), worth=round(worth), rare=rare)


class _Warm(NamedTuple):
    """A route's cache: its tokens, for how many turns they live on, and would if used now."""

    tokens: int
    life: float
    fresh: float


def _warm(session: Session, route: Route) -> _Warm:
    tokens = session.warm_tokens.get(route.name, 0)
    if not session.turn_s:
        return _Warm(tokens, inf if tokens else 0, inf)
    life_s = LIFE_S[route.cache_writes]
    idle_s = session.idle_s.get(route.name, 0.0)
    life = (life_s - idle_s) // session.turn_s if tokens else 0
    return _Warm(tokens, life, life_s // session.turn_s)


def _turn(rates: Rates, prompt: int, output: int, warm: float) -> float:
    """What a turn of one call costs: it writes what is not warm."""
    return rates.read * warm + rates.write * (prompt - warm) + rates.output * output


def _chance(each: float, turns: float) -> float:
    """The chance that something which any turn brings with `each` comes within so many turns."""
    if each in {0.0, 1.0}:
        return each if turns >= 1 else 0.0
    return 1 - math.pow(1 - each, max(turns, 0.0))


def _uses(survives: float, turns: float) -> float:
    """How many of so many turns find a cache warm, each only if all before it did."""
    return turns if survives >= 1 else (1 - math.pow(survives, turns)) / (1 - survives)
