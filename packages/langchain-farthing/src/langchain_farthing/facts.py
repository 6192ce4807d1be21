"""LangChain's own objects, read into plain facts."""

from asyncio import CancelledError
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from farthing.attribution import Attribution, narrowed
from farthing.entry import EntryStatus
from farthing.errors import UsageError
from farthing.estimate import tokens
from farthing.meter import Observed, Run
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import langchain as wire
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
_FIRST_ERROR_STATUS = 400
_RUN = 'lc_run--'
# A chat model answers at once; batches are fetched by other means.
_SYNC = Terms(batch=False)


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


def input_chars(messages: list[list[BaseMessage]]) -> int:
    """Characters of all texts."""
    return sum(len(message.text) for group in messages for message in group)


def answer_of(run: Run, response: LLMResult) -> tuple[Observed, set[str]]:
    """What the framework says of an answer that the tap has not seen, and the answer's ids."""
    generation = response.generations[0][0] if response.generations else None
    message = generation.message if isinstance(generation, ChatGeneration) else None
    usage_metadata = getattr(message, 'usage_metadata', None)
    try:
        reading = wire.answer(usage_metadata, getattr(message, 'response_metadata', None) or {})
    except UsageError:
        return observed(run, Reading(usage=None), error='UsageError'), {run.id}
    ids = {run.id, reading.response_id, (getattr(message, 'id', '') or '').removeprefix(_RUN)}
    known = {one for one in ids if one}
    if (usage_metadata or {}).get('total_cost') == 0:
        return observed(run, reading, status='cache_hit', billed=False), known
    if reading.usage is None:
        text = generation.text if generation else ''
        return observed(run, estimated(run, reading, text), estimated=True), known
    return observed(run, reading), known


def failure_of(run: Run, error: BaseException, response: LLMResult | None) -> Observed:
    """What is known of a run that failed or was left, and that the tap has not seen."""
    if isinstance(error, (GeneratorExit, CancelledError, KeyboardInterrupt)):
        generation = response.generations[0][0] if response and response.generations else None
        text = generation.text if generation else ''
        return observed(
            run,
            estimated(run, Reading(usage=None, complete=False), text),
            status='cancelled',
            estimated=True,
            error=type(error).__name__,
        )
    status = getattr(error, 'status_code', None)
    refused = isinstance(status, int) and status >= _FIRST_ERROR_STATUS
    return observed(
        run,
        None,
        status='error',
        billed=not (refused or run.tapped),
        error=f'http_{status}' if refused else type(error).__name__,
    )


def estimated(run: Run, reading: Reading, text: str) -> Reading:
    """The reading with our own counts."""
    usage = Usage(
        input_tokens=tokens(run.input_chars(), run.provider),
        output_tokens=tokens(len(text), run.provider),
    )
    return Reading(
        usage=usage,
        model=reading.model,
        response_id=reading.response_id,
        terms=reading.terms,
        complete=reading.complete,
    )


def observed(
    run: Run,
    reading: Reading | None,
    *,
    status: EntryStatus = 'ok',
    billed: bool = True,
    estimated: bool = False,
    error: str | None = None,
) -> Observed:
    """The run as the meter takes it."""
    return Observed(
        id=f'{run.id}:1',
        who=run.who,
        time=run.time,
        provider=run.provider or 'unknown',
        api='langchain_usage_metadata',
        model=run.model,
        reading=reading,
        usage_source='estimated' if estimated else 'reported',
        terms=_SYNC,
        billed=billed,
        call_type=run.call_type,
        status=status,
        error=error,
        run_id=run.id,
        parent_run_id=run.parent_id,
        latency_us=run.age_us(),
        first_token_us=run.first_token_us(),
    )
