"""Faults on demand: what may go wrong with one call, and how it is asked for.

A fault is a JSON object, given in the request's `x-farthing-sim-fault` header or as one entry of
the plan, of which every call to a model takes the next. An empty object is a call without fault.
Operations on files and batches take only what names them (`on`); what is given to the creation
of a batch goes on to hold for that batch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

HEADER = 'x-farthing-sim-fault'


_ERRORS = range(400, 600)
_FATES = frozenset({'missing', 'late', 'duplicate', 'unknown', 'expired', 'canceled', 'blank'})


class FaultError(ValueError):
    """A fault that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        status: Refuse with this HTTP status instead of answering.
        retry_after: Seconds that the refusal's `retry-after` header tells.
        message: The refusal's text.
        delay_s: Wait before the first byte.
        event_delay_s: Wait before each event of a stream.
        drop_after_events: Cut the connection after so many events; an answer that is not
            streamed is cut half-way.
        error_after_events: End the stream by an error event after so many events.
        malformed_sse: Send an event that is no JSON in the middle of the stream; an answer
            that is not streamed is no JSON.
        usage: Counters to report instead of the counted ones, in the provider's own words;
            they are merged in, key by key. Billing facts that no request can cause, on demand.
            Given to a batch, they hold for all of its answers.
        on: What takes this fault out of the plan: an `api` of the log, such as
            `openai_batches.create`. Without it, that is the next call to a model.
        hidden_s: A batch or file that is made is not listed for so long.
        lines: What becomes of single requests of a batch, by their position (or `*` for all
            that are not named), which is a number in a string: `missing`, `late` (missing until
            `late_s` after the end), `duplicate` or `unknown` (one line more, with an id that
            nobody sent) in the results, `expired`, `canceled`, `blank` (OpenAI's status 0,
            without a body), or the status of an error, which tells `message`.
        late_s: How long after the end of a batch its `late` lines are missing in the results.
        stalls_after: The batch answers so many requests, and no more.
        cancel_completes: So many requests are still answered after a cancellation.
        queue_full: OpenAI's validation fails, because too many tokens are enqueued.
        output_late_s: An ended batch of OpenAI does not yet name its files for so long.
    """

    status: int | None = None
    retry_after: float | None = None
    message: str | None = None
    delay_s: float = 0
    event_delay_s: float = 0
    drop_after_events: int | None = None
    error_after_events: int | None = None
    malformed_sse: bool = False
    usage: Mapping[str, Any] | None = None
    on: str | None = None
    hidden_s: float = 0
    lines: Mapping[str, str | int] | None = None
    late_s: float = 0
    stalls_after: int | None = None
    cancel_completes: int = 0
    queue_full: bool = False
    output_late_s: float = 0

    @classmethod
    def read(cls, given: object) -> 'Fault':
        """Read a fault from JSON.

        Raises:
            FaultError: It is no object, or has keys that no fault knows.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(given, Mapping) or not set(given) <= known:
            raise FaultError(
                f'not a fault: {given!r}; expected a JSON object with keys out of '
                f'{", ".join(sorted(known))}'
            )
        status = given.get('status')
        if status is not None and (not isinstance(status, int) or status not in _ERRORS):
            raise FaultError(f'`status` is {status!r}; expected a number from 400 to 599')
        _check_lines(given.get('lines'))
        return cls(**given)

    @classmethod
    def from_header(cls, text: str) -> 'Fault':
        """Read a fault from a header's JSON.

        Raises:
            FaultError: It is no JSON, or no fault.
        """
        try:
            return cls.read(json.loads(text))
        except json.JSONDecodeError as error:
            raise FaultError(f'`{HEADER}` is no JSON: {text!r}') from error

    def of_line(self, position: int) -> str | int | None:
        """What becomes of a request of a batch; `None` for what becomes of all."""
        return None if self.lines is None else self.lines.get(str(position), self.lines.get('*'))


NO_FAULT = Fault()


def _check_lines(lines: object) -> None:
    if lines is not None and not (
        isinstance(lines, Mapping) and all(map(_is_fate, lines.values()))
    ):
        raise FaultError(
            f'`lines` is {lines!r}; expected an object of positions with one of '
            f'{", ".join(sorted(_FATES))} or a status from 400 to 599'
        )


def _is_fate(value: object) -> bool:
    return value in _FATES if isinstance(value, str) else value in _ERRORS


def merged(usage: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Usage with some counters replaced; objects inside are merged as well."""
    result = dict(usage)
    for key, value in changes.items():
        inner = result.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[key] = merged(inner, value) if both else value  # type: ignore[arg-type]
    return result
