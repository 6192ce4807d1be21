"""What LangChain knows of the models that a router chooses among."""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel, ModelProfile

from farthing.errors import InputError
from farthing.routing import Ability, Route
from farthing.wire.options import Family
from langchain_farthing.facts import provider_of

# Abilities by the profile's keys, any of which shows one. Structured output can be asked for by
# way of a tool.
_SHOWN_BY: Mapping[Ability, tuple[str, ...]] = {
    'tools': ('tool_calling',),
    'structured_output': ('structured_output', 'tool_calling'),
    'thinking': ('reasoning_output',),
    'image': ('image_inputs', 'image_url_inputs'),
    'audio': ('audio_inputs',),
    'file': ('pdf_inputs',),
}
_OPENAI_TYPES = frozenset({'azure-openai-chat', 'openai-chat'})


def routes_of(
    models: Mapping[str, BaseChatModel], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Route]:
    """The routes of these models, in their order.

    Args:
        models: The models by name, weakest first.
        facts: Fields of `Route` that the user knows better, by name.

    Raises:
        InputError: There is no model, one is none, or facts are of no route or no field.
    """
    if not models:
        raise InputError('`routes` is empty: expected chat models by name, weakest first')
    for name, model in models.items():
        if not isinstance(model, BaseChatModel):
            raise InputError(
                f'route {name!r} is {type(model).__name__}: expected a chat model; bindings and '
                'retries go around the router'
            )
    if unknown := {*facts} - {*models}:
        raise InputError(f'`facts` names {sorted(unknown)}: expected some of {", ".join(models)}')
    return {name: _route(name, model, facts.get(name, {})) for name, model in models.items()}


def _route(name: str, model: BaseChatModel, known: Mapping[str, Any]) -> Route:
    params: Mapping[str, Any] = cast('Any', model._get_ls_params())  # noqa: SLF001 - LangChain's own way
    profile: Mapping[str, Any] = cast('Any', model.profile) or {}
    fields: dict[str, Any] = {
        'name': name,
        'provider': provider_of(params) or 'unknown',
        'model': params.get('ls_model_name') or 'unknown',
        'abilities': _abilities(model, profile),
        'context_tokens': profile.get('max_input_tokens'),
        'max_output_tokens': profile.get('max_output_tokens'),
        # OpenAI's models cache by themselves; others as their usage shows.
        'cache_writes': 'free' if family_of(model) == 'openai' else 'none',
    }
    try:
        return Route(**fields | dict(known))
    except TypeError as error:
        raise InputError(f'`facts` of route {name!r}: {error}') from error


def _abilities(model: BaseChatModel, profile: Mapping[str, Any]) -> frozenset[Ability] | None:
    if not profile:
        if type(model).bind_tools is not BaseChatModel.bind_tools:
            return None
        return frozenset({'thinking', 'image', 'audio', 'file'})  # it takes no tools; else unknown
    # A key that is absent is unknown, and nothing is refused for what is unknown.
    return frozenset(
        ability
        for ability, keys in _SHOWN_BY.items()
        if any(profile.get(key, True) for key in keys)
    )


def family_of(model: BaseChatModel) -> Family | None:
    """Whose request a model makes."""
    kind = model._llm_type  # noqa: SLF001 - LangChain tells models apart by it
    if kind.startswith('anthropic'):
        return 'anthropic'
    return 'openai' if kind in _OPENAI_TYPES else None


def shared_profile(models: Mapping[str, BaseChatModel]) -> ModelProfile | None:
    """What all models can do; `None` where one of them does not say.

    What is a limit is the lowest one, what is allowed is allowed by all, and of all else what they
    agree on.
    """
    profiles: list[Mapping[str, Any]] = [
        cast('Any', model.profile or {}) for model in models.values()
    ]
    found = {
        key: _shared([one[key] for one in profiles])
        for key in profiles[0]
        if all(key in one for one in profiles)
    }
    known = {key: value for key, value in found.items() if value is not None}
    return cast('ModelProfile', known) or None


def _shared(values: list[Any]) -> Any:
    first = values[0]
    if all(isinstance(one, bool) for one in values):
        return all(values)
    if all(isinstance(one, int) for one in values):
        return min(values)
    if all(isinstance(one, list) for one in values):
        return [one for one in first if all(one in other for other in values)]
    return first if all(one == first for one in values) else None
