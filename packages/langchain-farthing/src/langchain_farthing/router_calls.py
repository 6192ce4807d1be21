"""How a router's driver calls LangChain models: whole answers, streams, and streams of events.

The route's own `invoke` or `stream` runs, with the callbacks of the call: there is one run for
each attempt, and it carries the name of the model that serves.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langchain_core.utils.uuid import uuid7

from farthing.errors import RoutingError
from farthing.routing import Draft, Question
from langchain_farthing.handler import LedgerCallbackHandler
from langchain_farthing.router_options import messages_for, prepared
from langchain_farthing.router_requests import ROUTE, RUN, draft_of

Message = TypeVar('Message', bound=BaseMessage)
_WHO = ('tenant', 'task', 'session', 'thread_id')


class Ending(BaseCallbackHandler):
    """Waits for the whole answer of one run, however it is read."""

    run_inline = True
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self, run_id: UUID) -> None:
        self.answer: AIMessage | None = None
        self._run_id = run_id
        self._then: Callable[[AIMessage], None] | None = None

    def then(self, do: Callable[[AIMessage], None]) -> None:
        """Do something with the answer, once it is whole."""
        self._then = do
        if self.answer is not None:
            do(self.answer)

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Nothing yet."""

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """The answer is whole."""
        generation = response.generations[0][0] if response.generations else None
        if run_id != self._run_id or not isinstance(generation, ChatGeneration):
            return
        if isinstance(generation.message, AIMessage):
            self.answer = generation.message
            if self._then is not None:
                self._then(self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call of the router, as it was made.

    Attributes:
        routes: The models by name.
        messages: What is asked.
        options: What it is asked with.
        config: The call's configuration, with the router's own callbacks, tags and metadata.
        handler: Posts to the router's ledger.
    """

    routes: Mapping[str, BaseChatModel]
    messages: Sequence[BaseMessage]
    options: Mapping[str, Any]
    config: RunnableConfig
    handler: LedgerCallbackHandler

    def prepared(self, route: str) -> tuple[Any, list[BaseMessage], dict[str, Any]]:
        """What is called, with what and how, where the route serves.

        Raises:
            RoutingError: Its model does not take the tools or the schema; another one may.
        """
        model = self.routes[route]
        try:
            called, options = prepared(model, self.options)
        except Exception as error:
            raise RoutingError(
                f'route {route!r} does not take these tools or this schema '
                f'({type(error).__name__}: {error}); nothing was sent'
            ) from error
        return called, messages_for(model, self.messages), options

    def beside(self) -> RunnableConfig:
        """The configuration of a call that is none of the user's: recorded, and nobody listens."""
        callbacks = self.config.get('callbacks')
        given = callbacks if isinstance(callbacks, list) else getattr(callbacks, 'handlers', [])
        # Those of `recording` blocks follow the context, and a replay has none of theirs.
        theirs = [one for one in given if isinstance(one, LedgerCallbackHandler)]
        metadata = self.config.get('metadata') or {}
        return {
            'callbacks': [self.handler, *(one for one in theirs if one is not self.handler)],
            'metadata': {name: metadata[name] for name in _WHO if name in metadata},
            'tags': ['nostream'],
        }


class Calling:
    """Calls models for one `Asked`."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.ending: Ending | None = None
        self._run_id = asked.config.get('run_id')

    def config(self, route: str) -> tuple[RunnableConfig, UUID]:
        """The configuration of an attempt; each one has a run of its own."""
        run_id = self._run_id or uuid7()
        self._run_id = None
        self.ending = Ending(run_id)
        # After the ledger's handler: what that posts is known when the answer is whole.
        ours: RunnableConfig = {
            'callbacks': [self.asked.handler, self.ending],
            'metadata': {ROUTE: route},
        }
        merged = merge_configs(self.asked.config, ours)
        merged['run_id'] = run_id
        return merged, run_id

    def replay(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        called, messages, options = self.asked.prepared(route)
        return draft_of(called.invoke(messages, self.asked.beside(), **options))

    def judge(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        return str(_asked(question).invoke(question.prompt, self.asked.beside()).text)


class Sync(Calling):
    """Whole answers, in sync code."""

    def answer(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        return self.judge(question)

    def draft(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        return draft_of(self.whole(route))

    def serve(self, route: str) -> Any:
        """The whole answer."""
        return self.whole(route)

    def whole(self, route: str) -> AIMessage:
        """The route's answer."""
        called, messages, options = self.asked.prepared(route)
        config, run_id = self.config(route)
        answer: AIMessage = called.invoke(messages, config, **options)
        return stamped(answer, route, run_id)


class Streamed(Sync):
    """Answers piece by piece, in sync code; a draft is held back until it is accepted."""

    def serve(self, route: str) -> Iterator[Any]:
        """The pieces, of which the first that says something has come."""
        called, messages, options = self.asked.prepared(route)
        config, run_id = self.config(route)
        pieces = called.stream(messages, config, **options)
        begun: list[Any] = []
        for piece in pieces:
            begun.append(piece)
            if _says(piece):
                break
        begun[0] = stamped(begun[0], route, run_id)
        return _resumed(begun, pieces)


class Events(Sync):
    """Streams of events (version 3), in sync code, for which no draft is made."""

    def draft(self, route: str) -> Draft:
        """See the class."""
        raise RoutingError(f'no draft of route {route!r} is made for a stream of events')

    def serve(self, route: str) -> Any:
        """The stream; its first event has come, and is kept for who reads it."""
        called, messages, options = self.asked.prepared(route)
        config, _ = self.config(route)
        stream = called.stream_events(messages, config, version='v3', **options)
        next(iter(stream), None)
        return stream


class Async(Calling):
    """Whole answers, in async code."""

    async def answer(self, question: Question) -> str:
        """See `farthing.run.calls.Calls`."""
        answer = await _asked(question).ainvoke(question.prompt, self.asked.beside())
        return str(answer.text)

    async def draft(self, route: str) -> Draft:
        """See `farthing.run.calls.Calls`."""
        return draft_of(await self.whole(route))

    async def serve(self, route: str) -> Any:
        """The whole answer."""
        return await self.whole(route)

    async def whole(self, route: str) -> AIMessage:
        """The route's answer."""
        called, messages, options = self.asked.prepared(route)
        config, run_id = self.config(route)
        answer: AIMessage = await called.ainvoke(messages, config, **options)
        return stamped(answer, route, run_id)


class AsyncStreamed(Async):
    """Answers piece by piece, in async code; a draft is held back until it is accepted."""

    async def serve(self, route: str) -> AsyncIterator[Any]:
        """The pieces, of which the first that says something has come."""
        called, messages, options = self.asked.prepared(route)
        config, run_id = self.config(route)
        pieces = called.astream(messages, config, **options)
        begun: list[Any] = []
        async for piece in pieces:
            begun.append(piece)
            if _says(piece):
                break
        begun[0] = stamped(begun[0], route, run_id)
        return _aresumed(begun, pieces)


class AsyncEvents(Async):
    """Streams of events (version 3), in async code, for which no draft is made."""

    async def draft(self, route: str) -> Draft:
        """See the class."""
        raise RoutingError(f'no draft of route {route!r} is made for a stream of events')

    async def serve(self, route: str) -> Any:
        """The stream; its first event has come, and is kept for who reads it."""
        called, messages, options = self.asked.prepared(route)
        config, _ = self.config(route)
        stream = await called.astream_events(messages, config, version='v3', **options)
        async for _event in stream:
            break
        return stream


def stamped(answer: Message, route: str, run_id: UUID) -> Message:
    """The answer, with the route that gave it and its run."""
    said = {**answer.response_metadata, ROUTE: route, RUN: str(run_id)}
    return answer.model_copy(update={'response_metadata': said})


def _says(piece: AIMessage) -> bool:
    """Whether a piece has anything of the answer; the first one often has its metadata alone."""
    if not isinstance(piece, AIMessageChunk):
        return True  # a model without streams gives the whole answer
    return bool(piece.content or piece.tool_call_chunks or piece.additional_kwargs)


def _resumed(begun: Sequence[Any], rest: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from begun
        yield from rest
    finally:
        rest.close()  # type: ignore[attr-defined] # a generator: who leaves it, ends the call


async def _aresumed(begun: Sequence[Any], rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        for piece in begun:
            yield piece
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()  # type: ignore[attr-defined] # as above


def _asked(question: Question) -> BaseChatModel:
    if not isinstance(question.model, BaseChatModel):
        raise RoutingError(
            f'a policy asks {type(question.model).__name__}: give it a chat model as `model`'
        )
    return question.model
