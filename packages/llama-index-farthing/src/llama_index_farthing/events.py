"""What we do with LlamaIndex's events: open a run where a call starts, end it where it ends.

Events are joined by span: each call's events carry the id of the span around it. LlamaIndex
calls handlers in the caller's own context, so a run that is opened there is seen by the HTTP tap
when the request leaves. A span handler stands beside the event handler, because only spans tell
what a call is part of, which object was called and which exception ended it.

A model's `complete` may call its own `chat`; then both tell of one answer, and the innermost call
is the one that counts.
"""

from collections.abc import Callable
from functools import cached_property
from inspect import BoundArguments
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span_handlers import NullSpanHandler
from pydantic import PrivateAttr

from llama_index_farthing.calls import Calls


class Events(BaseEventHandler):
    """Hears of every event; LlamaIndex swallows what it raises, so that is counted as lost here."""

    _given: Calls = PrivateAttr()

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._given = calls

    # Pydantic takes a microsecond to find a private attribute, and none to find these.
    @cached_property
    def _calls(self) -> Calls:
        return self._given

    @cached_property
    def _steps(self) -> dict[type[BaseEvent], Callable[[Any], None]]:
        calls = self._given
        return {
            LLMChatStartEvent: calls.chat,
            LLMChatInProgressEvent: calls.progress,
            LLMChatEndEvent: calls.chat_ended,
            LLMCompletionStartEvent: calls.complete,
            LLMCompletionInProgressEvent: calls.progress,
            LLMCompletionEndEvent: calls.complete_ended,
            EmbeddingStartEvent: calls.embed,
            EmbeddingEndEvent: calls.embed_ended,
            ExceptionEvent: calls.broke,
        }

    @classmethod
    def class_name(cls) -> str:
        """The handler's name in LlamaIndex."""
        return 'FarthingEvents'

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take one event."""
        step = self._steps.get(type(event))
        if step is None:
            return
        try:
            step(event)
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self._calls.lose(error)


class Spans(NullSpanHandler):
    """Keeps which span is part of which, and hears of the exception that ends one."""

    _given: Calls = PrivateAttr()

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._given = calls

    @cached_property
    def _calls(self) -> Calls:
        return self._given

    @classmethod
    def class_name(cls) -> str:
        """The handler's name in LlamaIndex."""
        return 'FarthingSpans'

    def span_enter(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002 - LlamaIndex's signature
        **_: Any,
    ) -> None:
        """A span has started."""
        try:
            self._calls.entered(id_, parent_id, instance, bound_args)
        except Exception as error:  # noqa: BLE001 - as above
            self._calls.lose(error)

    def span_exit(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        result: Any | None = None,
        **_: Any,
    ) -> None:
        """A span has ended."""
        try:
            self._calls.left(id_, result)
        except Exception as error:  # noqa: BLE001 - as above
            self._calls.lose(error)

    def span_drop(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,  # noqa: ARG002 - LlamaIndex's signature
        err: BaseException | None = None,
        **_: Any,
    ) -> None:
        """A span has failed."""
        try:
            self._calls.dropped(id_, err)
        except Exception as error:  # noqa: BLE001 - as above
            self._calls.lose(error)
