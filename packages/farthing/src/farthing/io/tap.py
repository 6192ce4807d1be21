"""The tap: reads what providers bill on the way past, where the frameworks lose it.

It wraps `send` of the clients of httpx and httpx2, once per process, above their transports. It
acts only on requests to known providers, to addresses that the user listed, and on those that an
open run of a framework sends with a known protocol. Bytes pass unchanged; a failure in here is
counted as lost and never reaches the caller.
"""

import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from farthing.io.endpoints import Endpoints
from farthing.io.exchange import Exchange
from farthing.meter import Account, Spend
from farthing.meter.account import Posts
from farthing.run.seats import parking

if TYPE_CHECKING:
    from farthing.io.parked import Parked
    from farthing.run.replies import Seat

CLIENTS = ('httpx', 'httpx2')
# Their SDKs send by these clients alone: where no request was seen, none was sent.
_PROVIDERS = frozenset({'anthropic', 'openai', 'azure'})
_ORIGINAL = '__farthing_original__'


class _User:
    """A ledger that the tap was switched on for, and how many times."""

    def __init__(self, meter: Posts) -> None:
        self.account = Account(meter, Spend())
        self.times = 0


class Tap:
    """What is tapped, and where calls outside any run are posted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[int, _User] = {}
        self._default: Account | None = None
        self._jobs = 0
        self.endpoints = Endpoints()

    @property
    def installed(self) -> bool:
        """Whether requests are read."""
        return self._default is not None

    def sees(self, provider: str | None) -> bool:
        """Whether no call to this provider can be missed."""
        return self._default is not None and provider in _PROVIDERS

    def install(self, account: Account) -> None:
        """Switch on for a user; calls that belong to no run go to the first user's ledger."""
        with self._lock:
            user = self._users.setdefault(id(account.meter), _User(account.meter))
            user.times += 1
            self._choose()
            self._wrap_all()

    def park(self) -> None:
        """Have requests of a job wait in its lot, whether anything is recorded or not."""
        with self._lock:
            self._jobs += 1
            self._wrap_all()

    def unpark(self) -> None:
        """Take back one `park`."""
        with self._lock:
            self._jobs -= 1
            self._choose()

    def _wrap_all(self) -> None:
        for name in CLIENTS:
            module = _installed(name)
            if module is not None:
                _wrap(module, self)

    def release(self, account: Account) -> None:
        """Take back one `install`; the last one switches the tap off."""
        with self._lock:
            user = self._users.get(id(account.meter))
            if user is None:
                return
            user.times -= 1
            if not user.times:
                del self._users[id(account.meter)]
            self._choose()

    def uninstall(self) -> None:
        """Switch off for everybody."""
        with self._lock:
            self._users.clear()
            self._choose()

    def _choose(self) -> None:
        """Take the first user's ledger, or give the clients their own `send` back."""
        first = next(iter(self._users.values()), None)
        self._default = first.account if first else None
        if first is None and not self._jobs:
            for name in CLIENTS:
                module = sys.modules.get(name)
                if module is not None:
                    _unwrap(module)

    def exchange(self, request: Any) -> Exchange | None:
        """The exchange that `request` opens; `None` when it is none of ours."""
        default = self._default
        if default is None:
            return None
        try:
            return self.endpoints.exchange(request, default)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            _lose(default, error)
            return None


tap = Tap()
"""The tap of this process."""


def unwrapped(send: Callable[..., Any]) -> Callable[..., Any]:
    """A client's own `send`, whether the tap is on or not."""
    original: Callable[..., Any] = getattr(send, _ORIGINAL, send)
    return original


def _installed(name: str) -> ModuleType | None:
    if name in sys.modules:
        return sys.modules[name]
    return import_module(name) if find_spec(name) else None


def _wrap(module: Any, owner: Tap) -> None:
    for client, wrapped in ((module.Client, _sync_send), (module.AsyncClient, _async_send)):
        if not hasattr(client.send, _ORIGINAL):
            original = client.send
            replacement = wrapped(module, owner, original)
            setattr(replacement, _ORIGINAL, original)
            client.send = replacement


