"""Context control inside `create_agent`: the model is sent a view, the thread keeps its history."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import BaseMessage
from langgraph.config import get_config

from farthing.context import Policy
from farthing.errors import ContextError
from farthing.meter.choices import withdraw
from farthing.meter.shared import Source
from farthing.run.context_policies import ContextOptions, driver, listed, summary_model
from farthing.run.talk import Prepared, Talk
from langchain_farthing.asking import Asking, facts_of
from langchain_farthing.conversation import part_of, sent
from langchain_farthing.session import Session, who_of
from langchain_farthing.switching import compacting
from langchain_farthing.toolbox import Toolbox

Request = ModelRequest[Any]
Response = ModelResponse[Any]


class ContextMiddleware(AgentMiddleware[Any, Any, Any]):
    """Sends each call of an agent's model a part of the history that costs less.

    The thread's own history stays as it is. What was decided is kept beside the ledger, by
    `thread_id`, so that it holds over invocations, processes and restarts. Put it before
    `CacheAnnotatorMiddleware`.

    Args:
        policies: Such as `[ClearToolResults(), PeriodicSummary(model=haiku)]`; each works on what
            the one before it left.
        session: The session's name from the call's config; by default its metadata's `session`,
            else its `thread_id`, else what `farthing.attributed` says. A conversation without one
            is known by its beginning.
        limit: The most tokens a prompt may have, tools and system text included.
        ledger: Where decisions are booked; as for the other parts of this package.
        options: Clock, retention and time limits.

    Attributes:
        driver: Counts what went wrong in `failures`; `flush` waits for summaries that are made.

    Raises:
        ContextError: A policy's number, or the price of its model, cannot be.
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(
        self,
        policies: Policy | Sequence[Policy],
        *,
        session: Session | None = None,
        limit: int | None = None,
        ledger: Source = None,
        options: ContextOptions | None = None,
    ) -> None:
        super().__init__()
        self._ledger = ledger
        self._policies = listed(policies)
        self._session = session
        self._limit = limit
        self._tools = Toolbox()
        self.driver = driver(self._policies, facts_of, ledger, options or ContextOptions())

    def wrap_model_call(self, request: Request, handler: Callable[[Request], Response]) -> Response:
        """Call the model with a view of the history."""
        talk = self._talk(request)
        if talk is None:
            return handler(request)
        prepared = self.driver.prepare(talk)
        view = self._view(request, prepared)
        choice = self.driver.choose(prepared)
        try:
            response = handler(view)
        finally:
            if choice is not None:
                withdraw(choice)
        self.driver.after(prepared, self._asking(view, handler).ask)
        return response

    async def awrap_model_call(
        self, request: Request, handler: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Call the model with a view of the history."""
        talk = self._talk(request)
        if talk is None:
            return await handler(request)
        prepared = await self.driver.aprepare(talk)
        view = self._view(request, prepared)
        choice = self.driver.choose(prepared)
        try:
            response = await handler(view)
        finally:
            if choice is not None:
                withdraw(choice)
        self.driver.aafter(prepared, self._asking(view, handler).aask)
        return response

    def _talk(self, request: Request) -> Talk | None:
        """The call as the driver takes it; `None` where it cannot be read, which is counted."""
        try:
            return self._read(request)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.driver.failures.count('unreadable_call', error)
            return None

    def _read(self, request: Request) -> Talk:
        if getattr(request.model, 'use_previous_response_id', False):
            raise ContextError('the provider keeps this history: `use_previous_response_id`')
        provider, model = facts_of(request.model)
        said = [] if request.system_message is None else [request.system_message]
        return Talk(
            parts=tuple(map(part_of, request.messages)),
            fixed=(*(part_of(one).text for one in said), *self._tools.texts(request.tools)),
            tools=len(request.tools),
            provider=provider,
            model=model,
            who=who_of(get_config(), self._session),
            limit=self._limit,
        )

    def _view(self, request: Request, prepared: Prepared) -> Request:
        settings = compacting(self._policies, request.model)
        if settings:
            request = request.override(model_settings={**settings, **request.model_settings})
        if prepared.plan is None:
            return request
        return request.override(messages=sent(request.messages, prepared))  # type: ignore[arg-type]

    def _asking(self, view: Request, handler: Callable[[Request], Any]) -> Asking:
        return Asking(
            self._ledger,
            summary_model(self._policies) or view.model,
            # A structured answer is parsed by the agent, and asking without it is another prefix.
            view.messages if view.response_format is None else None,
            partial(_own, view, handler),
            partial(_aown, view, handler),
        )


def _own(
    view: Request, handler: Callable[[Request], Response], messages: list[BaseMessage]
) -> BaseMessage:
    return handler(view.override(messages=messages)).result[0]  # type: ignore[arg-type]


async def _aown(
    view: Request, handler: Callable[[Request], Awaitable[Response]], messages: list[BaseMessage]
) -> BaseMessage:
    return (await handler(view.override(messages=messages))).result[0]  # type: ignore[arg-type]
