"""Whether leaving a warm prompt cache pays: the break-even of one more expensive first turn.

A switch makes the new model read or write a prefix that the old one has cheaply in its cache, and
each later turn may be cheaper. Both sides are priced whole, by the book, so that long-context
rates and cache lifetimes count as they are billed; with constant rates this is the inequality

    first = (w_B - r_A)(P - W_B) + (r_B - r_A) W_B - (w_A - w_B) n - (out_A - out_B) o
    later = (r_A - r_B) P + (w_A - w_B) n + (out_A - out_B) o

for a prefix of P tokens of which W_B are warm at B, n new tokens and o output tokens a turn. The
switch pays when `first <= 0`, or when at least `1 + first / later` turns remain, this one included.
A switch evicts nothing: what is warm at the other model stays warm until it expires.
"""

from dataclasses import dataclass
from datetime import datetime

from farthing.prices import PriceBook
from farthing.routing.query import Session
from farthing.routing.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """What a switch costs at first and saves later, in 1e-12 USD.

    Attributes:
        first: What this turn costs more on the new route; below 0 it is cheaper at once.
        later: What each turn after it saves; 0 or less never pays `first` back.
    """

    first: int
    later: int

    @property
    def turns(self) -> float | None:
        """The turns, this one included, from which the switch pays; `None` is never."""
        if self.first <= 0:
            return 1.0
        return None if self.later <= 0 else 1 + self.first / self.later

    def pays(self, turns_left: float | None) -> bool:
        """Whether the switch pays with so many turns after this one; unknown counts as none."""
        needed = self.turns
        return needed is not None and 1 + (turns_left or 0) >= needed


def break_even(
    session: Session, old: Route, new: Route, book: PriceBook, at: datetime
) -> BreakEven | None:
    """What leaving `old` for `new` costs and saves.

    Args:
        session: The conversation; the prefix that is warm at `old` is what it says, as at `new`.
        old: The route that served the latest turn.
        new: The route that could serve this one.
        book: The prices.
        at: When.

    Returns:
        `None` where a price or the size of a turn is unknown.
    """
    prefix, added, output = session.prefix_tokens, session.new_tokens, session.output_tokens
    if added is None or output is None:
        return None

    def cost(route: Route, warm: int) -> int | None:
        cold = prefix - warm
        return route.turn_cost(book, at, warm=warm, cold=cold, new=added, output=output)

    warm = session.warm_tokens.get(old.name, 0)
    stay, switch = cost(old, warm), cost(new, session.warm_tokens.get(new.name, 0))
    stay_later = stay if warm == prefix else cost(old, prefix)
    switch_later = cost(new, prefix)
    if stay is None or switch is None or stay_later is None or switch_later is None:
        return None
    return BreakEven(first=switch - stay, later=stay_later - switch_later)
