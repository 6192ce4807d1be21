"""One user's call on its way through a router: what was asked, decided, tried and posted.

Entries and the decision come in any order: a draft is posted before it is accepted, a stream after
the route was chosen. Each entry gets its decision as soon as both are there.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from farthing.meter.following import Posted
from farthing.routing import Decision, Query
from farthing.run.calls import Request

Kind = Literal['answer', 'draft']


class Attempt:
    """One call of a route for the user; it follows what is posted of it."""

    def __init__(self, serving: 'Serving', route: str, kind: Kind) -> None:
        self.route = route
        self.kind: Kind = kind
        self.last: Posted | None = None
        self._serving = serving

    def posted(self, one: Posted) -> None:
        """See `farthing.meter.following.Follower`."""
        self.last = one
        self._serving.heard(self, one)


class Tally:
    """Follows the calls that a decision itself needs, or an experiment, and adds up their cost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._costs: list[int | None] = []
        self.last: Posted | None = None

    def asking(self) -> None:
        """A call is about to be made."""
        with self._lock:
            self._asked += 1

    def posted(self, one: Posted) -> None:
        """See `farthing.meter.following.Follower`."""
        with self._lock:
            self._costs.append(one.cost)
            self.last = one

    @property
    def asked(self) -> int:
        """How many calls were made."""
        return self._asked

    @property
    def cost(self) -> int | None:
        """Their cost in 1e-12 USD; `None` while one of them is not known."""
        with self._lock:
            known = [cost for cost in self._costs if cost is not None]
            complete = len(known) == len(self._costs) >= self._asked
            return sum(known) if complete else None


class Serving:
    """A call that is being served.

    Attributes:
        request: What the adapter told.
        query: What the router was asked.
        at: When, in UTC.
        tally: What deciding cost.
        drafts: The drafts that were made for it.
        undrafted: The route of a draft that shadow mode has not made.
        decision: What the router decided; `None` until then.
        serves: The route that serves it; another one than decided in shadow mode.
        failed: Routes that failed before, with the kind of their errors.
        unproven: Whether the route serves without evidence that it is good enough.
        routing_us: How long deciding took, in microseconds.

    Args:
        request: See above.
        query: See above.
        at: See above.
        hang: Posts what was decided about an entry; it never raises.
    """

    def __init__(
        self,
        request: Request,
        query: Query,
        at: datetime,
        hang: Callable[['Serving', Attempt, Posted], None],
    ) -> None:
        self.request = request
        self.query = query
        self.at = at
        self.tally = Tally()
        self.drafts: list[Attempt] = []
        self.undrafted: str | None = None
        self.decision: Decision | None = None
        self.serves = ''
        self.failed: dict[str, str] = {}
        self.unproven = False
        self.routing_us = 0
        self._hang = hang
        self._lock = threading.Lock()
        self._waiting: list[tuple[Attempt, Posted]] = []

    def decided(self, decision: Decision, serves: str, *, unproven: bool, routing_us: int) -> None:
        """The route is chosen: what was posted until now gets its decision."""
        self.serves, self.unproven, self.routing_us = serves, unproven, routing_us
        with self._lock:
            self.decision = decision
            waiting, self._waiting = self._waiting, []
        for attempt, one in waiting:
            self._hang(self, attempt, one)

    def heard(self, attempt: Attempt, one: Posted) -> None:
        """An entry of the call was posted."""
        with self._lock:
            if self.decision is None:
                self._waiting.append((attempt, one))
                return
        self._hang(self, attempt, one)
