"""The line that one entry is on its way through a spool: a flat JSON list, its kind first.

Lists, because they are written and read several times faster than objects. The kind carries the
version of the layout (`e1`): a spool may be drained by a newer farthing than the one that wrote it.
"""

import uuid
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import orjson

from farthing.entry import Correction, Decision, Entry, Outcome
from farthing.errors import EntryError
from farthing.prices.quote import Line

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
MAX_INT = 2**63 - 1
# A sum of counts stays in 64 bits for nine million calls of this size. No model takes such a call.
MAX_TOKENS = 10**12

EXPLAINS = 'explain'
"""The policy of verdicts on the prompt cache, which are decisions of no lever."""
EXPLAINED = f'caching.{EXPLAINS}:'
"""What the id of such a verdict begins with; its entry's id follows."""

ROUTING = 'routing'
"""The lever of decisions on routes."""

# The kinds of dimension of an entry's fields, in the order in which a record holds them.
DIMENSIONS = (
    ('provider', 'provider'),
    ('model', 'model'),
    ('model_requested', 'model'),
    ('model_served', 'model'),
    ('api', 'api'),
    ('call_type', 'call_type'),
    ('purpose', 'purpose'),
    ('mode', 'mode'),
    ('cacheable', 'cacheable'),
    ('tier', 'tier'),
    ('geo', 'geo'),
    ('region', 'region'),
    ('endpoint', 'endpoint'),
    ('tenant', 'tenant'),
    ('task', 'task'),
    ('status', 'status'),
    ('error', 'error'),
    ('usage_source', 'usage_source'),
    ('price_status', 'price_status'),
    ('book', 'book'),
    ('priced_model', 'model'),
    ('unpriced_reason', 'unpriced_reason'),
)
TEXTS = ('session', 'run_id', 'parent_run_id')
COUNTS = (
    'input_tokens',
    'output_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'cache_write_5m_tokens',
    'cache_write_1h_tokens',
    'cache_write_30m_tokens',
    'reasoning_tokens',
    'input_audio_tokens',
    'input_image_tokens',
    'cache_read_audio_tokens',
    'cache_read_image_tokens',
    'output_audio_tokens',
    'output_image_tokens',
)
_AMOUNTS = ('cost', 'list_cost', 'latency_us', 'first_token_us')
counts = attrgetter(*COUNTS)
"""The counts of a usage, in the order in which a record holds them."""
_UNKNOWN_COUNTS = (None,) * len(COUNTS)


