"""A request of a job that waits in its lot instead of leaving, and the response that it gets.

The SDK and the framework above see an ordinary response of their own HTTP library. Errors carry
`x-should-retry: false`, which the SDKs heed: what is tried again is the job's to decide.
"""

import logging
from asyncio import wrap_future
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from farthing.attribution import current
from farthing.entry import Entry
from farthing.errors import BatchError
from farthing.meter import Run, claim, close
from farthing.meter.choices import Answer, chosen
from farthing.meter.following import Posted, cost_of
from farthing.run.drafting import Asked
from farthing.run.replies import Reply, Seat, refusal
from farthing.wire import Endpoint, Reader, Reading, endpoint, for_api
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads, text
from farthing.wire.prompt import shape_of
from farthing.wire.streamed import streamed

_FIRST_ERROR = 400
_log = logging.getLogger('farthing')


class Parked:
    """One request in a lot.

    Args:
        seat: Whose request it is.
        request: A request of httpx or httpx2.
        known: Where it goes.
        place: The address up to the API's version, and the path behind it.
        body: Its JSON.
    """

    def __init__(
        self, seat: Seat, request: Any, known: Endpoint, place: tuple[str, str], body: Any
    ) -> None:
        self._request = request
        self._body: Mapping[str, Any] = body
        self._api = known.api
        self._provider = known.provider
        self._model = text(body, 'model')
        reader = for_api(known.api)
        call_type = 'embeddings' if known.api == 'openai_embeddings' else 'chat'
        self._reader: Reader = reader
        self._run: Run | None = claim(lambda: reader.last_text(body), call_type)  # type: ignore[arg-type]
        self._choices = chosen(shape_of(body), lambda: reader.last_text(body))
        self._seat = seat
        self._time = datetime.now(UTC)
        self.reply: Future[Reply] = self._park(known, *place)

    def _park(self, known: Endpoint, base: str, path: str) -> 'Future[Reply]':
        run, seat = self._run, self._seat
        headers = dict(self._request.headers.items())  # each look into httpx' own goes over all
        kept = DIALECTS[known.provider].headers
        try:
            return seat.lot.park(
                seat,
                Asked(
                    provider=known.provider,
                    api=known.api,
                    base=base,
                    path=path,
                    headers={name: headers[name] for name in sorted(kept) if name in headers},
                    account=seat.lot.learn(known.provider, base, headers),
                    body=self._body,
                    who=run.who if run else current(),
                    run_id=run.id if run else None,
                    parent_run_id=run.parent_id if run else None,
                ),
            )
        except BatchError as error:
            refused: Future[Reply] = Future()
            refused.set_result(refusal(known.provider, error))
            return refused

    def wait(self, module: Any) -> Any:
        """The response, when it is there; for code without a loop."""
        try:
            return self._response(module, self.reply.result())
        except BaseException:
            self._let_go()
            raise

    async def awaited(self, module: Any) -> Any:
        """The response, when it is there."""
        try:
            return self._response(module, await wrap_future(self.reply))
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """The call ends without an answer, and nothing is to be posted about it."""
        if self._run is not None:
            close(self._run)

    def _response(self, module: Any, reply: Reply) -> Any:
        words = loads(reply.body) or {}
        failed = reply.status >= _FIRST_ERROR
        try:
            self._note(reply, words, failed=failed)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is told
            _log.warning(
                'farthing: entry %s is posted, and not linked to the call that it is of (%s: %s)',
                reply.entry_id,
                type(error).__name__,
                error,
            )
        headers = {'content-type': 'application/json'}
        content = reply.body
        if failed:
            headers['x-should-retry'] = 'false'
        elif self._body.get('stream') is True:
            headers['content-type'] = 'text/event-stream; charset=utf-8'
            content = streamed(self._api, words, self._body)
        response = module.Response(
            reply.status, headers=headers, content=content, request=self._request
        )
        response.elapsed = timedelta(0)
        return response

    def _note(self, reply: Reply, words: Mapping[str, Any], *, failed: bool) -> None:
        """Link the framework's run and the levers' choices to the entry that is posted already."""
        run = self._run
        if run is None and not self._choices:
            return
        reading = None if failed else self._reader.answer(words)
        if run is not None and not failed:
            run.answered = True
            run.answer_ids |= {run.id, (reading.response_id if reading else None) or run.id}
        if run is not None and reply.entries:
            for account in run.accounts:
                if account.meter is self._seat.lot.meter:
                    for entry in reply.entries:
                        account.spend.add(entry)
        if reply.fresh and reply.entry_id is not None:
            self._settle(reply.entry_id, reply.entries, reading, ok=not failed)

    def _settle(
        self, entry_id: str, entries: Sequence[Entry], reading: Reading | None, *, ok: bool
    ) -> None:
        waited = datetime.now(UTC) - self._time
        answer = Answer(
            time=self._time,
            first_token_us=waited // timedelta(microseconds=1),
            reading=reading,
            ok=ok,
            official=endpoint(self._request.url.host, self._request.url.path) is not None,
            provider=self._provider,
            model=self._model,
            batch=entries[0].mode == 'batch',
        )
        decide = self._seat.lot.meter.decide  # where the entry is, whoever else hears of the run
        for choice in self._choices:
            decide(choice.about(entry_id, answer))
        run = self._run
        if run is not None and run.follower is not None:
            run.follower.posted(
                Posted(
                    entry_id=entry_id,
                    run_id=run.id,
                    provider=self._provider,
                    model=self._model,
                    cost=cost_of(entries),
                    answer=answer,
                    tell=decide,
                )
            )


def parked(request: Any, seat: Seat, known: Endpoint) -> Parked | None:
    """The request in the lot of its seat; `None` where it leaves at once.

    A billed call that no batch takes is counted by the lot, which warns of it: whoever runs a job
    expects half the price.

    Args:
        request: A request of httpx or httpx2.
        seat: Whose code sends it.
        known: The billed call that it is.

    Raises:
        Dropped: The seat's code was let go.
    """
    dialect = DIALECTS.get(known.provider)
    place = None if dialect is None else _place(str(request.url), dialect.paths)
    body = None if place is None else loads(request.content)
    if place is None or body is None:
        seat.lot.pass_by(seat, known.provider)
        return None
    return Parked(seat, request, known, place, body)


def _place(url: str, paths: frozenset[str]) -> tuple[str, str] | None:
    """The address up to the API's version, and the path behind it, if batches know that."""
    parts = urlsplit(url)
    tail = f'{parts.path}?{parts.query}' if parts.query else parts.path
    for path in paths:
        if tail.endswith(path):
            return f'{parts.scheme}://{parts.netloc}{tail.removesuffix(path)}', path
    return None
