"""Switching the ledger on: for the process with `install`, for a block of code with `recording`."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import active_instrument_tags

from farthing.attribution import NOBODY, Attribution, current_over
from farthing.errors import InputError
from farthing.io.recording import recorded
from farthing.io.tap import tap
from farthing.meter import Account, Spend, ambient, sweep
from farthing.meter.shared import Source, account
from llama_index_farthing.calls import Calls
from llama_index_farthing.events import Events, Spans
from llama_index_farthing.facts import attribution_of

_Handler = TypeVar('_Handler')


class Installed:
    """A ledger under every model of this process, until `uninstall`."""

    def __init__(self, one: Account, defaults: Attribution) -> None:
        self._account = one
        self._defaults = defaults

    @property
    def spend(self) -> Spend:
        """What the calls since `install` have cost so far."""
        return self._account.spend

    def sweep(self, *, older_than_s: float = 0) -> int:
        """Post, as estimates, the calls that were started and abandoned; how many they were.

        A stream that is never read to its end, nor closed, ends without a word from LlamaIndex.
        This happens by itself when the process exits.
        """
        posted = sweep(older_than_s=older_than_s)
        _switch.calls.forget_closed()
        return posted

    def uninstall(self) -> None:
        """Stop recording; a second time does nothing."""
        _switch.off(self)


class _Switch:
    """What is switched on in this process. The handlers hang on the dispatcher while it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._installed: Installed | None = None
        self._tapped = False
        self._blocks = 0
        self.calls = Calls(self)
        self._events = Events(self.calls)
        self._spans = Spans(self.calls)

    def accounts(self) -> Sequence[Account]:
        """The accounts in force in this context."""
        installed, blocks = self._installed, ambient.get()
        return blocks if installed is None else (installed._account, *blocks)  # noqa: SLF001 - ours

    def outer(self) -> Attribution:
        """Whom a call is for that does not say."""
        return current_over(NOBODY if self._installed is None else self._installed._defaults)  # noqa: SLF001

    def on(self, one: Account, defaults: Attribution, *, http_tap: bool) -> Installed:
        """Record every call of the process."""
        with self._lock:
            installed = self._installed
            if installed is not None and installed._account.meter is not one.meter:  # noqa: SLF001
                raise InputError(
                    'llama_index_farthing is installed with another ledger: call `uninstall()` '
                    'first, or use `recording(ledger)` to post to both'
                )
            if installed is None:
                installed = Installed(one, defaults)
            installed._defaults = defaults  # noqa: SLF001 - ours
            if http_tap and not self._tapped:
                tap.install(installed._account)  # noqa: SLF001 - ours
                self._tapped = True
            self._installed = installed
            self._hang()
            return installed

    def off(self, installed: Installed | None) -> None:
        """Stop recording every call; blocks go on."""
        with self._lock:
            if self._installed is None or installed not in {None, self._installed}:
                return
            installed, self._installed = self._installed, None
            if self._tapped:
                tap.release(installed._account)  # noqa: SLF001 - ours
                self._tapped = False
            self._hang()

    def keep(self) -> None:
        """Keep the handlers on the dispatcher for good; without an account they do nothing."""
        with self._lock:
            self._blocks += 1
            self._hang()

    @contextmanager
    def block(self) -> Iterator[None]:
        """Keep the handlers on the dispatcher for a block."""
        with self._lock:
            self._blocks += 1
            self._hang()
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                self._hang()

    def _hang(self) -> None:
        """Hang the handlers on the dispatcher once, or take them off."""
        root = get_dispatcher()
        wanted = self._installed is not None or self._blocks > 0
        _hang(root.event_handlers, self._events, wanted=wanted)
        _hang(root.span_handlers, self._spans, wanted=wanted)


def _hang(handlers: list[_Handler], ours: _Handler, *, wanted: bool) -> None:
    if ours in handlers and not wanted:
        handlers.remove(ours)
    elif wanted and ours not in handlers:
        handlers.append(ours)


_switch = _Switch()


class Recorder:
    """Records the calls that a router makes, whether anything is installed or not.

    Args:
        ledger: As for `install`.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(self, ledger: Source = None) -> None:
        self._account = account(ledger)
        tap.install(self._account)
        _switch.keep()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the calls that start in the block to the ledger, too, if they are not already."""
        if any(one.meter is self._account.meter for one in _switch.accounts()):
            yield
            return
        token = ambient.set((self._account, *ambient.get()))
        try:
            yield
        finally:
            ambient.reset(token)

    def who(self) -> Attribution:
        """Whom a call is for that starts here."""
        return attribution_of(active_instrument_tags.get(), _switch.outer())


def install(
    ledger: Source = None,
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    endpoints: Iterable[str] = (),
    http_tap: bool = True,
) -> Installed:
    """Record every model call that LlamaIndex makes in this process.

    Tenant, task and session are taken from `instrument_tags({...})`, else from
    `farthing.attributed(...)`, else from here. Calling it again with the same ledger changes
    what is given here, and doubles nothing.

    Args:
        ledger: An open ledger or its address, such as `sqlite:///farthing.db`; by default
            `FARTHING_LEDGER`, else `farthing.db` in the working directory.
        tenant: Whose money a call is that does not say.
        task: What a call is for that does not say.
        session: The conversation of a call that does not say.
        endpoints: Further addresses whose traffic is read: proxies, gateways, local servers.
        http_tap: Whether to read usage from the HTTP answers. Without it, what LlamaIndex loses
            stays unknown, and entries say `assumed`.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken, or another ledger is installed.
    """
    if isinstance(endpoints, str):
        raise InputError(f'`endpoints` is {endpoints!r}: expected a list of addresses')
    defaults = Attribution(tenant=tenant, task=task, session=session)
    one = account(ledger)
    for address in endpoints:
        tap.endpoints.add(address)
    return _switch.on(one, defaults, http_tap=http_tap)


def whom() -> Attribution:
    """Whom a call that is made here is for."""
    return attribution_of(active_instrument_tags.get(), _switch.outer())


def records() -> bool:
    """Whether calls that are made here are recorded, by events if not by the tap."""
    return bool(_switch.accounts())


def uninstall() -> None:
    """Stop recording; without `install` it does nothing."""
    _switch.off(None)


@contextmanager
def recording(
    ledger: Source = None,
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Spend]:
    """Record every model call made in the block, installed or not.

    Blocks nest: an inner one adds to the outer one's sum as well.

    Args:
        ledger: As for `install`.
        tenant: Whose money it is, as in `farthing.attributed`.
        task: What kind of work it is.
        session: Which conversation it belongs to.
        tags: Further names and values.

    Yields:
        What the block has cost so far.

    Raises:
        LedgerError: The ledger cannot be opened.
    """
    with (
        _switch.block(),
        recorded(ledger, tenant=tenant, task=task, session=session, tags=tags) as spend,
    ):
        yield spend
