r"""What a submission and an item can be, and what each may become.

    planned -> sending -> submitted -> ended -> ingested
                  |  \-> unknown (found, not yet proven to be ours) -> ended
                  |---> planned   (it is certain that nothing was created)
                  \---> lost      (not found for so long that its requests are sent again)

The intent is stored before anything is sent, so that a crash leaves at most one step in doubt.
What was sent again is watched all the same: a `lost` batch that shows up, and results that come
`late` to a batch that has ended, were billed, and are booked.
"""

from typing import Literal

SubmissionState = Literal[
    'planned', 'sending', 'unknown', 'submitted', 'ended', 'ingested', 'failed', 'lost', 'late'
]
ItemState = Literal['waiting', 'sent', 'sync', 'done']
JobState = Literal['open', 'held', 'cancelled', 'finished']
Outcome = Literal['ok', 'error']

OVER: frozenset[JobState] = frozenset({'cancelled', 'finished'})
"""States of a job that sends nothing more."""

NEXT: dict[SubmissionState, frozenset[SubmissionState]] = {
    'planned': frozenset({'sending', 'failed'}),
    'sending': frozenset({'planned', 'unknown', 'submitted', 'failed', 'lost'}),
    'unknown': frozenset({'sending', 'submitted', 'ended'}),
    'submitted': frozenset({'ended', 'failed'}),
    'ended': frozenset({'ingested', 'late'}),
    'lost': frozenset({'submitted'}),
    'late': frozenset({'ingested'}),
    'ingested': frozenset(),
    'failed': frozenset(),
}
OPEN: frozenset[SubmissionState] = frozenset(
    {'planned', 'sending', 'unknown', 'submitted', 'ended'}
)
"""States of a submission whose items may not be sent elsewhere: they may be paid already."""
WATCHED: frozenset[SubmissionState] = frozenset({'lost', 'late'})
"""States of a submission whose items were sent elsewhere, though they may be paid already."""
