"""Chat models whose requests are annotated for prompt caching.

A model is copied and given a subclass of its class, which annotates what
`_get_request_payload` makes. So everything else of it stays: it is still a `ChatAnthropic` with
its tools, streams, callbacks and serialised form. What wraps models (bindings, sequences,
fallbacks, retries, routers) is copied around the copies.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from farthing.meter.shared import Source
from farthing.run.annotates import Annotates, annotated, default, unannotated

Model = TypeVar('Model')

# Who bills a model and, where it has one only, its API; by the model's `_llm_type`. Classes of
# other packages that derive from these say another type, and their servers may take other fields.
_SPEAKS = {
    'anthropic-chat': ('anthropic', 'anthropic_messages'),
    'anthropic-bedrock-chat': ('aws-bedrock', 'anthropic_messages'),
    'azure-openai-chat': ('azure', None),
    'openai-chat': ('openai', None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an annotator comes from, so that a pickled model can find it again."""

    ledger: Source = None
    annotator: Annotates | None = None

    def annotates(self) -> Annotates:
        """The given annotator, else the one of the ledger."""
        return default(self.ledger) if self.annotator is None else self.annotator


def cached(model: Model, *, ledger: Source = None, annotator: Annotates | None = None) -> Model:
    """The same kind of model, whose requests say what the provider shall cache.

    Takes `ChatAnthropic`, `ChatOpenAI` (Chat Completions and Responses), `AzureChatOpenAI`,
    `ChatAnthropicBedrock`, and what wraps them: bindings, `with_structured_output`, fallbacks,
    retries, configurable models, routers that hold models. The prompt, its order and the answer
    stay as they are, and so does the object that is given. A second time changes nothing.

    What holds none of these models is returned as it is, warned about and counted.

    Args:
        model: A chat model, or what wraps some.
        ledger: Where it learns which caching pays; as for `LedgerCallbackHandler`.
        annotator: Decides instead of the one that learns in the ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """
    copied: Model = _Copies(Origin(ledger=ledger, annotator=annotator)).of(model)
    return copied


class _Annotated:
    """Mixed into the class of a chat model."""

    _farthing_base: type[BaseChatModel]
    _farthing_origin: Origin
    _farthing_annotator: Annotates

    def _get_request_payload(self, input_: Any, **options: Any) -> dict[str, Any]:
        payload = super()._get_request_payload(input_, **options)  # type: ignore[misc]
        provider, api = _SPEAKS[self._llm_type]  # type: ignore[attr-defined]
        return annotated(
            payload,
            self._farthing_annotator,
            provider=provider,
            api=api or ('openai_responses' if 'input' in payload else 'openai_chat'),
            model=payload.get('model') or getattr(self, 'deployment_name', None),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (self._farthing_base, self._farthing_origin), self.__getstate__()


def _revived(base: type[BaseChatModel], origin: Origin) -> BaseChatModel:
    made = _annotated_class(base, origin, origin.annotates())
    return made.__new__(made)


# By class and annotator. Classes are kept, as Pydantic takes milliseconds to make one; they hold
# their annotators, so that no other one ever has the same id.
_made: dict[tuple[type, int], Any] = {}


def _annotated_class(
    base: type[BaseChatModel], origin: Origin, annotator: Annotates
) -> type[BaseChatModel]:
    """A subclass under the same name: LangChain serialises and traces a model by it.

    The annotator is the class's, because configurable fields make models anew from the class.
    """
    key = (base, id(annotator))
    if key not in _made:
        made = _mixed(_Annotated, base)
        made._farthing_base = base  # noqa: SLF001 - ours
        made._farthing_origin = origin  # noqa: SLF001 - ours
        made._farthing_annotator = annotator  # noqa: SLF001 - ours
        _made.setdefault(key, made)
    found: type[BaseChatModel] = _made[key]
    return found


def _mixed(mixin: type, base: type) -> Any:
    """A class that is known by the name of its base."""
    names = {name: getattr(base, name) for name in ('__module__', '__qualname__', '__doc__')}
    return type(base)(base.__name__, (mixin, base), names)


class _Later:
    """Mixed into the class of a configurable model, which is made anew for each call."""

    _farthing_copies: '_Copies'

    def _model(self, config: Any = None) -> Any:
        return self._farthing_copies.of(super()._model(config))  # type: ignore[misc]

    def with_config(self, *args: Any, **options: Any) -> Any:
        return self._farthing_copies.later(super().with_config(*args, **options))  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)  # type: ignore[misc]
        return partial(self._queued, found) if name in _QUEUED else found

    def _queued(self, method: Any, *args: Any, **options: Any) -> Any:
        return self._farthing_copies.later(method(*args, **options))


# What a configurable model remembers, to do it with each model that it makes.
_QUEUED = frozenset({'bind_tools', 'with_structured_output'})


class _Copies:
    """Makes copies of models, and of what holds them."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.annotator = origin.annotates()

    def of(self, model: Any) -> Any:
        """The annotated copy of a model, or of what wraps some."""
        walk = _Walk(self)
        found = walk.copied(model)
        if not walk.models:
            unannotated.add(type(model))
        return found

    def later(self, model: Any) -> Any:
        """A copy of a configurable model, which annotates the models that it makes."""
        found = object.__new__(_mixed(_Later, type(model)))
        found.__dict__ |= {**vars(model), '_farthing_copies': self}
        return found


class _Walk:
    """One walk through what wraps models; each object is copied once.

    Attributes:
        models: How many models were met whose requests are annotated.
    """

    def __init__(self, copies: _Copies) -> None:
        self.models = 0
        self._copies = copies
        self._seen: dict[int, Any] = {}

    def copied(self, value: Any) -> Any:
        """`value` with the models in it annotated; itself where there is nothing to do."""
        if type(value) in {list, tuple}:
            items = [self.copied(item) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else type(value)(items)
        if type(value) is dict:
            changed = self._changed(value)
            return {**value, **changed} if changed else value
        # Tools are what a model calls; models that they hold are theirs.
        if not isinstance(value, Runnable) or isinstance(value, BaseTool):
            return value
        if id(value) not in self._seen:
            self._seen[id(value)] = value  # what holds itself finds itself
            self._seen[id(value)] = self._runnable(value)
        return self._seen[id(value)]

    def _changed(self, named: Mapping[Any, Any]) -> dict[Any, Any]:
        walked = {name: self.copied(value) for name, value in named.items()}
        return {name: new for name, new in walked.items() if new is not named[name]}

    def _runnable(self, value: Any) -> Any:
        if isinstance(value, (_Annotated, _Later)):
            self.models += 1
            return value
        if _speaks(value):
            self.models += 1
            found: Any = value.model_copy()
            copies = self._copies
            found.__class__ = _annotated_class(type(value), copies.origin, copies.annotator)
            return found
        held = getattr(value, '__dict__', {})
        if '_queued_declarative_operations' in held:
            self.models += 1
            return self._copies.later(value)
        changed = self._changed(held)
        hidden = self._changed(getattr(value, '__pydantic_private__', None) or {})
        if not changed and not hidden:
            return value
        found = copy.copy(value)
        vars(found).update(changed)
        if hidden:
            found.__pydantic_private__.update(hidden)
        return found


def _speaks(value: object) -> bool:
    """Whether it is a model whose requests can be annotated.

    `langchain_community` has older models of the same types, which make their requests elsewhere.
    """
    return (
        isinstance(value, BaseChatModel)
        and value._llm_type in _SPEAKS  # noqa: SLF001 - LangChain tells models apart by it
        and hasattr(value, '_get_request_payload')
    )
