"""Putting what waits into batches: within the job's limit, and within the provider's queue."""

import secrets
from collections.abc import Callable
from typing import NamedTuple

from farthing.batching.chunking import Limits, Target, Waiting, chunks
from farthing.batching.jobs import Job
from farthing.batching.keys import LABEL_BITS, label
from farthing.errors import BatchLimit
from farthing.ledger.batch_change import Change
from farthing.money import plain, usd
from farthing.run.moves import Moves


class _Round(NamedTuple):
    """What waits: by target, what it may cost at most, and how many have no price."""

    items: dict[Target, list[Waiting]]
    cost: int
    unpriced: int


class Planning:
    """Plans the submissions of one ledger.

    Args:
        moves: Has the ledger.
        limits: What a batch takes, by provider and address.
        room: Most input tokens that may be enqueued for a model, until the provider says less.
    """

    def __init__(
        self, moves: Moves, limits: Callable[[str, str], Limits], room: int | None
    ) -> None:
        self._moves = moves
        self._limits = limits
        self._room = room

    def plan(self, job: Job) -> None:
        """Make submissions of what waits.

        Raises:
            BatchLimit: It would pass the job's limit; nothing was planned.
        """
        waiting = self.check(job)
        if not waiting:
            return
        with self._moves.ledger.changing_batches() as change:
            for target, items in waiting.items():
                self._plan(change, job, target, items)

    def check(self, job: Job, *, times: int = 1) -> dict[Target, list[Waiting]]:
        """What waits, by target, if the job's limit allows for it.

        Args:
            job: The job.
            times: How often the price in a batch it will cost.

        Raises:
            BatchLimit: It would pass the limit, or nobody knows whether it would.
        """
        limit = job.terms.max_cost
        found = self._waiting(job)
        if limit is None or not found.items:
            return found.items
        with self._moves.ledger.batches() as view:
            cost, under_way, unknown = view.spent(job.id)
        unknown += found.unpriced
        if unknown:
            raise BatchLimit(
                f'job {job.id} has a limit of {plain(usd(limit))} USD and {unknown} requests '
                'without a price: nothing more is sent; add their prices, or start it without '
                '`max_cost_usd`'
            )
        whole = cost + under_way + found.cost * times
        if whole > limit:
            raise BatchLimit(
                f'job {job.id} may cost {plain(usd(whole))} USD: {plain(usd(cost))} billed, '
                f'{plain(usd(under_way))} under way, {plain(usd(found.cost * times))} at most in '
                f'the next round; its limit is {plain(usd(limit))} USD: nothing more is sent; '
                'raise `max_cost_usd` and resume it'
            )
        return found.items

    def _waiting(self, job: Job) -> _Round:
        targets: dict[Target, list[Waiting]] = {}
        cost, unpriced = 0, 0
        with self._moves.ledger.batches() as view:
            for waiting, predicted in view.waiting(job.id, self._moves.now()):
                targets.setdefault(waiting.target, []).append(waiting)
                unpriced += predicted is None
                cost += predicted or 0
        return _Round(targets, cost, unpriced)

    def _plan(self, change: Change, job: Job, target: Target, items: list[Waiting]) -> None:
        others = change.open_at(target)
        room = change.room(target)
        room = self._room if room is None else room
        if room is not None:
            enqueued = sum(one.tokens for one in others if one.target == target)
            # An empty queue takes one request of any length: it would wait for ever else.
            room = room - enqueued if enqueued else max(room, items[0].tokens)
        made = chunks(
            items,
            self._limits(target.provider, target.base),
            room=room,
            open_sizes={one.requests for one in others},
        )
        for chunk in made:
            change.plan(job.id, chunk, label(secrets.randbits(LABEL_BITS)), self._moves.now())
