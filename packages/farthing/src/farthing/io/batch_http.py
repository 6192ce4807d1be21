"""Batches over HTTP: each call once, so that no retry of a client ever creates a second batch.

It uses httpx or httpx2, whichever is there: the SDKs of the providers bring one of them. The tap
does not see what is sent here, for what is billed here is posted when its result is read.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from farthing.batching.chunking import Target
from farthing.batching.orphans import SKEW_S
from farthing.errors import BatchError
from farthing.io.tap import CLIENTS, unwrapped
from farthing.run.providers import InDoubt, Refused
from farthing.wire.batches import Dialect, Remote, Words
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import inner, loads, text
from farthing.wire.openai_batches import file_named

_TIMEOUT_S = 600.0
_CONNECT_S = 15.0
_LONGEST_LINE = 64 << 20
_FIRST_ERROR = 400
_TIMED_OUT = 408
_FIRST_SERVER_ERROR = 500
_NEVER_LEFT = ('ConnectError', 'ConnectTimeout', 'PoolTimeout', 'UnsupportedProtocol')


class HttpProvider:
    """A provider at an address, with the headers that pay.

    Args:
        provider: `anthropic` or `openai`.
        base: The address up to the API's version.
        headers: Credentials; they are kept in memory alone.
    """

    def __init__(self, provider: str, base: str, headers: Mapping[str, str]) -> None:
        self._dialect: Dialect = DIALECTS[provider]
        self._base = base
        module = _module()
        self._error: type[Exception] = module.HTTPError
        self._client = _client_class()(
            headers=dict(headers),
            timeout=module.Timeout(_TIMEOUT_S, connect=_CONNECT_S),
            follow_redirects=False,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def uploaded(self, name: str, size: int) -> str | None:
        """See `farthing.run.providers.Provider`; so below."""
        after: str | None = None
        while True:
            query = {'purpose': 'batch', 'order': 'desc', 'limit': '1000'}
            page = self._json('GET', '/files', params=query | ({'after': after} if after else {}))
            found = file_named(page, name, size)
            if found is not None:
                return found
            after = text(page, 'last_id') if page.get('has_more') else None
            if after is None:
                return None

    def upload(self, name: str, content: Path) -> str:
        """Upload a file."""
        with content.open('rb') as file:
            words = self._json(
                'POST',
                '/files',
                data={'purpose': 'batch'},
                files={'file': (name, file, 'application/jsonl')},
            )
        return _named(words, 'id')

    def create(self, target: Target, label: str, *, content: Path, file: str | None) -> Remote:
        """Create a batch."""
        place = self._dialect.place(target.path)
        headers = dict(target.headers)
        if file is not None:
            body = self._dialect.creation(label, target.path, file)
            return self._dialect.remote(self._json('POST', place, headers=headers, json=body))
        size = str(content.stat().st_size)
        headers |= {'content-type': 'application/json', 'content-length': size}
        with content.open('rb') as whole:
            words = self._json('POST', place, headers=headers, content=_blocks(whole))
        return self._dialect.remote(words)

    def get(self, target: Target, batch: str) -> Remote:
        """A batch as it is now."""
        path = _inside(self._dialect.place(target.path), batch)
        return self._dialect.remote(self._json('GET', path, headers=dict(target.headers)))

    def listed(self, target: Target, since_s: float) -> list[Remote]:
        """The batches since a time, newest first."""
        found: list[Remote] = []
        after: str | None = None
        while True:
            page = self._dialect.listing(
                self._json(
                    'GET',
                    self._dialect.place(target.path).partition('?')[0],
                    headers=dict(target.headers),
                    params=self._dialect.query(after),
                )
            )
            found += page.batches
            old = page.batches and page.batches[-1].created_s < since_s - SKEW_S
            if page.after is None or old:
                return found
            after = page.after

    def results(self, target: Target, output: str) -> Iterator[bytes]:
        """The lines of a result, as they arrive."""
        with (
            self._told(),
            self._client.stream(
                'GET', self._base + output, headers=dict(target.headers)
            ) as response,
        ):
            if response.status_code >= _FIRST_ERROR:
                response.read()
                raise _refused(response)
            yield from _lines(response.iter_bytes())

    def cancel(self, target: Target, batch: str) -> None:
        """Ask a batch to stop."""
        path = _inside(self._dialect.place(target.path), batch, 'cancel')
        self._json('POST', path, headers=dict(target.headers))

    def ask(self, target: Target, body: bytes) -> tuple[int, bytes]:
        """Ask one request at once."""
        headers = {**dict(target.headers), 'content-type': 'application/json'}
        with self._told():
            response = self._client.post(self._base + target.path, headers=headers, content=body)
        return response.status_code, response.content

    def _json(self, method: str, path: str, **options: Any) -> Words:
        with self._told():
            response = self._client.request(method, self._base + path, **options)
        if response.status_code >= _FIRST_SERVER_ERROR or response.status_code == _TIMED_OUT:
            # It may have been carried out all the same.
            raise InDoubt(f'HTTP {response.status_code}')
        if response.status_code >= _FIRST_ERROR:
            raise _refused(response)
        words = loads(response.content)
        if words is None:
            raise InDoubt('the answer is no JSON')
        return words

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the client's errors into what they say about the request."""
        try:
            yield
        except self._error as error:
            name = type(error).__name__
            if name in _NEVER_LEFT:
                raise Refused(0, name, f'{self._base} cannot be reached: {error}') from error
            raise InDoubt(f'{name}: {error}') from error


def _inside(place: str, *steps: str) -> str:
    head, mark, query = place.partition('?')
    return f'{"/".join((head, *steps))}{mark}{query}'


def _named(words: Words, name: str) -> str:
    found = text(words, name)
    if found is None:
        raise InDoubt(f'the answer has no `{name}`')
    return found


def _refused(response: Any) -> Refused:
    error = inner(loads(response.content) or {}, 'error')
    kind = text(error, 'code') or text(error, 'type')
    return Refused(response.status_code, kind, text(error, 'message') or 'no reason was given')


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(1 << 18):
        yield block


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Lines by `\n` alone: a text may hold other separators that Python takes for ends."""
    rest = b''
    for block in blocks:
        *whole, rest = (rest + block).split(b'\n')
        yield from (line for line in whole if line.strip())
        if len(rest) > _LONGEST_LINE:
            raise BatchError(f'a result has a line of over {_LONGEST_LINE} bytes: it is not read')
    if rest.strip():
        yield rest


@cache
def _module() -> Any:
    for name in CLIENTS:
        if name in sys.modules or find_spec(name):
            return import_module(name)
    raise BatchError('batches are sent with httpx: install `httpx`, or an SDK that brings it')


@cache
def _client_class() -> Any:
    base = _module().Client
    return type('Client', (base,), {'send': unwrapped(base.send)})
