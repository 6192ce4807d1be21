"""Ends the runs that nobody ended: cancelled calls that no callback reported."""

import time

from farthing.ending import posts_at_exit
from farthing.estimate import tokens
from farthing.meter.account import post
from farthing.meter.observed import Observed
from farthing.meter.runs import Run, close, still_open
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire.reading import Reading


def sweep(*, older_than_s: float = 0) -> int:
    """Post open runs of at least that age as abandoned, estimated; how many were posted.

    What the HTTP tap has posted or cannot have missed, and what a run inside has posted, is only
    closed.
    """
    before_ns = time.perf_counter_ns() - int(older_than_s * 1e9)
    posted = 0
    for run in still_open():
        if run.started_ns > before_ns:
            break
        run.leave(None)
        if close(run) and not run.seen and not run.tapped and not _inner_posted(run):
            post(run.accounts, _abandoned(run))
            posted += 1
    return posted


def _inner_posted(run: Run) -> bool:
    return any(one.answer_ids for one in run.inner)


def _abandoned(run: Run) -> Observed:
    usage = Usage(input_tokens=tokens(run.input_chars(), run.provider), output_tokens=0)
    return Observed(
        id=f'{run.id}:1',
        who=run.who,
        time=run.time,
        provider=run.provider or 'unknown',
        api='unseen',
        model=run.model,
        reading=Reading(usage=usage, complete=False),
        usage_source='estimated',
        terms=Terms(batch=False),
        call_type=run.call_type,
        status='abandoned',
        run_id=run.id,
        parent_run_id=run.parent_id,
    )


posts_at_exit(sweep)
