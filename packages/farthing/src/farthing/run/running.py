"""A running summary of messages that a framework's memory lets go.

The messages are kept word for word, beside the ledger, until a summary stands for them: it takes up
the one before it. Only then are they deleted, in the same transaction.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from farthing.context import Part
from farthing.context.writing import checked, letter, summarised_as, transcript
from farthing.errors import ContextError, LedgerError
from farthing.ledger.sessions import RETENTION, SUFFIX, Name, Sessions, Stored, hashed, session_name
from farthing.meter import Meter
from farthing.run.counting import Failures
from farthing.run.tokens import Tokens

_BODY = 'running'
_TRIES = 20
_LOST_S = 600.0  # Whoever was to make the summary is gone by then.
_FIRST_WAIT_S = 30.0
_MOST_DOUBLINGS = 7


class Owner(NamedTuple):
    """Whose messages these are; tenants that name their sessions alike share nothing."""

    tenant: str | None
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is kept of a session: a summary, and the messages since.

    Attributes:
        summary: Of what was let go first.
        waiting: What no summary stands for yet.
        asked_s: When a summary was asked for that is not there yet, since 1970.
        retry_s: None is asked for before that.
        failures: Summaries that failed in a row.
    """

    summary: str | None = None
    waiting: tuple[Part, ...] = ()
    asked_s: float | None = None
    retry_s: float = 0.0
    failures: int = 0

    def text(self) -> str:
        """All of it, as it stands in a prompt."""
        told = [] if self.summary is None else [summarised_as(self.summary)]
        return '\n\n'.join([*told, transcript(self.waiting)] if self.waiting else told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A summary that is wanted.

    Attributes:
        owner: Of whose messages.
        body: As it was when it was asked for.
        letter: What to ask a model.
    """

    owner: Owner
    body: Body
    letter: str


class Running:
    """The running summaries of a block. Safe to use from threads, tasks, processes.

    Args:
        one: Beside whose ledger they are kept.
        tokens: Counts for the model that makes the summaries.
        every_tokens: So much has to wait before a summary is made.
        summary_tokens: About how long it is.
        now: Tells the time in seconds since 1970.
        retention: How long a session is remembered after its last change.

    Attributes:
        failures: What went wrong, by reason.
    """

    def __init__(
        self,
        one: Meter,
        tokens: Tokens,
        *,
        every_tokens: int,
        summary_tokens: int,
        now: Callable[[], float] = time.time,
        retention: timedelta = RETENTION,
    ) -> None:
        if min(every_tokens, summary_tokens) < 1:
            raise ContextError(
                f'`every_tokens` is {every_tokens!r} and `summary_tokens` {summary_tokens!r}: '
                'expected at least 1'
            )
        self.failures = Failures()
        self._sessions = Sessions(one.ledger.folder.with_suffix(SUFFIX), retention=retention)
        self._key = one.ledger.key
        self._tokens = tokens
        self._every_tokens = every_tokens
        self._summary_tokens = summary_tokens
        self._now = now
        self._lock = threading.Lock()
        self._unsaved: dict[Owner, tuple[Part, ...]] = {}

    def put(self, owner: Owner, parts: Sequence[Part]) -> None:
        """Keep messages; in memory where they cannot be stored now."""
        with self._lock:
            parts = (*self._unsaved.pop(owner, ()), *parts)
        try:
            self._change(owner, lambda body: replace(body, waiting=(*body.waiting, *parts)))
        except (LedgerError, OSError) as error:
            self.failures.count('unsaved', error)
            with self._lock:
                self._unsaved[owner] = (*parts, *self._unsaved.get(owner, ()))

    def text(self, owner: Owner) -> str:
        """The summary and what waits, for a prompt."""
        with self._lock:
            unsaved = self._unsaved.get(owner, ())
        try:
            body = self._body(self._sessions.load(self._name(owner)))
        except (LedgerError, OSError) as error:
            self.failures.count('failed', error)
            body = Body()
        return replace(body, waiting=(*body.waiting, *unsaved)).text()

    def due(self, owner: Owner) -> Due | None:
        """The summary that is wanted now; whoever gets it is to make it."""
        now = self._now()

        def asked(body: Body) -> Body:
            waits = body.asked_s is not None and now - body.asked_s < _LOST_S
            length = sum(self._tokens.count(one.text) for one in body.waiting)
            if waits or now < body.retry_s or length < self._every_tokens:
                return body
            return replace(body, asked_s=now)

        try:
            before, after = self._change(owner, asked)
        except (LedgerError, OSError) as error:
            self.failures.count('failed', error)
            return None
        if before == after:
            return None
        written = letter(after.waiting, after.summary, self._summary_tokens)
        return Due(owner=owner, body=after, letter=written)

    def take(self, due: Due, text: str) -> None:
        """Let a summary stand for the messages that it is of.

        Raises:
            ContextError: It is none.
            LedgerError: It cannot be stored.
        """
        body = due.body
        of = sum(self._tokens.count(one.text) for one in body.waiting)
        of += self._tokens.count(body.summary or '')
        found = checked(
            text,
            tokens=self._summary_tokens,
            replaced_tokens=of,
            count=self._tokens.count,
        )
        number = len(body.waiting)

        def taken(now: Body) -> Body:
            if now.summary != body.summary or now.waiting[:number] != body.waiting:
                return now  # another one was quicker
            return Body(summary=found, waiting=now.waiting[number:])

        self._change(due.owner, taken)

    def fail(self, due: Due, error: Exception) -> None:
        """Have a summary asked for again later: after half a minute, then twice that, ..."""
        self.failures.count('summary', error)

        def failed(body: Body) -> Body:
            if body.asked_s != due.body.asked_s:
                return body
            wait_s = _FIRST_WAIT_S * 2 ** min(body.failures, _MOST_DOUBLINGS)
            return replace(
                body, asked_s=None, failures=body.failures + 1, retry_s=self._now() + wait_s
            )

        try:
            self._change(due.owner, failed)
        except (LedgerError, OSError) as unsaved:
            self.failures.count('unsaved', unsaved)

    def _change(self, owner: Owner, change: Callable[[Body], Body]) -> tuple[Body, Body]:
        """The body before and after a change that nobody else came between."""
        name = self._name(owner)
        for _ in range(_TRIES):
            stored = self._sessions.load(name)
            before = self._body(stored)
            after = change(before)
            written = orjson.dumps(asdict(after)).decode()
            at = datetime.fromtimestamp(self._now(), UTC)
            if after == before or self._sessions.save(name, stored, b'', at, new={_BODY: written}):
                return before, after
        raise LedgerError(f'others were quicker {_TRIES} times')

    def _name(self, owner: Owner) -> Name:
        key, (tenant, session) = self._key(), owner
        named = hashed(key, _BODY, tenant or '', session)
        return Name(key=named, session=session_name(key, session))

    def _body(self, stored: Stored) -> Body:
        if _BODY not in stored.texts:
            return Body()
        try:
            words: dict[str, Any] = orjson.loads(stored.texts[_BODY])
            waiting = tuple(
                Part(**{**one, 'call_ids': tuple(one['call_ids'])}) for one in words['waiting']
            )
            return Body(**{**words, 'waiting': waiting})
        except (ValueError, TypeError, KeyError) as error:
            raise LedgerError('a stored running summary cannot be read') from error
