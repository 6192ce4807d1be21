"""The open calls of LlamaIndex: which model was asked for whom, and what became of it.

LlamaIndex tells in events and spans, which `events` hears; here they become runs of the meter, each
posted once.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import BoundArguments
from typing import Any, Protocol

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
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
from llama_index.core.llms import LLM
from llama_index_instrumentation.dispatcher import active_instrument_tags

from farthing.attribution import Attribution
from farthing.entry import CallType
from farthing.io.tap import tap
from farthing.meter import Account, Run, close, opened, post, sent
from farthing.meter.unseen import post_observed
from farthing.wire.prompt import Shape
from farthing.wire.reading import Reading
from llama_index_farthing.facts import (
    answer_of,
    attribution_of,
    embedded,
    failure_of,
    input_chars,
    is_model,
    last_text,
    post_answered,
    provider_of,
    structured,
)

_WORKFLOW_RUN = 'llamaindex.run_id'
# LlamaIndex calls a span `Class.method-<uuid>`: so begin the methods that stream ...
_STREAMS = ('stream', 'astream')
# ... and so end `structured_predict` and its streamed and async twins.
_STRUCTURED = 'structured_predict-'
_UUID = 36  # characters at the end of a span's id
_NO_SPAN = (None, None, None)


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
        kind: `chat`, `complete`, `embed` or `structured`.
        model: The object that was called.
        streams: Whether it hands out its answer piece by piece.
        inner: Calls of models that were made for this one.
        answered: Whether it ended with an answer.
        last: The latest response of a stream.
    """

    __slots__ = ('answered', 'inner', 'kind', 'last', 'model', 'run', 'streams')

    def __init__(self, run: Run, kind: str, model: object) -> None:
        self.run = run
        self.kind = kind
        self.model = model
        self.streams = run.deferred
        self.inner: list[Call] = []
        self.answered = False
        self.last: ChatResponse | CompletionResponse | None = None

    def only_wraps(self, reading: Reading | None) -> bool:
        """Whether its answer is the one that a call inside it was posted with."""
        within = [one for one in self.inner if one.answered]
        if not within:
            return False
        if reading is None or reading.usage is None or reading.response_id is None:
            return True
        ids = {each for one in within for each in one.run.answer_ids - {one.run.id}}
        return not ids or reading.response_id in ids

    def reads(self, other: 'Call') -> bool:
        """Whether its stream is made of the `other` one's, which it opened when it was first read.

        That is outside its span, so the order of things must tell: it was there before the other
        one and has handed out pieces since.
        """
        mine, its = self.run, other.run
        return (
            self.streams
            and other.streams
            and self is not other
            and self.model is other.model
            and mine.first_ns is not None
            and mine.started_ns < its.started_ns < mine.first_ns
            and mine.text() == its.text()
        )


