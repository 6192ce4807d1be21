"""Routing inside `create_agent`: a router in the place of the agent's model."""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse

from langchain_farthing.router import RouterChatModel


class RouterMiddleware(AgentMiddleware[Any, Any, Any]):
    """Has each call of an agent go to the route that a router chooses.

    An agent whose model is a `RouterChatModel` needs none of it. Middleware that looks at the
    agent's model sees the router where it stands after this one in the list.

    Args:
        router: The router; else it is made of `options`.
        options: What `RouterChatModel` takes.

    Attributes:
        router: The router, for its `feedback`.

    Raises:
        InputError: As `RouterChatModel`; likewise other errors.
    """

    def __init__(self, router: RouterChatModel | None = None, **options: Any) -> None:
        super().__init__()
        self.router = RouterChatModel(**options) if router is None else router

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Call the router."""
        return handler(request.override(model=self.router))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Call the router."""
        return await handler(request.override(model=self.router))
