"""Taking submissions from state to state, each step a transaction of its own."""

from collections.abc import Callable

from farthing.batching.jobs import Submission
from farthing.batching.states import SubmissionState
from farthing.ledger import Ledger


class Moves:
    """The steps of the submissions of one ledger; `now` tells the time in seconds since 1970."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self.ledger = ledger
        self.now = now

    def move(self, one: Submission, state: SubmissionState, **facts: object) -> Submission | None:
        """The submission in its next state; `None` where another process has moved it before."""
        with self.ledger.changing_batches() as change:
            return change.move(one, state, self.now(), **facts)

    def take_back(self, one: Submission, reason: str, *, rest_s: float = 0.0) -> None:
        """It comes to nothing, and what it held waits again, after some rest."""
        with self.ledger.changing_batches() as change:
            change.take_back(one, reason, self.now(), rest_s=rest_s)