def _unwrap(module: Any) -> None:
    for client in (module.Client, module.AsyncClient):
        original = getattr(client.send, _ORIGINAL, None)
        if original is not None:
            client.send = original


def _lose(account: Account, error: Exception) -> None:
    account.meter.lose(error)
    account.spend.lose()


def _safely(exchange: Exchange, step: Callable[..., None], *facts: Any) -> None:
    """Take one step of an exchange; what goes wrong is counted and never raised."""
    try:
        step(*facts)
    except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
        if exchange.abandon():
            for account in exchange.accounts:
                _lose(account, error)


def _parked(request: Any, seat: 'Seat | None', endpoints: Endpoints) -> 'Parked | None':
    """The request in the lot of its job; batches are loaded by those alone who use them."""
    known = None if seat is None else endpoints.of_job(request)
    if seat is None or known is None:
        return None
    from farthing.io.parked import parked  # noqa: PLC0415 - see above

    return parked(request, seat, known)


def _sync_send(module: Any, owner: Tap, original: Callable[..., Any]) -> Callable[..., Any]:
    passing = _sync_stream(module)

    def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        waiting = _parked(request, parking.get(), owner.endpoints)
        if waiting is not None:
            return waiting.wait(module)
        exchange = owner.exchange(request)
        if exchange is None:
            return original(self, request, stream=stream, **options)
        try:
            response = original(self, request, stream=stream, **options)
        except BaseException as error:
            _safely(exchange, exchange.cut, error)
            raise
        if _answered(exchange, response, stream=stream):
            response.stream = passing(response.stream, exchange)
        return response

    return send


def _async_send(
    module: Any, owner: Tap, original: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    passing = _async_stream(module)

    async def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        waiting = _parked(request, parking.get(), owner.endpoints)
        if waiting is not None:
            return await waiting.awaited(module)
        exchange = owner.exchange(request)
        if exchange is None:
            return await original(self, request, stream=stream, **options)
        try:
            response = await original(self, request, stream=stream, **options)
        except BaseException as error:
            _safely(exchange, exchange.cut, error)
            raise
        if _answered(exchange, response, stream=stream):
            response.stream = passing(response.stream, exchange)
        return response

    return send


def _answered(exchange: Exchange, response: Any, *, stream: bool) -> bool:
    """Read the answer's head and, unless it is streamed, its body; whether more bytes follow."""
    head = response.headers
    encoding = head.get('content-encoding', '')
    _safely(
        exchange,
        exchange.answered,
        response.status_code,
        head.get('content-type', ''),
        encoding if stream else '',
    )
    if stream and not response.is_stream_consumed:
        return True
    if exchange.streams:
        _safely(exchange, exchange.feed, response.content)
        _safely(exchange, exchange.ended)
    else:
        _safely(exchange, exchange.read, response.content)
    return False


def _sync_stream(module: Any) -> Callable[[Any, Exchange], Any]:
    class Passing(module.SyncByteStream):  # type: ignore[misc]
        """Passes a response's bytes on and lets the exchange read along."""

        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self._inner = inner
            self._exchange = exchange

        def __iter__(self) -> Iterator[bytes]:
            exchange = self._exchange
            try:
                for chunk in self._inner:
                    _safely(exchange, exchange.feed, chunk)
                    yield chunk
            except BaseException as error:
                _safely(exchange, exchange.cut, error)
                raise
            _safely(exchange, exchange.ended)

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                _safely(self._exchange, self._exchange.cut, None)

    return Passing


def _async_stream(module: Any) -> Callable[[Any, Exchange], Any]:
    class Passing(module.AsyncByteStream):  # type: ignore[misc]
        """Passes a response's bytes on and lets the exchange read along."""

        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self._inner = inner
            self._exchange = exchange

        async def __aiter__(self) -> Any:
            exchange = self._exchange
            try:
                async for chunk in self._inner:
                    _safely(exchange, exchange.feed, chunk)
                    yield chunk
            except BaseException as error:
                _safely(exchange, exchange.cut, error)
                raise
            _safely(exchange, exchange.ended)

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                _safely(self._exchange, self._exchange.cut, None)

    return Passing
