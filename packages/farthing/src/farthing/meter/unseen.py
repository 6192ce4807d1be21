"""A run that the HTTP tap has not seen, for the meter: as its framework tells it, or counted.

What levers decided about its request is hung on its entry as the tap would have done, where the
messages that the framework was given tell which request that is.
"""

from asyncio import CancelledError
from dataclasses import replace
from functools import partial

from farthing.entry import EntryStatus, UsageSource
from farthing.estimate import tokens
from farthing.meter.account import decide, post
from farthing.meter.choices import Answer, Choice, awaited, chosen
from farthing.meter.following import Follower, Posted, cost_of
from farthing.meter.observed import Observed
from farthing.meter.runs import Run
from farthing.prices.quote import AT_ONCE
from farthing.usage import Usage
from farthing.wire.reading import NOTHING, Reading

_FIRST_ERROR_STATUS = 400


def post_told(run: Run, api: str, *answer: object, source: UsageSource = 'reported') -> bool:
    """Post an answer as it was told, unpriced (`Meter.post_answered`); whether that could be."""
    if len(run.accounts) != 1 or run.follower is not None or awaited():
        return False
    account = run.accounts[0]
    counted = account.meter.post_answered(run, api, source, *answer)
    if counted is None:
        return False
    account.spend.add(counted)
    return True


def post_answer(run: Run, reading: Reading, *, api: str, estimated: bool = False) -> None:
    """Post the run's only attempt, which was answered with `reading`."""
    usage = reading.usage
    plain = usage is not None and not usage.tool_uses and reading.plain
    source: UsageSource = 'estimated' if estimated else 'reported'
    if not (plain and post_told(run, api, reading, source=source)):
        post_observed(run, observed(run, reading, api=api, estimated=estimated))


def post_observed(run: Run, seen: Observed) -> None:
    """Post the run's only attempt, of which this was seen."""
    entries = post(run.accounts, seen)
    answer = Answer(
        time=run.time,
        first_token_us=run.first_token_us() or run.age_us(),
        reading=seen.reading,
        ok=seen.status in {'ok', 'cache_hit'},
        official=False,
        provider=run.provider or 'unknown',
        model=run.model,
        remembered=seen.status == 'cache_hit',
    )
    for choice in _choices(run, seen):
        # What was counted by us is no measurement.
        told = answer if seen.usage_source == 'reported' else replace(answer, reading=None)
        decide(run.accounts, choice.about(seen.id, told))
    if run.follower is not None:
        _tell(run, run.follower, answer, cost=cost_of(entries))


def _choices(run: Run, seen: Observed) -> tuple[Choice, ...]:
    """What was decided about the request; a framework's own cache sends none."""
    if seen.status == 'cache_hit' or not awaited():
        return ()
    return chosen(run.shape(), run.text)


def _tell(run: Run, follower: Follower, answer: Answer, *, cost: int | None) -> None:
    follower.posted(
        Posted(
            entry_id=_entry_id(run),
            run_id=run.id,
            provider=run.provider or 'unknown',
            model=run.model,
            cost=cost,
            answer=answer,
            tell=partial(decide, run.accounts),
        )
    )


def _entry_id(run: Run) -> str:
    return f'{run.id}:1'


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
        id=_entry_id(run),
        who=run.who,
        time=run.time,
        provider=run.provider or 'unknown',
        api=api,
        model=run.model,
        reading=reading,
        usage_source='estimated' if estimated else 'reported',
        terms=AT_ONCE,
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


def failed(run: Run, error: BaseException | None, *, api: str, output_chars: int) -> Observed:
    """A run that was left, refused or broken off.

    Left by its caller, it is billed for what was made until then, which is estimated. Refused, or
    never sent, it costs nothing. Of all else nobody knows whether it was billed.
    """
    kind = type(error).__name__
    if isinstance(error, (CancelledError, GeneratorExit, KeyboardInterrupt)):
        reading = estimated(run, Reading(usage=None, complete=False), output_chars)
        return observed(run, reading, api=api, status='cancelled', estimated=True, error=kind)
    status = getattr(error, 'status_code', None)
    refused = isinstance(status, int) and status >= _FIRST_ERROR_STATUS
    return observed(
        run,
        None,
        api=api,
        status='error',
        billed=not (refused or run.tapped),
        error=f'http_{status}' if refused else kind,
    )
