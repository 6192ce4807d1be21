"""What was seen of one attempt, by the HTTP tap or by a framework's callback."""

from dataclasses import dataclass
from datetime import datetime

from farthing.attribution import Attribution
from farthing.entry import CallType, EntryStatus, UsageSource
from farthing.frozen import quick
from farthing.prices.quote import UNSAID, Terms
from farthing.wire.reading import Reading


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts of one attempt, before it is priced.

    Attributes:
        id: The entry's id.
        who: Whom it is for.
        time: When the request left, in UTC.
        provider: Who bills it.
        api: Which of the provider's protocols, or which framework's usage object.
        model: The model that was asked for.
        reading: What the answer said; `None` when there was no answer to read.
        usage_source: `estimated` when the reading's usage was counted by us.
        terms: Conditions known from the request and the endpoint; the answer's own words win.
        billed: `False` where the provider bills nothing: refused requests, framework caches.
        status: How the attempt ended.
        error: Kind of error, never its message.
    """

    id: str
    who: Attribution
    time: datetime
    provider: str
    api: str
    model: str | None
    reading: Reading | None
    usage_source: UsageSource = 'reported'
    terms: Terms = UNSAID
    billed: bool = True
    call_type: CallType = 'chat'
    status: EntryStatus = 'ok'
    error: str | None = None
    endpoint: str | None = None
    run_id: str | None = None
    parent_run_id: str | None = None
    latency_us: int | None = None
    first_token_us: int | None = None
    prefix: tuple[str, ...] = ()
