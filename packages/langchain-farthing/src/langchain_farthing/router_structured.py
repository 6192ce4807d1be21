"""Reading a structured answer in the way of the route that gave it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from operator import itemgetter
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableMap, RunnablePassthrough

from langchain_farthing.router_options import Structured
from langchain_farthing.router_requests import ROUTE


class Reads(Runnable[AIMessage, Any]):
    """An answer in, what it holds out: by the parser of the route that the answer names."""

    def __init__(self, structured: Structured, routes: Mapping[str, BaseChatModel]) -> None:
        self._structured = structured
        self._routes = routes

    def _reader(self, answer: AIMessage) -> Runnable[Any, Any]:
        return self._structured.of(self._routes[answer.response_metadata[ROUTE]])[1]

    def invoke(
        self,
        input: AIMessage,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Any:
        """What the answer holds."""
        return self._reader(input).invoke(input, config, **options)

    async def ainvoke(
        self,
        input: AIMessage,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Any:
        """What the answer holds."""
        return await self._reader(input).ainvoke(input, config, **options)

    def transform(
        self,
        input: Iterator[AIMessage],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """What the answer holds, as it grows."""
        first = next(input)
        yield from self._reader(first).transform(_chained(first, input), config, **options)

    async def atransform(
        self,
        input: AsyncIterator[AIMessage],  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """What the answer holds, as it grows."""
        first = await anext(input)
        reader = self._reader(first)
        async for piece in reader.atransform(_achained(first, input), config, **options):
            yield piece


def with_raw(asks: Runnable[Any, AIMessage], reads: Reads) -> Runnable[Any, Any]:
    """What an answer holds, beside the answer and the error that reading it made."""
    read = RunnablePassthrough.assign(
        parsed=itemgetter('raw') | reads, parsing_error=lambda _: None
    )
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asks) | read.with_fallbacks([unread], exception_key='parsing_error')


def _chained(first: AIMessage, rest: Iterator[AIMessage]) -> Iterator[AIMessage]:
    yield first
    yield from rest


async def _achained(first: AIMessage, rest: AsyncIterator[AIMessage]) -> AsyncIterator[AIMessage]:
    yield first
    async for piece in rest:
        yield piece
