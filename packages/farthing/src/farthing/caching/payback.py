"""What a segment of a prompt costs from now on, by what is done with it now.

A segment is dead (not cached) or alive for a lifetime. With the chance `a` that the next request
comes within a lifetime, and `n` within the longest one, each stationary choice has a closed form;
costs are in input prices of one token, summed until a gap ends every lifetime. What comes after
such a gap costs the same whatever is done now.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from farthing.caching.block import SECONDS, Lifetime
from farthing.caching.gaps import Law
from farthing.caching.rates import Rates

Action = Lifetime | None
"""Written for a lifetime, or left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Expected cost of one token of a dead segment.

    Attributes:
        costs: By what is done now.
        flying: The same where another request's write is under way: it cannot be read yet, and a
            second write gains nothing.
    """

    costs: Mapping[Action, float]
    flying: Mapping[Action, float]


def worth(following: Law, later: Law, rates: Rates) -> Worth:
    """The costs of a segment.

    Args:
        following: The law of the gap that follows this request.
        later: The law of all gaps after that.
        rates: Of the model.
    """
    read = rates.read / rates.input
    writes = {life: cost / rates.input for life, cost in rates.writes.items()}
    longest = max(SECONDS[life] for life in writes)
    ever = later.within(longest)
    dead = min(
        1 / (1 - ever),
        *(
            (write * (1 - later.within(SECONDS[life])) + later.within(SECONDS[life]) * read)
            / (1 - ever)
            for life, write in writes.items()
        ),
    )
    comes = following.within(longest)
    future: dict[Lifetime, float] = {}
    for life in writes:
        soon = later.within(SECONDS[life])
        alive = (read + (ever - soon) * dead) / (1 - soon)
        now = following.within(SECONDS[life])
        future[life] = now * alive + (comes - now) * dead
    costs: dict[Action, float] = {None: 1 + comes * dead}
    costs |= {life: write + future[life] for life, write in writes.items()}
    flying: dict[Action, float] = {None: 1 + min(future.values())}
    flying |= {life: write + min(future.values()) for life, write in writes.items()}
    return Worth(costs=costs, flying=flying)
