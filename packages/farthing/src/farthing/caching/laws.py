"""Which observations tell when a prefix is sent again.

A law starts from a prior that is worth eight observations, is bent by all prefixes of its kind,
and then, worth two, by those of its own task and agent. Kinds are few: what ended a first request
or a later one, with tools to choose from or none; what is shared, seen once or more often.
"""

from collections.abc import Callable

from farthing.caching.gaps import Gaps, Law, learned
from farthing.caching.view import View

Counts = Callable[[str], Gaps]
"""The counter of a key."""

# Hazards by interval before anything was seen. With tools a next turn is likely and soon. Without,
# a first request is taken for a one-shot until its like have gone on.
_PRIORS = {
    'tail:first:agent': Law((0.5, 0.2, 0.1, 0.05)),
    'tail:first:plain': Law((0.1, 0.05, 0.05, 0.05)),
    'tail:later:agent': Law((0.5, 0.4, 0.3, 0.1)),
    'tail:later:plain': Law((0.3, 0.4, 0.3, 0.1)),
    'shared:first': Law((0.1, 0.05, 0.05, 0.05)),
    'shared:later': Law((0.5, 0.4, 0.3, 0.1)),
}
_OF_A_KIND = 8
_OWN = 2
COLD = 3
"""Outcomes below which a law is mostly prior."""


def tail_keys(seen: View, *, later: bool, task: str | None) -> tuple[str, ...]:
    """Counters of what ends this request: all of its kind, then its agent's."""
    prompt, stage = seen.prompt, 'later' if later else 'first'
    kind = f'tail:{stage}:{"agent" if prompt.agent else "plain"}'
    agent = seen.digests[seen.static].hex() if seen.static is not None else seen.rates.model
    return kind, f'{kind}:{task or ""}:{agent}'


def shared_keys(seen: View, position: int, *, later: bool) -> tuple[str, ...]:
    """Counters of a shared prefix; seen once, it has none of its own."""
    if not later:
        return ('shared:first',)
    return 'shared:later', f'shared:{seen.digests[position].hex()}'


def law(counted: Counts, keys: tuple[str, ...]) -> Law:
    """The law of those counters."""
    kind, *own = keys
    counts = counted(kind)
    found = learned(_PRIORS[kind], counts, weight=_OF_A_KIND)
    for key in own:
        found = learned(Law(found.hazards), counted(key), weight=_OWN)._replace(seen=counts.seen)
    return found


def either(one: Law, other: Law) -> Law:
    """The law of a prefix that both send again; it may come sooner, which is not counted."""
    return Law(tuple(map(max, one.hazards, other.hazards)), max(one.seen, other.seen))
