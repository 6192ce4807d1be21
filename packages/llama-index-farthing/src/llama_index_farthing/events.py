"""What we do with LlamaIndex's events: open a run where a call starts, end it where it ends.

Events are joined by span: each call's events carry the id of the span around it. LlamaIndex
calls handlers in the caller's own context, so a run that is opened there is seen by the HTTP tap
when the request leaves. A span handler stands beside the event handler, because only spans tell
what a call is part of, which object was called and which exception ended it.

A model's `complete` may call its own `chat`; then both tell of one answer, and the innermost call
is the one that counts.
"""

from collections.abc import Callable, Sequence
from inspect import BoundArguments
from typing import Any, Protocol
from uuid import uuid4

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
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

from farthing.attribution import Attribution
from farthing.entry import CallType
from farthing.io.tap import tap
from farthing.meter import Account, Observed, Run, close, opened, post
from llama_index_farthing.facts import (
    answer_of,
    attribution_of,
    embedded,
    failure_of,
    input_chars,
    last_text,
    provider_of,
    tappable,
)

_WORKFLOW_RUN = 'llamaindex.run_id'
_STREAMS = ('stream', 'astream')


class Recipients(Protocol):
    """Where calls are posted, and whom they are for."""

    def accounts(self) -> Sequence[Account]:
        """The accounts in force in this context; none where nothing is recorded."""

    def outer(self) -> Attribution:
        """Whom a call is for that does not say."""


class Call:
    """One call of a model, between its start and its end.

    Attributes:
        run: The meter's side of it.
        kind: `chat`, `complete` or `embed`.
        cached: Whether the model has a cache of embeddings.
        inner: Calls of models that started inside this one's span.
        answered: Whether it ended with an answer.
        last: The latest response of a stream.
    """

    __slots__ = ('answered', 'cached', 'inner', 'kind', 'last', 'run')

    def __init__(self, run: Run, kind: str, *, cached: bool) -> None:
        self.run = run
        self.kind = kind
        self.cached = cached
        self.inner: list[Call] = []
        self.answered = False
        self.last: ChatResponse | CompletionResponse | None = None

    def only_wraps(self, response_id: str | None) -> bool:
        """Whether its answer is the one that a call inside it was posted with."""
        within = [one for one in self.inner if one.answered]
        ids = {each for one in within for each in one.run.answer_ids - {one.run.id}}
        return bool(within) and not (response_id and ids and response_id not in ids)