def microseconds(time: datetime) -> int:
    """Microseconds from 1970 to an aware `time`; exact."""
    return (time - EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse of `microseconds`, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def entry_line(entry: Entry) -> bytes:
    """One entry as a line.

    Raises:
        EntryError: A number is larger than a ledger holds, or a field is no text.
    """
    who, usage, quote = entry.attribution, entry.usage, entry.quote
    _check_range(entry)
    return as_line(
        (
            'e1',
            entry.id,
            microseconds(entry.time),
            who.session,
            entry.run_id,
            entry.parent_run_id,
            entry.provider,
            entry.model_served or entry.model_requested or 'unknown',
            entry.model_requested,
            entry.model_served,
            entry.api,
            entry.call_type,
            who.purpose,
            entry.mode,
            entry.cacheable,
            entry.tier,
            entry.geo,
            entry.region,
            entry.endpoint,
            who.tenant,
            who.task,
            entry.status,
            entry.error,
            entry.usage_source,
            quote.status,
            quote.book,
            quote.model,
            quote.reason,
            *(_UNKNOWN_COUNTS if usage is None else counts(usage)),
            quote.cost,
            entry.list_cost,
            entry.latency_us,
            entry.first_token_us,
            lines(quote.lines),
            quote.assumed or None,
            dict(usage.tool_uses) if usage is not None and usage.tool_uses else None,
            dict(who.tags) if who.tags else None,
            entry.prefix or None,
        )
    )


def correction_line(correction: Correction) -> bytes:
    """One correction as a line."""
    quote = correction.quote
    _check_int('cost', quote.cost)
    _check_int('list_cost', correction.list_cost)
    return as_line(
        (
            'c1',
            correction.id,
            microseconds(correction.time),
            correction.corrects,
            correction.reason,
            quote.status,
            quote.book,
            quote.model,
            quote.reason,
            quote.cost,
            correction.list_cost,
            lines(quote.lines),
            quote.assumed or None,
        )
    )


def decision_line(decision: Decision) -> bytes:
    """One decision as a line; each has an id, its own or one made here: a replay adds nothing."""
    _check_int('predicted_cost', decision.predicted_cost)
    _check_int('counterfactual_cost', decision.counterfactual_cost)
    return as_line(
        (
            'd1',
            decision.id or uuid.uuid4().hex,
            decision.entry_id,
            microseconds(decision.time),
            decision.lever,
            decision.policy,
            decision.version,
            decision.chosen,
            decision.reason,
            decision.predicted_cost,
            decision.counterfactual_cost,
            dict(decision.facts) or None,
        )
    )


def outcome_line(outcome: Outcome) -> bytes:
    """One outcome as a line; each has an id of its own, so that a replay adds nothing."""
    return as_line(
        (
            'o1',
            uuid.uuid4().hex,
            outcome.run_id,
            microseconds(outcome.time),
            str(outcome.score),
            outcome.source,
        )
    )


def loss_line(reason: str, calls: int, time: datetime) -> bytes:
    """`calls` calls that could not be recorded, as a line."""
    return as_line(('l1', uuid.uuid4().hex, microseconds(time), calls, reason))


def lines(found: tuple[Line, ...]) -> list[tuple[object, ...]] | None:
    """The lines of a quote as a record holds them."""
    return [
        (meter, rate, rules, quantity, amount) for meter, quantity, rate, amount, rules in found
    ] or None


def as_line(record: tuple[object, ...]) -> bytes:
    """A record as a line.

    Raises:
        EntryError: A field is nothing that a line can hold.
    """
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A lone surrogate in a name, or a tag that is no text. The bill is worth more than them.
        try:
            option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
            return orjson.dumps(_whole(record), option=option, default=str)
        except orjson.JSONEncodeError as error:
            raise EntryError(f'{record[1]!r} cannot be stored: {error}') from error


def _whole(field: object) -> object:
    """`field` with the halves of surrogate pairs replaced, which no UTF-8 text can hold."""
    if isinstance(field, str):
        return field.encode('utf-8', 'replace').decode()
    if isinstance(field, dict):
        return {_whole(key): _whole(value) for key, value in field.items()}
    if isinstance(field, tuple | list):
        return [_whole(item) for item in field]
    return field


def _check_range(entry: Entry) -> None:
    usage = entry.usage
    # The parts of a usage never exceed these two.
    if usage is not None and (usage.input_tokens > MAX_TOKENS or usage.output_tokens > MAX_TOKENS):
        raise EntryError(
            f'{entry.id!r} has {usage.input_tokens} input and {usage.output_tokens} output tokens: '
            f'a ledger takes at most {MAX_TOKENS} a call'
        )
    amounts = (entry.quote.cost, entry.list_cost, entry.latency_us, entry.first_token_us)
    for name, amount in zip(_AMOUNTS, amounts, strict=True):
        if amount is not None and not 0 <= amount <= MAX_INT:
            raise _out_of_range(name, amount)


def _check_int(name: str, number: int | None) -> None:
    if number is not None and not 0 <= number <= MAX_INT:
        raise _out_of_range(name, number)


def _out_of_range(name: str, number: int) -> EntryError:
    return EntryError(
        f'`{name}` is {number}: expected 0 to {MAX_INT} '
        '(one entry holds a cost of up to 9,223,372 USD)'
    )
