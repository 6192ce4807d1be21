"""What LlamaIndex knows of the LLMs that a router chooses among."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from farthing.errors import InputError
from farthing.routing import Ability, Route
from farthing.wire.options import Family
from llama_index_farthing.facts import provider_of

_FAMILIES: Mapping[str, Family] = {
    'anthropic': 'anthropic',
    'azure_openai': 'openai',
    'openai': 'openai',
}
_WITHOUT_TOOLS: frozenset[Ability] = frozenset(get_args(Ability)) - {'tools'}


def routes_of(llms: Mapping[str, LLM], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Route]:
    """The routes of these LLMs, in their order.

    Args:
        llms: The LLMs by name, weakest first.
        facts: Fields of `Route` that the user knows better, by name.

    Raises:
        InputError: There is no LLM, one is none, or facts are of no route or no field.
    """
    if not llms:
        raise InputError('`routes` is empty: expected LLMs by name, weakest first')
    for name, llm in llms.items():
        if not isinstance(llm, LLM):
            raise InputError(f'route {name!r} is {type(llm).__name__}: expected an LLM')
    if unknown := {*facts} - {*llms}:
        raise InputError(f'`facts` names {sorted(unknown)}: expected some of {", ".join(llms)}')
    return {name: _route(name, llm, facts.get(name, {})) for name, llm in llms.items()}


def _route(name: str, llm: LLM, known: Mapping[str, Any]) -> Route:
    told = llm.metadata
    window = told.context_window
    fields: dict[str, Any] = {
        'name': name,
        'provider': provider_of(llm) or 'unknown',
        'model': told.model_name,
        # LlamaIndex tells of tools alone; `num_output` is what is asked for, not what is possible.
        'abilities': None if calls_tools(llm) else _WITHOUT_TOOLS,
        # The default stands where an integration does not say.
        'context_tokens': None if window == DEFAULT_CONTEXT_WINDOW else window,
        # OpenAI's models cache by themselves; others as their usage shows.
        'cache_writes': 'free' if family_of(llm) == 'openai' else 'none',
    }
    try:
        return Route(**fields | dict(known))
    except TypeError as error:
        raise InputError(f'`facts` of route {name!r}: {error}') from error


def calls_tools(llm: LLM) -> bool:
    """Whether an LLM takes tools."""
    return isinstance(llm, FunctionCallingLLM) and llm.metadata.is_function_calling_model


def family_of(llm: LLM) -> Family | None:
    """Whose request an LLM makes."""
    return _family(type(llm))


@cache
def _family(kind: type) -> Family | None:
    for base in kind.__mro__:
        package, _, rest = base.__module__.partition('llama_index.llms.')
        found = None if package else _FAMILIES.get(rest.partition('.')[0])
        if found is not None:
            return found
    return None


def shared_metadata(llms: Mapping[str, LLM], default: str) -> LLMMetadata:
    """What all LLMs can do, under the name of the default one."""
    told = [one.metadata for one in llms.values()]
    outputs = [one.num_output for one in told if one.num_output > 0]
    return llms[default].metadata.model_copy(
        update={
            'context_window': min(one.context_window for one in told),
            'num_output': min(outputs, default=-1),
            'is_chat_model': all(one.is_chat_model for one in told),
            'is_function_calling_model': all(map(calls_tools, llms.values())),
        }
    )
