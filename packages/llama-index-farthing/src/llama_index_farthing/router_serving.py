"""Each call of a router LLM on its way: told to the driver, recorded, and heard to its end."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from llama_index_instrumentation.dispatcher import active_instrument_tags

from farthing.errors import RoutingError
from farthing.run.calls import Request
from farthing.run.router import Dispatcher, Served
from llama_index_farthing.router_asked import MODEL, Asked
from llama_index_farthing.router_calls import Async, AsyncStreamed, Streamed, Sync
from llama_index_farthing.router_requests import ROUTE, Answer, draft_of, request_of, said, thread
from llama_index_farthing.switch import Recorder


class Service:
    """Answers what a router LLM is asked.

    Args:
        llms: The LLMs by name.
        dispatcher: Decides, and falls back.
        recorder: Records the calls.
    """

    def __init__(self, llms: Mapping[str, LLM], dispatcher: Dispatcher, recorder: Recorder) -> None:
        self.dispatcher = dispatcher
        self._llms = llms
        self._recorder = recorder

    def over(self, llms: Mapping[str, LLM]) -> 'Service':
        """The same over other LLMs of the same routes."""
        return Service(llms, self.dispatcher, self._recorder)

    def whole(self, asked: Asked) -> Any:
        """The answer."""
        request, calls = self._request(asked), Sync(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = self.dispatcher.call(request, calls)
        self._ended(served, request, asked, served.answer)
        return served.answer

    async def awhole(self, asked: Asked) -> Any:
        """The answer."""
        request, calls = self._request(asked), Async(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = await self.dispatcher.acall(request, calls)
        self._ended(served, request, asked, served.answer)
        return served.answer

    def stream(self, asked: Asked) -> Iterator[Any]:
        """The answer piece by piece; the first one has come."""
        request, calls = self._request(asked), Streamed(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = self.dispatcher.call(request, calls)
        return self._pieces(served, request, asked)

    async def astream(self, asked: Asked) -> AsyncIterator[Any]:
        """The answer piece by piece; the first one has come."""
        request = self._request(asked)
        calls = AsyncStreamed(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = await self.dispatcher.acall(request, calls)
        return self._apieces(served, request, asked)

    def _request(self, asked: Asked) -> Request:
        forced = self._forced(asked.options.get(MODEL))
        try:
            return request_of(asked, who=self._recorder.who(), forced=forced)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self.dispatcher.trouble('request', error)
            return Request(text='', chars=0, forced=forced)

    def _forced(self, model: str | None) -> str | None:
        """The route that a call insists on, by its name or its model's, or by a tag around it.

        Raises:
            RoutingError: There is none.
        """
        named: str | None = model or active_instrument_tags.get().get(ROUTE)
        routes = self.dispatcher.router.routes
        if named is None or named in routes:
            return named
        found = next((name for name, route in routes.items() if route.model == named), None)
        if found is None:
            raise RoutingError(
                f'no route or model of a route is named {named!r}; known: {", ".join(routes)}'
            )
        return found

    def _ended(self, served: Served, request: Request, asked: Asked, answer: Answer) -> None:
        """The answer is whole: the driver hears of it."""
        try:
            messages = (*asked.messages, said(answer))
            served.ended(draft_of(answer), thread(messages, request.who.session))
        except Exception as error:  # noqa: BLE001 - as above
            self.dispatcher.trouble('ended', error)

    def _pieces(self, served: Served, request: Request, asked: Asked) -> Iterator[Any]:
        last = None
        with closing(_held(served) if served.drafted else served.answer) as pieces:
            for last in pieces:
                yield last
        if last is not None:
            self._ended(served, request, asked, last)

    async def _apieces(self, served: Served, request: Request, asked: Asked) -> AsyncIterator[Any]:
        last = None
        async with aclosing(_aheld(served) if served.drafted else served.answer) as pieces:
            async for last in pieces:
                yield last
        if last is not None:
            self._ended(served, request, asked, last)


def _held(served: Served) -> Generator[Any, None, None]:
    """A draft that was held back, as the only piece of a stream."""
    yield _piece(served.answer)


async def _aheld(served: Served) -> AsyncGenerator[Any, None]:
    """The same in async code."""
    yield _piece(served.answer)


def _piece(answer: Answer) -> Answer:
    """A whole answer as the only piece of a stream."""
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return answer
    return answer.model_copy(update={'delta': draft_of(answer).text})
