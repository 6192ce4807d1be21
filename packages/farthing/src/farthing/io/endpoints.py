"""Which requests are calls to a provider, and what their address says."""

import threading
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from farthing import wire
from farthing.errors import InputError
from farthing.io.exchange import Endpoint, Exchange, unfinished
from farthing.meter import Account, in_run
from farthing.wire.fields import loads


class Endpoints:
    """The providers' own addresses, those that the user listed, and those of open runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listed: dict[str, str | None] = {}

    def add(self, base_url: str, *, provider: str | None = None) -> None:
        """List an address of the user's: a proxy, a gateway, a local server.

        Args:
            base_url: What the SDK takes as `base_url`, such as `http://127.0.0.1:8080/v1`.
            provider: Who bills; by default the owner of the protocol that is spoken there.

        Raises:
            InputError: It is no address.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in {'http', 'https'} or not parts.netloc:
            raise InputError(
                f'endpoint {base_url!r} is no address: expected one like `http://127.0.0.1:8080/v1`'
            )
        with self._lock:
            self._listed = {**self._listed, parts.netloc.lower(): provider}

    def exchange(self, request: Any, default: Account) -> Exchange | None:
        """The exchange that a request opens; `None` when it is no provider's billed call."""
        if request.method == 'GET':
            return unfinished.get(request.url.path.rpartition('/')[2])
        if request.method != 'POST':
            return None
        found = self._endpoint(request.url)
        if found is None:
            return None
        body = loads(request.content)
        return None if body is None else Exchange(found, wire.for_api(found.api), body, default)

    def of_job(self, request: Any) -> wire.Endpoint | None:
        """The billed call that a request of a batch job is; `None` where it is none.

        At an address that nobody knows it is one only if a provider's SDK sends it: a tool may
        post its own things to a path that ends in `/messages`.
        """
        if request.method != 'POST':
            return None
        url = request.url
        known = wire.endpoint(url.host, url.path)
        if known is not None:
            return known
        netloc = url.netloc.decode('ascii')
        if netloc not in self._listed and not wire.by_sdk(request.headers):
            return None
        known = wire.endpoint(url.host, url.path, listed=True)
        provider = self._listed.get(netloc)
        return known if known is None or provider is None else replace(known, provider=provider)

    def _endpoint(self, url: Any) -> Endpoint | None:
        host, path = url.host, url.path
        netloc = url.netloc.decode('ascii')
        known = wire.endpoint(host, path)
        official = known is not None
        if known is None:
            if netloc not in self._listed and not in_run():
                return None
            known = wire.endpoint(host, path, listed=True)
            if known is None:
                return None
        return Endpoint(
            provider=self._listed.get(netloc) or known.provider,
            api=known.api,
            host=netloc,
            region=wire.region_of(host),
            official=official,
            model=wire.model_of(path),
        )
