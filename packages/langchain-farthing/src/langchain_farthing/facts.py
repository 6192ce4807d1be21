"""LangChain's own objects, read into plain facts."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from farthing.attribution import Attribution, narrowed
from farthing.errors import UsageError
from farthing.meter import Observed, Run, unseen
from farthing.meter.unseen import estimated, post_answer, post_observed, post_told
from farthing.wire import langchain as wire
from farthing.wire.prompt import Shape
from farthing.wire.reading import Reading

_PROVIDERS = {
    'azure_openai': 'azure',
    'azure_ai': 'azure',
    'google_genai': 'google',
    'google_vertexai': 'google-vertex',
    'google_anthropic_vertex': 'google-vertex',
    'amazon_bedrock': 'aws-bedrock',
    'bedrock_converse': 'aws-bedrock',
    'anthropic_bedrock': 'aws-bedrock',
}
_PURPOSES = {'summarization': 'summary', 'farthing:classifier': 'routing'}
_TAGS = {'langgraph_node': 'node', 'lc_agent_name': 'agent'}
_TOLD = frozenset({'tenant', 'task', 'session', 'thread_id', 'lc_source', *_TAGS})
_RUN = 'lc_run--'
_API = 'langchain_usage_metadata'
observed = partial(unseen.observed, api=_API)


def attribution_of(metadata: Mapping[str, Any], outer: Attribution) -> Attribution:
    """Who the call is for: what its metadata says, else what was said around it."""
    if _TOLD.isdisjoint(metadata):
        return outer
    tags = {name: str(metadata[key]) for key, name in _TAGS.items() if metadata.get(key)}
    return narrowed(
        outer,
        tenant=_name(metadata.get('tenant')),
        task=_name(metadata.get('task')),
        session=_name(metadata.get('session') or metadata.get('thread_id')),
        purpose=_PURPOSES.get(metadata.get('lc_source', '')),
        tags=tags,
    )


def provider_of(metadata: Mapping[str, Any]) -> str | None:
    """The provider that LangChain names, in our words."""
    named = metadata.get('ls_provider')
    return _PROVIDERS.get(named, named) if named else None


def _name(value: object) -> str | None:
    return None if value is None or value == '' else str(value)


def last_text(messages: list[list[BaseMessage]]) -> str:
    """The text of the last user message that has one, as the tap reads it from the request."""
    for message in reversed(messages[0] if messages else []):
        if message.type == 'human' and (text := message.text):
            return str(text)
    return ''


def shape_of(messages: list[list[BaseMessage]], params: Mapping[str, Any]) -> Shape:
    """The shape of what a model was given."""
    return Shape(None, len(messages[0]) if messages else 0, len(params.get('tools') or ()))


def input_chars(messages: list[list[BaseMessage]]) -> int:
    """Characters of all texts."""
    return sum(len(message.text) for group in messages for message in group)


def post_answered(run: Run, response: LLMResult) -> None:
    """Post what the framework says of an answer that the tap has not seen."""
    generation = _first(response)
    message = generation.message if isinstance(generation, ChatGeneration) else None
    usage_metadata = getattr(message, 'usage_metadata', None)
    metadata = getattr(message, 'response_metadata', None) or {}
    if usage_metadata and not (run.inner or run.nested):
        said = wire.plainly(usage_metadata, metadata)
        if said is not None and post_told(run, _API, usage_metadata, said):
            return
    try:
        reading = wire.answer(usage_metadata, metadata)
    except UsageError:
        post_observed(run, observed(run, Reading(usage=None), error='UsageError'))
        return
    if usage_metadata and usage_metadata.get('total_cost') == 0:
        post_observed(run, observed(run, reading, status='cache_hit', billed=False))
        return
    unknown = reading.usage is None
    if run.inner or run.nested:
        known = {run.id, reading.response_id or run.id}
        if message is not None and message.id:
            known.add(message.id.removeprefix(_RUN))
        if run.repeats(known, has_usage=not unknown):
            return
        run.answer_ids |= known
    if unknown:
        reading = estimated(run, reading, len(generation.text if generation else ''))
    post_answer(run, reading, api=_API, estimated=unknown)


def _first(response: LLMResult) -> Any:
    """The first generation; `None` where there is none, as of a call that failed."""
    return next((one for several in response.generations for one in several), None)


def failure_of(run: Run, error: BaseException, response: LLMResult | None) -> Observed:
    """What is known of a run that failed or was left, and that the tap has not seen."""
    generation = None if response is None else _first(response)
    text = generation.text if generation else ''
    return unseen.failed(run, error, api=_API, output_chars=len(text))
