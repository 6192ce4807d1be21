"""Prompt caching inside `create_agent`, for the model that a call ends up with."""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse

from farthing.meter.shared import Source
from farthing.run.annotates import Annotates
from langchain_farthing.caching import Origin, cached


class CacheAnnotatorMiddleware(AgentMiddleware[Any, Any, Any]):
    """Has each call of an agent's model say what the provider shall cache.

    It annotates the finished request of whichever model is called: one behind a binding, router
    or fallback, and one that other middleware put there. Put it last in the list, so that it is
    next to the model. An agent whose model is `cached` needs none of it, and takes no harm.

    Args:
        ledger: Where it learns which caching pays; as for `cached`.
        annotator: Decides instead of the one that learns in the ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(self, ledger: Source = None, *, annotator: Annotates | None = None) -> None:
        super().__init__()
        self._annotator = Origin(ledger=ledger, annotator=annotator).annotates()

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Call the model with an annotated request."""
        return handler(self._cached(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Call the model with an annotated request."""
        return await handler(self._cached(request))

    def _cached(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        return request.override(model=cached(request.model, annotator=self._annotator))
