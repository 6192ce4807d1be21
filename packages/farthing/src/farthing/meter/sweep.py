"""Ends the runs that nobody ended: cancelled calls that no callback reported."""

import time

from farthing.ending import posts_at_exit
from farthing.meter.account import post
from farthing.meter.observed import Observed
from farthing.meter.runs import Run, close, still_open
from farthing.meter.unseen import estimated, observed
from farthing.wire.reading import Reading


def sweep(*, older_than_s: float = 0) -> int:
    """Post open runs of at least that age as abandoned, estimated; how many were posted.

    What the HTTP tap has posted or cannot have missed is only closed, and so is a run around one
    that was left: they are one call. The innermost come first.
    """
    before_ns = time.perf_counter_ns() - int(older_than_s * 1e9)
    posted = 0
    for run in reversed(still_open()):
        if run.started_ns > before_ns:
            continue
        run.leave(None)
        if close(run) and not run.seen and not run.tapped and not any(r.cut for r in run.inner):
            post(run.accounts, _abandoned(run))
            posted += 1
        run.cut = True
    return posted


def _abandoned(run: Run) -> Observed:
    reading = estimated(run, Reading(usage=None, complete=False), 0)
    return observed(run, reading, api='unseen', status='abandoned', estimated=True)


posts_at_exit(sweep)