class Calls:
    """The open calls of this process, by span."""

    def __init__(self, to: Recipients) -> None:
        self._to = to
        self._spans: dict[str, tuple[str | None, object]] = {}
        self._calls: dict[str, list[Call]] = {}

    def lose(self, error: Exception) -> None:
        """Count a call that could not be recorded."""
        for account in self._to.accounts():
            account.meter.lose(error)
            account.spend.lose()

    def forget_closed(self) -> None:
        """Drop the calls that a sweep has ended."""
        for span_id, calls in list(self._calls.items()):
            if all(one.run.closed for one in calls):
                self._calls.pop(span_id, None)

    def entered(self, span_id: str, parent_id: str | None, instance: object) -> None:
        """A span has started."""
        self._spans[span_id] = (parent_id, instance)

    def left(self, span_id: str) -> None:
        """A span has ended; a stream that it returned may still run."""
        self._spans.pop(span_id, None)

    def dropped(self, span_id: str, error: BaseException | None) -> None:
        """A span has failed, and with it the calls in it that have not ended."""
        self.left(span_id)
        for call in self._calls.pop(span_id, ()):
            self._fail(call, error)

    def chat(self, event: LLMChatStartEvent) -> None:
        """A chat call starts."""
        messages, options = event.messages, event.additional_kwargs
        self._start(
            event,
            'chat',
            event.model_dict,
            text=lambda: last_text(messages),
            chars=lambda: input_chars(messages, options),
        )

    def complete(self, event: LLMCompletionStartEvent) -> None:
        """A completion starts."""
        prompt = event.prompt
        self._start(
            event, 'complete', event.model_dict, text=lambda: prompt, chars=lambda: len(prompt)
        )

    def embed(self, event: EmbeddingStartEvent) -> None:
        """A request for embeddings starts; its texts are told when it ends."""
        self._start(event, 'embed', event.model_dict, call_type='embeddings')

    def progress(self, event: LLMChatInProgressEvent | LLMCompletionInProgressEvent) -> None:
        """A stream has handed out a piece; each response holds the whole text up to there."""
        for call in self._calls.get(event.span_id or '', ()):
            if call.run.first_ns is None:
                call.run.touch()
            call.last = event.response

    def chat_ended(self, event: LLMChatEndEvent) -> None:
        """A chat call has ended."""
        self._end(event, 'chat', event.response)

    def complete_ended(self, event: LLMCompletionEndEvent) -> None:
        """A completion has ended."""
        self._end(event, 'complete', event.response)

    def embed_ended(self, event: EmbeddingEndEvent) -> None:
        """A request for embeddings has ended."""
        call = self._taken(event, 'embed')
        if call is None or not close(call.run) or call.run.seen:
            return
        # No request has left although the tap stands in its way: the model's cache answered.
        cached = call.cached and tap.installed and tappable(call.run)
        post(call.run.accounts, embedded(call.run, event.chunks, cached=cached))

    def broke(self, event: ExceptionEvent) -> None:
        """A stream was closed by its reader, was cancelled, or failed."""
        for call in self._calls.pop(event.span_id or '', ()):
            self._fail(call, event.exception)

    def _start(
        self,
        event: BaseEvent,
        kind: str,
        model: dict[str, Any],
        *,
        call_type: CallType = 'chat',
        text: Callable[[], str] = str,
        chars: Callable[[], int] = int,
    ) -> None:
        accounts = self._to.accounts()
        if not accounts:
            return
        span_id = event.span_id or ''
        instance, outer, root = self._around(span_id)
        provider = provider_of(instance)
        run = Run(
            str(uuid4()),
            parent_id=event.tags.get(_WORKFLOW_RUN) or root,
            who=attribution_of(event.tags, self._to.outer()),
            account=accounts[0],
            provider=provider,
            model=model.get('model_name'),
            call_type=call_type,
            text=text,
            input_chars=chars,
            deferred=span_id.partition('.')[2].startswith(_STREAMS),
        )
        run.accounts += [one for one in accounts[1:] if one not in run.accounts]
        call = Call(run, kind, cached=bool(getattr(instance, 'embeddings_cache', None)))
        if outer is not None:
            outer.inner.append(call)
            outer.run.deferred = False
        self._calls.setdefault(span_id, []).append(call)
        opened(run)

    def _around(self, span_id: str) -> tuple[object, Call | None, str | None]:
        """The object that was called, the call that this one is part of, the outermost span."""
        parent, instance = self._spans.get(span_id, (None, None))
        outer, root = next(iter(self._calls.get(span_id, ())), None), None
        if outer is not None and outer.run.call_type == 'embeddings':
            outer = None
        while parent is not None:
            if outer is None and parent in self._calls:
                outer = self._calls[parent][-1]
            root = parent
            parent = self._spans.get(parent, (None, None))[0]
        return instance, outer, root

    def _taken(self, event: BaseEvent, kind: str) -> Call | None:
        """The oldest open call of that kind in the event's span."""
        span_id = event.span_id or ''
        calls = self._calls.get(span_id, [])
        call = next((one for one in calls if one.kind == kind), None)
        if call is not None:
            calls.remove(call)
            if not calls:
                self._calls.pop(span_id, None)
        return call

    def _end(
        self, event: BaseEvent, kind: str, response: ChatResponse | CompletionResponse | None
    ) -> None:
        call = self._taken(event, kind)
        if call is None:
            return
        call.answered = True
        run = call.run
        if not close(run) or run.seen:
            return
        seen = answer_of(run, response or call.last)
        response_id = seen.reading.response_id if seen.reading else None
        if call.only_wraps(response_id):
            run.answer_ids |= {each for one in call.inner for each in one.run.answer_ids}
            return
        run.answer_ids |= {run.id, response_id or run.id}
        post(run.accounts, seen)

    def _fail(self, call: Call, error: BaseException | None) -> None:
        run = call.run
        if close(run) and not run.seen and not call.inner:
            post(run.accounts, self._failure(call, error))

    def _failure(self, call: Call, error: BaseException | None) -> Observed:
        return failure_of(call.run, error, call.last, tapped=tap.installed)


class Events(BaseEventHandler):
    """LlamaIndex swallows what a handler raises: here it is counted as a lost call."""

    _calls: Calls = PrivateAttr()
    _steps: dict[type[BaseEvent], Callable[[Any], None]] = PrivateAttr()

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls
        self._steps = {
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

    _calls: Calls = PrivateAttr()

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    @classmethod
    def class_name(cls) -> str:
        """The handler's name in LlamaIndex."""
        return 'FarthingSpans'

    def span_enter(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002 - LlamaIndex's signature
        **_: Any,
    ) -> None:
        """A span has started."""
        self._calls.entered(id_, parent_id, instance)

    def span_exit(self, id_: str, *_: Any, **__: Any) -> None:
        """A span has ended."""
        self._calls.left(id_)

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
        except Exception as error:  # noqa: BLE001 - the user's call must not fail; it is counted
            self._calls.lose(error)
