"""Every way in which a chat model is called, each by a router's driver.

LangChain's own ways lead through `_generate`, which would make a run of the router around the run
of the model that serves: two runs for one call, and the bill in both. So all of them are here, and
each hands on to the route's own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from json import dumps
from typing import Any
from uuid import UUID

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult, RunInfo
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

from farthing.run.calls import Request
from farthing.run.router import Dispatcher, Served
from langchain_farthing.router_calls import (
    Asked,
    Async,
    AsyncEvents,
    AsyncStreamed,
    Calling,
    Events,
    Streamed,
    Sync,
)
from langchain_farthing.router_options import TOOLS
from langchain_farthing.router_requests import RUN, draft_of, thread


class Routed(BaseChatModel):
    """A chat model whose calls a driver sends to other models."""

    _dispatcher: Dispatcher = PrivateAttr()

    def _asked(
        self,
        given: LanguageModelInput,
        config: RunnableConfig | None,
        stop: list[str] | None,
        options: Mapping[str, Any],
    ) -> tuple[Request, Asked]:
        """A call, as the driver and as the models are told of it."""
        raise NotImplementedError

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> AIMessage:
        """The answer of the route that serves."""
        request, asked = self._asked(input, config, stop, options)
        calls = Sync(asked)
        answer: AIMessage = self._ends(self._dispatcher.call(request, calls), request, calls)
        return answer

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> AIMessage:
        """The answer of the route that serves."""
        request, asked = self._asked(input, config, stop, options)
        calls = Async(asked)
        served = await self._dispatcher.acall(request, calls)
        answer: AIMessage = self._ends(served, request, calls)
        return answer

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> Iterator[AIMessageChunk]:
        """The answer of the route that serves, piece by piece."""
        request, asked = self._asked(input, config, stop, options)
        calls = Sync(asked) if self._whole(options) else Streamed(asked)
        served = self._dispatcher.call(request, calls)
        answer = self._ends(served, request, calls)
        if isinstance(answer, BaseMessage):
            yield _piece(answer)
        else:
            yield from answer

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """The answer of the route that serves, piece by piece."""
        request, asked = self._asked(input, config, stop, options)
        calls = Async(asked) if self._whole(options) else AsyncStreamed(asked)
        served = await self._dispatcher.acall(request, calls)
        answer = self._ends(served, request, calls)
        if isinstance(answer, BaseMessage):
            yield _piece(answer)
        else:
            async with aclosing(answer):
                async for piece in answer:
                    yield piece

    def stream_events(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        version: Any = 'v2',
        stop: list[str] | None = None,
        **options: Any,
    ) -> Any:
        """The events of the route that serves; its first one has come."""
        if version != 'v3':
            return super().stream_events(input, config, version=version, stop=stop, **options)
        request, asked = self._asked(input, config, stop, options)
        calls = Events(asked)
        return self._ends(self._dispatcher.call(request, calls), request, calls)

    def astream_events(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        version: Any = 'v2',
        stop: list[str] | None = None,
        **options: Any,
    ) -> Any:
        """The events of the route that serves; its first one has come."""
        if version != 'v3':
            return super().astream_events(input, config, version=version, stop=stop, **options)
        return self._aevents(input, config, stop, options)

    async def _aevents(
        self,
        given: LanguageModelInput,
        config: RunnableConfig | None,
        stop: list[str] | None,
        options: Mapping[str, Any],
    ) -> Any:
        request, asked = self._asked(given, config, stop, options)
        calls = AsyncEvents(asked)
        return self._ends(await self._dispatcher.acall(request, calls), request, calls)

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: UUID | None = None,
        **options: Any,
    ) -> LLMResult:
        """The answers to several lists of messages."""
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        return _result(
            [
                self.invoke(one, config, stop=stop, **options)
                for one, config in zip(messages, configs, strict=True)
            ]
        )

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: UUID | None = None,
        **options: Any,
    ) -> LLMResult:
        """The answers to several lists of messages."""
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        answers = [
            self.ainvoke(one, config, stop=stop, **options)
            for one, config in zip(messages, configs, strict=True)
        ]
        return _result(await asyncio.gather(*answers))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        """For code that calls it directly: LangChain's own ways in are all above."""
        # Its run is the router's, so it is told to nobody: the route's own run is the call's.
        config: RunnableConfig = {
            'callbacks': [],
            'metadata': (run_manager and run_manager.metadata) or {},
        }
        message = self.invoke(messages, config, stop=stop, **options)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _whole(self, options: Mapping[str, Any]) -> bool:
        if self.disable_streaming == 'tool_calling':
            return bool(options.get(TOOLS))
        return self.disable_streaming

    def _ends(self, served: Served, request: Request, calls: Calling) -> Any:
        """The answer; when it is whole, the driver hears of it."""

        def ended(answer: BaseMessage) -> None:
            said = (*calls.asked.messages, answer)
            try:
                served.ended(draft_of(answer), thread(said, request.who.session))
            except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
                self._dispatcher.trouble('answer', error)

        if served.drafted:
            ended(served.answer)
        elif calls.ending is not None:
            calls.ending.then(ended)
        return served.answer


def _piece(answer: BaseMessage) -> AIMessageChunk:
    """A whole answer as the only piece of a stream."""
    if isinstance(answer, AIMessageChunk):
        return answer
    fields = answer.model_dump(exclude={'type', 'tool_calls', 'invalid_tool_calls'})
    calls = [
        tool_call_chunk(id=call['id'], name=call['name'], args=dumps(call['args']), index=index)
        for index, call in enumerate(getattr(answer, 'tool_calls', ()))
    ]
    return AIMessageChunk(**fields, tool_call_chunks=calls, chunk_position='last')


def _configs(
    size: int,
    callbacks: Any,
    tags: list[str] | None,
    metadata: dict[str, Any] | None,
    run_name: str | None,
    run_id: UUID | None,
) -> list[RunnableConfig]:
    """The configuration of each of several calls; the first has the id that was given."""
    one: RunnableConfig = {'callbacks': callbacks, 'tags': tags or [], 'metadata': metadata or {}}
    if run_name is not None:
        one['run_name'] = run_name
    configs = [one.copy() for _ in range(size)]
    if run_id is not None and configs:
        configs[0]['run_id'] = run_id
    return configs


def _result(answers: Sequence[AIMessage]) -> LLMResult:
    return LLMResult(
        generations=[[ChatGeneration(message=one)] for one in answers],
        run=[RunInfo(run_id=UUID(one.response_metadata[RUN])) for one in answers],
    )