class Calls:
    """The open calls of this process, by span."""

    def __init__(self, to: Recipients) -> None:
        self._to = to
        # By span: the one around it, the outermost one, and the object that was called.
        self._spans: dict[str, tuple[str | None, str | None, object]] = {}
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

    def entered(
        self, span_id: str, parent_id: str | None, instance: object, arguments: BoundArguments
    ) -> None:
        """A span has started.

        Some models send a request of their own for structured output and tell of it by no event.
        """
        root = None
        if parent_id is not None:
            around = self._spans.get(parent_id)
            root = parent_id if around is None else around[1] or parent_id
        self._spans[span_id] = (parent_id, root, instance)
        if not (_STRUCTURED in span_id and isinstance(instance, LLM)):
            return

        def messages() -> list[ChatMessage]:
            given = arguments.arguments
            return list(given['prompt'].format_messages(**given.get('prompt_args', {})))

        self._start(
            span_id[-_UUID:],
            span_id,
            active_instrument_tags.get(),
            'structured',
            instance.metadata.model_name,
            text=lambda: last_text(messages()),
            chars=lambda: input_chars(messages(), {}),
            messages=lambda: len(messages()),
        )

    def left(self, span_id: str, result: object = None) -> None:
        """A span has ended; a stream that it returned may still run."""
        self._spans.pop(span_id, None)
        call = self._taken(span_id, 'structured') if span_id in self._calls else None
        if call is None:
            return
        call.answered = call.run.seen or any(one.answered for one in call.inner)
        if not close(call.run) or call.answered or call.run.tapped or not is_model(result):
            return
        call.answered = True
        post_observed(call.run, structured(call.run, result))

    def dropped(self, span_id: str, error: BaseException | None) -> None:
        """A span has failed, and with it the calls in it that have not ended."""
        self._spans.pop(span_id, None)
        for call in self._calls.pop(span_id, ()):
            self._fail(call, error)

    def chat(self, event: LLMChatStartEvent) -> None:
        """A chat call starts."""
        messages, options = event.messages, event.additional_kwargs
        self._start(
            event.id_,
            event.span_id,
            event.tags,
            'chat',
            event.model_dict.get('model_name'),
            text=lambda: last_text(messages),
            chars=lambda: input_chars(messages, options),
            messages=lambda: len(messages),
        )

    def complete(self, event: LLMCompletionStartEvent) -> None:
        """A completion starts."""
        prompt = event.prompt
        self._start(
            event.id_,
            event.span_id,
            event.tags,
            'complete',
            event.model_dict.get('model_name'),
            text=lambda: prompt,
            chars=lambda: len(prompt),
            messages=lambda: 1,
        )

    def embed(self, event: EmbeddingStartEvent) -> None:
        """A request for embeddings starts; its texts are told when it ends."""
        model = event.model_dict.get('model_name')
        self._start(event.id_, event.span_id, event.tags, 'embed', model, call_type='embeddings')

    def progress(self, event: LLMChatInProgressEvent | LLMCompletionInProgressEvent) -> None:
        """A stream has handed out a piece; each response holds the whole text up to there."""
        for call in self._calls.get(event.span_id or '', ()):
            if call.run.first_ns is None:
                self._begun(call)
            call.last = event.response

    def _begun(self, call: Call) -> None:
        """The first piece of a stream has come, so the latest request sent here was its own.

        Where several streams ask the same for the same people, only now it is known which of
        them sent it.
        """
        mine, its = call.run, sent()
        if its is not None and call.streams and not mine.claims and its.first_ns is None:
            for other in self._open():
                if other.run is its and other.streams and its.text() == mine.text():
                    call.run, other.run = its, mine
                    break
        call.run.touch()

    def _open(self) -> list[Call]:
        return [one for calls in list(self._calls.values()) for one in calls]

    def chat_ended(self, event: LLMChatEndEvent) -> None:
        """A chat call has ended."""
        self._end(event, 'chat', event.response)

    def complete_ended(self, event: LLMCompletionEndEvent) -> None:
        """A completion has ended."""
        self._end(event, 'complete', event.response)

    def embed_ended(self, event: EmbeddingEndEvent) -> None:
        """A request for embeddings has ended."""
        call = self._taken(event.span_id, 'embed')
        if call is None or not close(call.run) or call.run.seen:
            return
        # No request has left although the tap stands in its way: the model's cache answered.
        cached = call.run.tapped and bool(getattr(call.model, 'embeddings_cache', None))
        post(call.run.accounts, embedded(call.run, event.chunks, cached=cached))

    def broke(self, event: ExceptionEvent) -> None:
        """A stream was closed by its reader, was cancelled, or failed."""
        for call in self._calls.pop(event.span_id or '', ()):
            self._fail(call, event.exception)

    def _start(
        self,
        run_id: str,
        span: str | None,
        tags: Mapping[str, Any],
        kind: str,
        model: str | None,
        *,
        call_type: CallType = 'chat',
        text: Callable[[], str] = str,
        chars: Callable[[], int] = int,
        messages: Callable[[], int] = int,
    ) -> None:
        accounts = self._to.accounts()
        if not accounts:
            return
        span_id = span or ''
        parent, root, instance = self._spans.get(span_id, _NO_SPAN)
        outer = self._outer(span_id, parent) if self._calls else None
        provider = provider_of(instance)
        who = self._to.outer()
        run = Run(
            run_id,
            parent_id=tags.get(_WORKFLOW_RUN) or root,
            who=attribution_of(tags, who) if tags else who,
            account=accounts[0],
            provider=provider,
            tapped=tap.sees(provider),
            model=model,
            call_type=call_type,
            text=text,
            input_chars=chars,
            shape=lambda: Shape(None, messages(), 0),
            deferred=kind != 'structured' and span_id.partition('.')[2].startswith(_STREAMS),
        )
        if len(accounts) > 1:
            run.accounts += [one for one in accounts[1:] if one is not accounts[0]]
        call = Call(run, kind, instance)
        if outer is not None:
            outer.inner.append(call)
            outer.run.deferred = False
        self._calls.setdefault(span_id, []).append(call)
        opened(run)

    def _outer(self, span_id: str, parent: str | None) -> Call | None:
        """The open call that one in this span is part of."""
        outer = next(iter(self._calls.get(span_id, ())), None)
        if outer is not None and outer.run.call_type != 'embeddings':
            return outer
        while parent is not None:
            if parent in self._calls:
                return self._calls[parent][-1]
            parent = self._spans.get(parent, _NO_SPAN)[0]
        return None

    def _taken(self, span: str | None, kind: str) -> Call | None:
        """The oldest open call of that kind in a span."""
        span_id = span or ''
        calls = self._calls.get(span_id)
        for call in calls or ():
            if calls and call.kind == kind:
                calls.remove(call)
                if not calls:
                    self._calls.pop(span_id, None)
                return call
        return None

    def _end(
        self, event: BaseEvent, kind: str, response: ChatResponse | CompletionResponse | None
    ) -> None:
        call = self._taken(event.span_id, kind)
        if call is None:
            return
        call.answered = True
        run = call.run
        if call.streams:
            for other in self._open():
                if other.reads(call):
                    other.inner.append(call)
        if not close(run) or run.seen:
            return
        reading, counted = answer_of(run, response or call.last)
        said = None if counted else reading
        if call.inner and call.only_wraps(said):
            run.answer_ids |= {each for one in call.inner for each in one.run.answer_ids}
            return
        run.answer_ids |= {run.id, (said and said.response_id) or run.id}
        post_answered(run, reading, counted=counted)

    def _fail(self, call: Call, error: BaseException | None) -> None:
        run = call.run
        if not close(run):
            return
        if run.seen:
            run.leave(error)
        elif not call.inner and not (run.tapped and call.kind == 'embed'):
            # Batches of embeddings start together; one that fails keeps others from being sent.
            post_observed(run, failure_of(run, error, call.last))
