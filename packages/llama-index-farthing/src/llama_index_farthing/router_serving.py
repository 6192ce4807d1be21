"""Each call of a router LLM on its way: told to the driver, recorded, and heard to its end."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from llama_index_instrumentation.dispatcher import active_instrument_tags

from farthing.errors import RoutingError
from farthing.run.calls import Request
from farthing.run.router import Dispatcher, Served
from llama_index_farthing.router_asked import MODEL, Asked
from llama_index_farthing.router_calls import Async, AsyncStreamed, Calling, Streamed, Sync
from llama_index_farthing.router_requests import Answer, draft_of, request_of, said, thread
from llama_index_farthing.switch import Recorder

_FORCED = 'route'


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

    def whole(self, asked: Asked) -> Any:
        """The answer."""
        request, calls = self._request(asked), Sync(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = self.dispatcher.call(request, calls)
        _ended(served, request, calls, served.answer)
        return served.answer

    async def awhole(self, asked: Asked) -> Any:
        """The answer."""
        request, calls = self._request(asked), Async(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = await self.dispatcher.acall(request, calls)
        _ended(served, request, calls, served.answer)
        return served.answer

    def stream(self, asked: Asked) -> Iterator[Any]:
        """The answer piece by piece; the first one has come."""
        request, calls = self._request(asked), Streamed(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = self.dispatcher.call(request, calls)
        return _pieces(served, request, calls)

    async def astream(self, asked: Asked) -> AsyncIterator[Any]:
        """The answer piece by piece; the first one has come."""
        request = self._request(asked)
        calls = AsyncStreamed(self._llms, asked, self._recorder)
        with self._recorder.recording():
            served = await self.dispatcher.acall(request, calls)
        return _apieces(served, request, calls)

    def _request(self, asked: Asked) -> Request:
        return request_of(
            asked.messages,
            asked.tools,
            asked.options,
            who=self._recorder.who(),
            structured=asked.structured,
            forced=self._forced(asked.options.get(MODEL)),
        )

    def _forced(self, model: str | None) -> str | None:
        """The route that a call insists on, by its name or its model's, or by a tag around it.

        Raises:
            RoutingError: There is none.
        """
        named: str | None = model or active_instrument_tags.get().get(_FORCED)
        routes = self.dispatcher.router.routes
        if named is None or named in routes:
            return named
        found = next((name for name, route in routes.items() if route.model == named), None)
        if found is None:
            raise RoutingError(
                f'no route or model of a route is named {named!r}; known: {", ".join(routes)}'
            )
        return found


def _ended(served: Served, request: Request, calls: Calling, answer: Answer) -> None:
    """The answer is whole: the driver hears of it."""
    messages = (*calls.asked.messages, said(answer))
    served.ended(draft_of(answer), thread(messages, request.who.session))


def _pieces(served: Served, request: Request, calls: Calling) -> Iterator[Any]:
    if served.drafted:
        _ended(served, request, calls, served.answer)
        yield _piece(served.answer)
        return
    last = None
    with closing(served.answer):
        for last in served.answer:
            yield last
    if last is not None:
        _ended(served, request, calls, last)


async def _apieces(served: Served, request: Request, calls: Calling) -> AsyncIterator[Any]:
    if served.drafted:
        _ended(served, request, calls, served.answer)
        yield _piece(served.answer)
        return
    last = None
    async with aclosing(served.answer):
        async for last in served.answer:
            yield last
    if last is not None:
        _ended(served, request, calls, last)


def _piece(answer: Answer) -> Answer:
    """A whole answer as the only piece of a stream."""
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return answer
    return answer.model_copy(update={'delta': draft_of(answer).text})
