"""One HTTP request to a provider and its answer, read on the way past and posted when it ends.

The tap holds the bytes; this holds what they mean. It keeps numbers only: of a request its model,
its conditions and the fingerprints of its blocks, of an answer its usage.
"""

import time
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from farthing.attribution import current
from farthing.caching.fingerprint import diagnosis
from farthing.ending import posts_at_exit
from farthing.entry import CallType, Entry, EntryStatus
from farthing.errors import UsageError
from farthing.estimate import tokens
from farthing.io.encoding import Decode, decoder
from farthing.meter import Account, Observed, Run, ambient, claim, close, decide, post
from farthing.meter.choices import Answer, chosen
from farthing.meter.following import Posted, cost_of
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import Reader, Reading, Stream
from farthing.wire.fields import loads
from farthing.wire.prompt import shape_of

_EMBEDDINGS = frozenset({'openai_embeddings'})
_FIRST_ERROR_STATUS = 400
# A framing that no reader here knows; the framework's own usage is posted instead.
_UNREAD = 'application/vnd.amazon.eventstream'
# Errors that the HTTP clients raise before a byte of the request has left.
_UNSENT = frozenset({'ConnectError', 'ConnectTimeout', 'PoolTimeout', 'UnsupportedProtocol'})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a request goes: who bills it, which protocol it speaks, what its address tells.

    Attributes:
        provider: Who bills.
        api: The protocol.
        host: Host and port.
        region: Region of the address; `None` is unknown.
        official: Whether the address is the provider's own, where response ids are unique.
        model: The model where the path names it.
    """

    provider: str
    api: str
    host: str
    region: str | None = None
    official: bool = True
    model: str | None = None


class Exchange:
    """Reads one request and its answer, and posts once when it ends."""

    __slots__ = (
        '_accounts', '_asked', '_attempt', '_body', '_call_type', '_choices', '_chunks', '_decode',
        '_endpoint', '_first_ns', '_model', '_posted', '_prefix', '_reader', '_run', '_started_ns',
        '_status', '_stream', '_time', '_who',
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        reader: Reader,
        body: Mapping[str, Any],
        default: Account,
    ) -> None:
        request = reader.request(body)
        self._endpoint = endpoint
        self._reader = reader
        self._body: Mapping[str, Any] | None = body
        self._model = request.model or endpoint.model
        self._asked = request.terms
        self._call_type: CallType = 'embeddings' if endpoint.api in _EMBEDDINGS else 'chat'
        self._run: Run | None = claim(lambda: reader.last_text(body), self._call_type)
        self._attempt = self._run.claims if self._run else 0
        if self._run is not None:
            self._run.pending = self.cut
        self._accounts = list(self._run.accounts if self._run else ambient.get() or (default,))
        self._who = self._run.who if self._run else current()
        self._time = datetime.now(UTC)
        self._started_ns = time.perf_counter_ns()
        self._first_ns: int | None = None
        self._status = 0
        self._decode: Decode | None = None
        self._stream: Stream | None = None
        self._chunks: list[bytes] = []
        self._posted = False
        self._choices = chosen(shape_of(body), lambda: reader.last_text(body))
        self._prefix = self._accounts[0].meter.fingerprints(reader.blocks(body))

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream of events."""
        return self._stream is not None

    def abandon(self) -> bool:
        """Give up reading; whether nothing was posted until now."""
        posted, self._posted = self._posted, True
        self._body = None
        return not posted

    @property
    def accounts(self) -> list[Account]:
        """Where its entries go."""
        return self._accounts

    def answered(self, status: int, content_type: str, content_encoding: str) -> None:
        """The answer's head has arrived."""
        self._status = status
        self._decode = decoder(content_encoding)
        if _UNREAD in content_type and self._run is not None:
            self._run.claims -= 1
            self.abandon()
        if status < _FIRST_ERROR_STATUS and 'text/event-stream' in content_type:
            self._stream = self._reader.stream()

    def feed(self, chunk: bytes) -> None:
        """The next raw bytes of the answer's body."""
        if self._first_ns is None:
            self._first_ns = time.perf_counter_ns()
        if self._posted or self._decode is None:
            return
        if self._stream is None:
            self._chunks.append(chunk)
        else:
            self._stream.feed(self._decode(chunk))

    def ended(self) -> None:
        """The answer's body has arrived whole."""
        raw = b''.join(self._chunks) if self._stream is None else b''
        self.read(self._decode(raw) if raw and self._decode else b'')

    def read(self, content: bytes) -> None:
        """Post from the decoded body of a plain answer, or from the stream that was fed."""
        if self._status >= _FIRST_ERROR_STATUS:
            self._post('error', None, error=self._refusal(), billed=False)
            return
        reading, error = self._reading(content)
        if reading is None or error is not None:
            self._post('ok', reading, error=error)
        elif self._stream is not None and not reading.complete:
            self._post('error', self._estimated(reading), error='cut_stream', estimated=True)
        elif reading.usage is None and reading.complete:
            self._post('ok', self._estimated(reading), estimated=True)
        elif reading.usage is None and reading.response_id is not None:
            unfinished[reading.response_id] = self
            if self._run is not None:
                # The framework may fail on this answer; what is billed is known when it is fetched.
                self._run.pending = None
        else:
            self._post('ok', reading)

    def cut(self, error: BaseException | None) -> None:
        """The answer was left before its end: closed by the caller, cancelled, or broken off."""
        if self._posted:
            return
        name = type(error).__name__ if error else None
        refused = self._status >= _FIRST_ERROR_STATUS
        if refused or name in _UNSENT:
            self._post('error', None, error=self._refusal() if refused else name, billed=False)
            return
        reading, unreadable = self._reading(b'')
        if self._stream is not None and reading is not None and reading.complete:
            self.read(b'')
            return
        status: EntryStatus = 'cancelled' if _left_by_caller(error) else 'error'
        if reading is not None and reading.usage is not None and reading.finish is not None:
            # The counts are final once the answer has said why it ended.
            self._post('ok' if status == 'cancelled' else status, reading, error=name)
            return
        self._post(
            status,
            self._estimated(reading or Reading(usage=None, complete=False)),
            error=unreadable or name,
            estimated=True,
        )
        if self._run is not None and status == 'cancelled':
            self._run.cut = True
            close(self._run)

    def leave(self) -> None:
        """Post an answer that was never fetched."""
        self._post('abandoned', Reading(usage=None, complete=False), error='never_fetched')

    def _refusal(self) -> str:
        return f'http_{self._status}'

    def _reading(self, content: bytes) -> tuple[Reading | None, str | None]:
        """What the answer says; an answer that contradicts itself is posted without usage."""
        try:
            if self._stream is not None:
                reading = self._stream.reading()
            else:
                body = loads(content)
                if body is None:
                    return None, 'unreadable_answer' if content else None
                reading = self._reader.answer(body)
            return self._reader.refine(reading, self._body or {}), None
        except UsageError:
            return Reading(usage=None, complete=True), 'UsageError'

    def _estimated(self, reading: Reading) -> Reading:
        """The reading with counts of ours where the provider's are missing."""
        seen = reading.usage
        provider = self._endpoint.provider
        output = tokens(reading.output_chars, provider)
        if seen is None:
            chars = self._reader.chars(self._body or {})
            usage = Usage(input_tokens=tokens(chars, provider), output_tokens=output)
            return replace(reading, usage=usage)
        if output <= seen.output_tokens:
            return reading
        return replace(reading, usage=replace(seen, output_tokens=output))

    def _post(
        self,
        status: EntryStatus,
        reading: Reading | None,
        *,
        error: str | None = None,
        billed: bool = True,
        estimated: bool = False,
    ) -> None:
        if self._posted:
            return
        self._posted = True
        if reading is not None and reading.response_id is not None:
            unfinished.pop(reading.response_id, None)
        now_ns = time.perf_counter_ns()
        run, endpoint = self._run, self._endpoint
        if run is not None and run.pending == self.cut:
            run.pending = None
        if run is not None and status != 'error':
            run.answered = True
            run.answer_ids |= {run.id, reading.response_id or run.id} if reading else {run.id}
        entry_id = self._id(reading)
        entries = post(
            self._accounts,
            Observed(
                id=entry_id,
                who=self._who,
                time=self._time,
                provider=endpoint.provider,
                api=endpoint.api,
                model=self._model,
                reading=reading,
                usage_source='estimated' if estimated else 'reported',
                terms=self._terms(),
                billed=billed,
                call_type=self._call_type,
                status=status,
                error=error,
                endpoint=endpoint.host,
                run_id=run.id if run else None,
                parent_run_id=run.parent_id if run else None,
                latency_us=(now_ns - self._started_ns) // 1_000,
                first_token_us=None
                if self._stream is None or self._first_ns is None
                else (self._first_ns - self._started_ns) // 1_000,
                prefix=self._prefix + _said(reading),
            ),
        )
        self._body = None
        self._hang(entry_id, reading, entries, ok=status == 'ok', now_ns=now_ns)

    def _hang(
        self,
        entry_id: str,
        reading: Reading | None,
        entries: Sequence[Entry],
        *,
        ok: bool,
        now_ns: int,
    ) -> None:
        """Post what levers decided about this request, and let them learn from its answer."""
        follower = self._run.follower if self._run else None
        if not self._choices and follower is None:
            return
        first_ns = now_ns if self._first_ns is None else self._first_ns
        answer = Answer(
            time=self._time,
            first_token_us=(first_ns - self._started_ns) // 1_000,
            reading=reading,
            ok=ok,
            official=self._endpoint.official,
            provider=self._endpoint.provider,
            model=self._model,
        )
        for choice in self._choices:
            decide(self._accounts, choice.about(entry_id, answer))
        if self._run is not None and follower is not None:
            follower.posted(
                Posted(
                    entry_id=entry_id,
                    run_id=self._run.id,
                    provider=self._endpoint.provider,
                    model=self._model,
                    cost=cost_of(entries),
                    answer=answer,
                    tell=partial(decide, self._accounts),
                )
            )

    def _id(self, reading: Reading | None) -> str:
        """Unique on the provider's own hosts by its response id; elsewhere ids may repeat."""
        run = self._run.id if self._run else f'{self._time.timestamp():.6f}.{id(self):x}'
        attempt = f'{run}:{self._attempt}'
        if reading is None or reading.response_id is None:
            return attempt
        if self._endpoint.official:
            return f'{self._endpoint.provider}:{reading.response_id}'
        return f'{self._endpoint.provider}:{reading.response_id}@{self._endpoint.host}/{attempt}'

    def _terms(self) -> Terms:
        """What the request and the address say; a tier that was asked for need not have served."""
        asked = self._asked
        return Terms(batch=False, geo=asked.geo, region=self._endpoint.region)


def _said(reading: Reading | None) -> tuple[str, ...]:
    """Why the provider says that its cache missed, as the prefix holds it."""
    miss = None if reading is None else reading.cache_miss
    return () if miss is None else (diagnosis(miss.reason, miss.tokens),)


def _left_by_caller(error: BaseException | None) -> bool:
    return error is None or isinstance(error, (CancelledError, GeneratorExit, KeyboardInterrupt))


unfinished: dict[str, Exchange] = {}
"""Answers that are made in the background, by response id, until they are fetched."""


def _never_fetched() -> None:
    """Post what was never fetched: it is billed, and nobody here knows how much."""
    for exchange in list(unfinished.values()):
        exchange.leave()


posts_at_exit(_never_fetched)
