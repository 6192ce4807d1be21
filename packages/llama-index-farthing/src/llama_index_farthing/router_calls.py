"""How a router's driver calls LLMs: whole answers and streams, in sync and in async code.

The route's own method of the same name runs, so that it tells LlamaIndex's events of itself: there
is one call for each attempt, and it carries the name of the model that serves.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM

from farthing.errors import RoutingError
from farthing.meter.following import follower
from farthing.meter.runs import followed
from farthing.routing import Draft, Question
from llama_index_farthing.router_asked import Asked, Fit
from llama_index_farthing.router_requests import ROUTE, RUN, Answer, draft_of
from llama_index_farthing.router_routes import family_of
from llama_index_farthing.switch import Recorder


class Calling:
    """Calls LLMs for one call of the router.

    Args:
        llms: The LLMs by name.
        asked: What is asked.
        recorder: Records the calls.
    """

    def __init__(self, llms: Mapping[str, LLM], asked: Asked, recorder: Recorder) -> None:
        self.asked = asked
        self._llms = llms
        self._recorder = recorder
        self._mixed = len({one.class_name() for one in llms.values()}) > 1

    def called(self, route: str, way: str = '') -> Any:
        """What the route's method returns; `way` is empty, `a`, `stream_` or `astream_`.

        Raises:
            RoutingError: Its LLM has no such method.
            Exception: What it raises.
        """
        llm = self._llms[route]
        method = getattr(llm, way + self.asked.method, None)
        if method is None:
            raise RoutingError(f'route {route!r} is {type(llm).__name__}, which takes no tools')
        given, named = self.asked.arguments(Fit(family=family_of(llm), mixed=self._mixed))
        return method(*given, **named)

    def replay(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        with self._recorder.recording():
            return draft_of(self.called(route))

    def judge(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        with self._recorder.recording():
            return str(_model(question).complete(question.prompt).text)


class Sync(Calling):
    """Whole answers, in sync code."""

    def answer(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        return str(_model(question).complete(question.prompt).text)

    def draft(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        return draft_of(stamped(self.called(route), route, _run_id()))

    def serve(self, route: str) -> Any:
        """The whole answer."""
        return stamped(self.called(route), route, _run_id())


class Streamed(Sync):
    """Answers piece by piece, in sync code; a draft is held back until it is accepted."""

    def serve(self, route: str) -> Iterator[Any]:
        """The pieces, of which the first has come."""
        pieces = self.called(route, 'stream_')
        first = list(islice(pieces, 1))
        return _resumed(first, pieces, route, _run_id())


class Async(Calling):
    """Whole answers, in async code."""

    async def answer(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        return str((await _model(question).acomplete(question.prompt)).text)

    async def draft(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        return draft_of(stamped(await self.called(route, 'a'), route, _run_id()))

    async def serve(self, route: str) -> Any:
        """The whole answer."""
        return stamped(await self.called(route, 'a'), route, _run_id())


class AsyncStreamed(Async):
    """Answers piece by piece, in async code; a draft is held back until it is accepted."""

    async def serve(self, route: str) -> AsyncIterator[Any]:
        """The pieces, of which the first has come."""
        pieces = await self.called(route, 'astream_')
        first: list[Any] = []
        async for piece in pieces:
            first.append(piece)
            break
        return _aresumed(first, pieces, route, _run_id())


def stamped(answer: Answer, route: str, run_id: str | None) -> Answer:
    """The answer, with the route that gave it and its run; a structured one has no place for it."""
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return answer
    own = {**answer.additional_kwargs, ROUTE: route, RUN: run_id}
    return answer.model_copy(update={'additional_kwargs': own})


def _run_id() -> str | None:
    """The run of the latest call that was made here for the attempt under way."""
    attempt = follower()
    run = None if attempt is None else followed(attempt)
    return None if run is None else run.id


def _resumed(first: list[Any], rest: Any, route: str, run_id: str | None) -> Iterator[Any]:
    with closing(rest):  # who leaves it, ends the call
        for piece in first:
            yield stamped(piece, route, run_id)
        for piece in rest:
            yield stamped(piece, route, run_id)


async def _aresumed(
    first: list[Any], rest: Any, route: str, run_id: str | None
) -> AsyncIterator[Any]:
    async with aclosing(rest):  # as above
        for piece in first:
            yield stamped(piece, route, run_id)
        async for piece in rest:
            yield stamped(piece, route, run_id)


def _model(question: Question) -> LLM:
    if not isinstance(question.model, LLM):
        raise RoutingError(
            f'a policy asks {type(question.model).__name__}: give it an LLM as `model`'
        )
    return question.model
