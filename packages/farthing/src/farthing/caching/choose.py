"""Which segments of a prompt are written, and for how long: the cheapest order that is allowed.

Segments end where conversations part and where the request ends. What is written for one lifetime
can stand only on what lives at least as long (also Anthropic's rule: 1h before 5m), and nothing
can be written without all before it, so the actions never lengthen from segment to segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from farthing.caching.block import SECONDS
from farthing.caching.laws import Counts, either, law, shared_keys, tail_keys
from farthing.caching.payback import Action, Worth, worth
from farthing.caching.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Blocks up to `end` that share one fate.

    Attributes:
        end: Position of its last block.
        tokens: Its own.
        worth: Of one of its tokens.
        flying: Whether its write is under way.
        seen: The outcomes behind its laws.
        tail: Whether only this conversation sends it again.
    """

    end: int
    tokens: int
    worth: Worth
    flying: bool
    seen: int
    tail: bool

    def cost(self, action: Action) -> float:
        """In input prices of one token."""
        costs = self.worth.flying if self.flying else self.worth.costs
        return self.tokens * costs[action]

    def saving(self, action: Action) -> float:
        """Against leaving it alone."""
        return self.cost(None) - self.cost(action)


def segments(seen: View, counts: Counts, *, later: bool, task: str | None) -> list[Segment]:
    """The segments after what can be read, those that are too short to be written joined on."""
    ends = {at for at in (seen.static, *seen.shared) if at is not None and at < seen.end}
    start = -1 if seen.live is None else seen.live
    before = 0 if seen.live is None else seen.tokens[seen.live]
    found: list[Segment] = []
    own_next = law(counts, tail_keys(seen, later=later, task=task))
    own_later = law(counts, tail_keys(seen, later=True, task=task))
    for end in (*sorted(ends), seen.end):
        if end <= start or seen.tokens[end] < seen.least:
            continue
        following, ahead = own_next, own_later
        if end != seen.end:
            # What others share is sent again by this conversation too.
            visited = seen.prefix(end) is not None
            following = either(law(counts, shared_keys(seen, end, later=visited)), following)
            ahead = either(law(counts, shared_keys(seen, end, later=True)), ahead)
        found.append(
            Segment(
                end=end,
                tokens=seen.tokens[end] - before,
                worth=worth(following, ahead, seen.rates),
                flying=seen.flying is not None and end <= seen.flying,
                seen=following.seen,
                tail=end == seen.end,
            )
        )
        start, before = end, seen.tokens[end]
    return found


def actions(found: Sequence[Segment], seen: View) -> tuple[Action, ...]:
    """What is done with each segment."""
    bound = seen.life_s
    lives = sorted(seen.rates.writes, key=SECONDS.__getitem__, reverse=True)
    allowed = [life for life in lives if bound is None or SECONDS[life] <= bound]
    orders = combinations_with_replacement([*allowed, None], len(found))
    return min(
        orders,
        key=lambda order: sum(one.cost(action) for one, action in zip(found, order, strict=True)),
    )
