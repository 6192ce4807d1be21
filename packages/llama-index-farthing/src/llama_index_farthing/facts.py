"""LlamaIndex's own objects, read into plain facts."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeGuard

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
)
from pydantic import BaseModel

from farthing.attribution import Attribution, narrowed
from farthing.errors import UsageError
from farthing.estimate import tokens
from farthing.meter import Observed, Run, unseen
from farthing.meter.unseen import estimated, post_answer, post_observed
from farthing.usage import Usage
from farthing.wire import llama_index as wire
from farthing.wire.prompt import chars_of
from farthing.wire.reading import NOTHING, Reading

Response = ChatResponse | CompletionResponse | None

# The integrations whose calls somebody bills, by the package that a model's class comes from.
_PROVIDERS = {
    'azure_openai': 'azure',
    'bedrock': 'aws-bedrock',
    'bedrock_converse': 'aws-bedrock',
    'gemini': 'google',
    'google_genai': 'google',
    'vertex': 'google-vertex',
}
# One integration serves several providers; its client tells which.
_CLIENTS = {'AnthropicBedrock': 'aws-bedrock', 'AnthropicVertex': 'google-vertex'}
_SEVERAL = frozenset({'anthropic', None})
_INTEGRATION_DEPTH = 3
_WHO = ('tenant', 'task', 'session')
_API = 'llama_index_response'
observed = partial(unseen.observed, api=_API)


def attribution_of(tags: Mapping[str, Any], outer: Attribution) -> Attribution:
    """Who the call is for: what `instrument_tags` says, else what was said around it.

    Other tags are not read: workflows put summaries of the user's texts among them.
    """
    if not any(name in tags for name in _WHO):
        return outer
    tenant, task, session = (str(tags.get(name) or '') or None for name in _WHO)
    return narrowed(outer, tenant=tenant, task=task, session=session)


def provider_of(model: object) -> str | None:
    """Who bills the calls of an LLM or embedding model; `None` where its class does not say."""
    provider = _integration(type(model))  # type: ignore[arg-type]  # mypy: a type has no hash
    if provider not in _SEVERAL:
        return provider
    # Pydantic takes two microseconds to say that there is no such attribute.
    private = getattr(model, '__pydantic_private__', None) or {}
    return _CLIENTS.get(type(private.get('_client')).__name__, provider)


@cache
def _integration(model: type) -> str | None:
    for base in model.__mro__:
        parts = base.__module__.split('.')
        if parts[0] == 'llama_index' and len(parts) >= _INTEGRATION_DEPTH:
            if parts[1] not in {'llms', 'embeddings'}:
                return None
            return _PROVIDERS.get(parts[2], parts[2])
    return None


def last_text(messages: Sequence[ChatMessage]) -> str:
    """The text of the last user message that has one, as the tap reads it from the request."""
    for message in reversed(messages):
        if message.role == MessageRole.USER:
            text = ''.join(block.text for block in message.blocks if isinstance(block, TextBlock))
            if text:
                return text
    return ''


def input_chars(messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> int:
    """Characters of all texts, and of the tools' descriptions."""
    tools = options.get('tools')
    return _chars(messages) + (chars_of(tools) if tools else 0)


def _chars(messages: Iterable[ChatMessage]) -> int:
    chars = 0
    for message in messages:
        for block in message.blocks:
            if isinstance(block, TextBlock):
                chars += len(block.text)
    return chars


def answer_of(run: Run, response: Response) -> tuple[Reading | None, bool]:
    """What the framework says of an answer, and whether its counts are estimated.

    `None` where its counts contradict each other.
    """
    if response is None:
        return _estimated(run, NOTHING, None), True
    raw, extra = response.raw, response.additional_kwargs
    if isinstance(response, ChatResponse):
        extra = {**response.message.additional_kwargs, **extra}
    try:
        reading = wire.answer(raw, extra) if raw is not None or extra else NOTHING
    except UsageError:
        return None, False
    if reading.usage is None:
        return _estimated(run, reading, response), True
    return reading, False


def post_answered(run: Run, reading: Reading | None, *, counted: bool) -> None:
    """Post an answer that the tap has not seen, `counted` by us or by the provider."""
    if reading is None:
        post_observed(run, observed(run, NOTHING, error='UsageError'))
    else:
        post_answer(run, reading, api=_API, estimated=counted)


def failure_of(run: Run, error: BaseException | None, response: Response) -> Observed:
    """What is known of a run that failed or was left, and that the tap has not seen."""
    return unseen.failed(run, error, api=_API, output_chars=_output_chars(response))


def embedded(run: Run, chunks: Sequence[str], *, cached: bool) -> Observed:
    """An embedding call that the tap has not seen; LlamaIndex keeps nothing of its usage."""
    usage = Usage(input_tokens=tokens(sum(map(len, chunks))), output_tokens=0)
    return observed(
        run,
        Reading(usage=usage),
        status='cache_hit' if cached else 'ok',
        billed=not cached,
        estimated=True,
    )


def is_model(result: object) -> TypeGuard[BaseModel]:
    """Whether a call for structured output has ended with one; a stream has not ended yet."""
    return isinstance(result, BaseModel)


def structured(run: Run, result: BaseModel) -> Observed:
    """A structured answer that neither the tap nor an event told of."""
    reading = estimated(run, NOTHING, len(result.model_dump_json()))
    return observed(run, reading, estimated=True)


def _estimated(run: Run, reading: Reading, response: Response) -> Reading:
    """The reading with our own counts."""
    return estimated(run, reading, _output_chars(response))


def _output_chars(response: Response) -> int:
    """Characters of an answer; a stream's last response holds its whole text."""
    if response is None:
        return 0
    if isinstance(response, ChatResponse):
        return _chars((response.message,))
    return len(response.text)
