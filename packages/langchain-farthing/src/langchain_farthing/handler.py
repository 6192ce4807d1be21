"""The callback handler: it tells the ledger who called; the HTTP tap tells it how much.

One handler serves invoke, stream, batch and their async twins. It runs inline, so that in async
code its context variable is set in the caller's own task. A run that the tap has seen is the
tap's to post; of all others the framework's own usage is posted when they end.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from farthing.attribution import Attribution, current, current_over
from farthing.errors import InputError
from farthing.io.tap import tap
from farthing.meter import Account, Run, Spend, ended, find, opened, sweep
from farthing.meter.shared import Source, account
from farthing.meter.unseen import post_observed
from farthing.wire.prompt import Shape
from langchain_farthing.facts import (
    attribution_of,
    failure_of,
    input_chars,
    last_text,
    post_answered,
    provider_of,
    shape_of,
)


class _Events(BaseCallbackHandler):
    """What every handler of ours does with LangChain's events."""

    run_inline = True
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_llm = False
    ignore_chat_model = False
    ignore_custom_event = True

    def _accounts(self) -> Iterable[Account]:
        raise NotImplementedError

    def _outer(self) -> Attribution:
        return current()

    def _start(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
        batch_size: int,
        text: Callable[[], str],
        chars: Callable[[], int],
        shape: Callable[[], Shape],
    ) -> None:
        who = attribution_of(metadata, self._outer())
        provider = provider_of(metadata)
        for one in self._accounts():
            opened(
                Run(
                    str(run_id),
                    key=run_id,
                    parent_id=None if parent_run_id is None else str(parent_run_id),
                    who=who,
                    account=one,
                    provider=provider,
                    model=metadata.get('ls_model_name'),
                    tapped=tap.sees(provider),
                    siblings=batch_size,
                    text=text,
                    input_chars=chars,
                    shape=shape,
                )
            )

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - LangChain's signature
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        batch_size: int = 1,
        invocation_params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Open a run."""
        self._start(
            run_id,
            parent_run_id,
            metadata or {},
            batch_size,
            lambda: last_text(messages),
            lambda: input_chars(messages),
            lambda: shape_of(messages, invocation_params or {}),
        )

    def on_llm_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - LangChain's signature
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        batch_size: int = 1,
        **_: Any,
    ) -> None:
        """Open a run of a text-completion model."""
        self._start(
            run_id,
            parent_run_id,
            metadata or {},
            batch_size,
            lambda: prompts[-1] if prompts else '',
            lambda: sum(map(len, prompts)),
            lambda: Shape(None, 1, 0),
        )

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """Note when the first token came."""
        run = find(run_id)
        if run is not None and run.first_ns is None:
            run.touch()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Post the run from the framework's own usage, unless the tap has seen it."""
        run = ended(run_id)
        if run is None or run.seen:
            return
        try:
            post_answered(run, response)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            _lost(run, error)

    def on_llm_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        response: LLMResult | None = None,
        **_: Any,
    ) -> None:
        """Post the failure, unless the tap has seen it."""
        run = ended(run_id)
        if run is None:
            return
        try:
            if run.seen:
                run.leave(error)
            elif not run.inner:
                post_observed(run, failure_of(run, error, response))
        except Exception as lost:  # noqa: BLE001 - as above
            _lost(run, lost)


def _lost(run: Run, error: Exception) -> None:
    """Count a call as lost; LangChain would swallow the error without a count."""
    for one in run.accounts:
        one.meter.lose(error)
        one.spend.lose()


class LedgerCallbackHandler(_Events):
    """Posts every model call of the chains, agents and graphs that it is given to.

    Pass one object to as many calls as you like, from several threads and tasks. Tenant, task and
    session are taken from the call's `config={'metadata': {...}}`, else from
    `farthing.attributed(...)`, else from here.

    Args:
        ledger: An open ledger or its address, such as `sqlite:///farthing.db`; by default
            `FARTHING_LEDGER`, else `farthing.db` in the working directory.
        tenant: Whose money a call is that does not say.
        task: What a call is for that does not say.
        session: The conversation of a call that does not say.
        endpoints: Further addresses whose traffic is read: proxies, gateways, local servers.
        http_tap: Whether to read usage from the HTTP answers. Without it, what the frameworks
            lose stays unknown, and entries say `assumed`.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(
        self,
        ledger: Source = None,
        *,
        tenant: str | None = None,
        task: str | None = None,
        session: str | None = None,
        endpoints: Iterable[str] = (),
        http_tap: bool = True,
    ) -> None:
        if isinstance(endpoints, str):
            raise InputError(f'`endpoints` is {endpoints!r}: expected a list of addresses')
        self._defaults = Attribution(tenant=tenant, task=task, session=session)
        self._account = account(ledger)
        for address in endpoints:
            tap.endpoints.add(address)
        if http_tap:
            tap.install(self._account)

    def _accounts(self) -> Iterable[Account]:
        return (self._account,)

    def _outer(self) -> Attribution:
        return self.attribution()

    def attribution(self) -> Attribution:
        """Whom a call here is for that does not say so itself."""
        return current_over(self._defaults)

    @property
    def spend(self) -> Spend:
        """What the calls through this handler cost so far."""
        return self._account.spend

    def sweep(self, *, older_than_s: float = 0) -> int:
        """Post, as estimates, the runs that were started and abandoned; how many they were.

        Cancelled calls end without a word from LangChain. This happens by itself when the process
        exits and, for runs that are over an hour old, when further ones start.
        """
        return sweep(older_than_s=older_than_s)
