"""A run that the HTTP tap has not seen, for the meter: as its framework tells it, or counted."""

from dataclasses import replace

from farthing.entry import EntryStatus
from farthing.estimate import tokens
from farthing.meter.observed import Observed
from farthing.meter.runs import Run
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire.reading import Reading

# A framework's call is answered at once; batches are fetched by other means.
_SYNC = Terms(batch=False)
NOTHING = Reading(usage=None)
"""Of an answer that says nothing about its bill."""


def observed(
    run: Run,
    reading: Reading | None,
    *,
    api: str,
    status: EntryStatus = 'ok',
    billed: bool = True,
    estimated: bool = False,
    error: str | None = None,
) -> Observed:
    """The run's only attempt, with what its framework says of it."""
    return Observed(
        id=f'{run.id}:1',
        who=run.who,
        time=run.time,
        provider=run.provider or 'unknown',
        api=api,
        model=run.model,
        reading=reading,
        usage_source='estimated' if estimated else 'reported',
        terms=_SYNC,
        billed=billed,
        call_type=run.call_type,
        status=status,
        error=error,
        run_id=run.id,
        parent_run_id=run.parent_id,
        latency_us=run.age_us(),
        first_token_us=run.first_token_us(),
    )


def estimated(run: Run, reading: Reading, output_chars: int) -> Reading:
    """The reading with our own counts."""
    usage = Usage(
        input_tokens=tokens(run.input_chars(), run.provider),
        output_tokens=tokens(output_chars, run.provider),
    )
    # Most answers without usage say nothing else either, and `replace` asks for every field.
    return Reading(usage=usage) if reading is NOTHING else replace(reading, usage=usage)
