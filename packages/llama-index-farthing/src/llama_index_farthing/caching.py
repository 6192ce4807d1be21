"""LLMs whose requests are annotated for prompt caching.

LlamaIndex joins system blocks into one string and builds a request inside each method, so the
request is annotated where it leaves: in the SDK's client of a copied LLM. The copy's class is a
subclass under the same name, because some clients are made only when a call needs them, and
because LlamaIndex writes marks into the messages that it is given and refuses others.
"""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, TypeGuard, TypeVar

from llama_index.core.base.llms.types import CachePoint, ChatMessage
from llama_index.core.llms import LLM

from farthing.meter.shared import Source
from farthing.run.annotates import Annotates, default, unannotated
from farthing.run.client import annotating
from llama_index_farthing.facts import provider_of

Model = TypeVar('Model')

_ANTHROPIC = frozenset({'anthropic', 'aws-bedrock', 'google-vertex'})
_OPENAI = frozenset({'openai', 'azure'})
_SDKS = frozenset({'llama_index.llms.anthropic', 'llama_index.llms.openai'})


def cached(llm: Model, *, ledger: Source = None, annotator: Annotates | None = None) -> Model:
    """A copy of an LLM whose requests say what the provider shall cache.

    Takes `Anthropic`, `OpenAI`, `OpenAIResponses` and what derives from them. System messages and
    tools are marked too, in chats and completions, plain and streamed, structured predictions,
    agents and workflows. The prompt, its order and the answer stay as they are, and so does the
    LLM that is given. A `CachePoint` stays for Anthropic and is left out for OpenAI, which would
    refuse it. A second time changes nothing. Of a `RouterLLM`, all routes are annotated.

    Any other LLM is returned as it is, warned about and counted.

    Args:
        llm: An LLM of LlamaIndex.
        ledger: Where it learns which caching pays; as for `install`.
        annotator: Decides instead of the one that learns in the ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """
    if isinstance(llm, _Annotated):
        return llm
    if with_routes := getattr(llm, 'with_routes', None):  # by name: routers are seldom loaded
        routed: Model = with_routes(partial(cached, ledger=ledger, annotator=annotator))
        return routed
    if not _speaks(llm):
        unannotated.add(type(llm))
        return llm
    chosen = default(ledger) if annotator is None else annotator
    copied: Any = llm.model_copy()
    copied.__class__ = _annotated_class(type(llm), chosen)
    for name in ('_client', '_aclient'):
        if getattr(copied, name) is not None:  # OpenAI's are made when they are first needed
            setattr(copied, name, copied._farthing(getattr(copied, name)))  # noqa: SLF001 - ours
    found: Model = copied
    return found


def _speaks(llm: object) -> TypeGuard[LLM]:
    """Whether it is an LLM on an SDK that can be annotated, of a provider that we know."""
    homes = {base.__module__.rpartition('.')[0] for base in type(llm).__mro__}
    return not homes.isdisjoint(_SDKS) and provider_of(llm) in _ANTHROPIC | _OPENAI


class _Annotated:
    """Mixed into the class of an LLM; nothing here is async, as it hands on what it is given."""

    _farthing_annotator: Annotates

    def _farthing(self, client: Any) -> Any:
        return annotating(client, self._farthing_annotator, provider=provider_of(self) or '')

    def _get_client(self) -> Any:
        return self._kept('_client', super()._get_client())  # type: ignore[misc]

    def _get_aclient(self) -> Any:
        return self._kept('_aclient', super()._get_aclient())  # type: ignore[misc]

    def _kept(self, name: str, client: Any) -> Any:
        found = self._farthing(client)
        if self.reuse_client:  # type: ignore[attr-defined]  # OpenAI's
            setattr(self, name, found)
        return found

    def chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return super().chat(self._own(messages), **options)  # type: ignore[misc]

    def achat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return super().achat(self._own(messages), **options)  # type: ignore[misc]

    def stream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return super().stream_chat(self._own(messages), **options)  # type: ignore[misc]

    def astream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return super().astream_chat(self._own(messages), **options)  # type: ignore[misc]

    def structured_predict(self, output_cls: Any, prompt: Any, *args: Any, **options: Any) -> Any:
        own = self._own_prompt(prompt)
        return super().structured_predict(output_cls, own, *args, **options)  # type: ignore[misc]

    def astructured_predict(self, output_cls: Any, prompt: Any, *args: Any, **options: Any) -> Any:
        own = self._own_prompt(prompt)
        return super().astructured_predict(output_cls, own, *args, **options)  # type: ignore[misc]

    def _own(self, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
        """Messages that LlamaIndex may write into, without what the provider refuses."""
        if provider_of(self) in _OPENAI:
            return _without_points(messages)
        if self.cache_idx is None:  # type: ignore[attr-defined]  # Anthropic's
            return messages
        return [one.model_copy(update=_unshared(one)) for one in messages]

    def _own_prompt(self, prompt: Any) -> Any:
        """A prompt whose messages have nothing that the provider refuses."""
        if provider_of(self) not in _OPENAI or isinstance(prompt, _Pointless):
            return prompt
        copied = prompt.model_copy()
        copied.__class__ = _pointless(type(prompt))  # type: ignore[arg-type]  # mypy: a type has no hash
        return copied


class _Pointless:
    """Mixed into the class of a prompt."""

    def format_messages(self, *args: Any, **options: Any) -> list[ChatMessage]:
        return _without_points(super().format_messages(*args, **options))  # type: ignore[misc]


def _without_points(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Messages without `CachePoint` blocks, which OpenAI's integration refuses."""
    return [
        one.model_copy(
            update={'blocks': [block for block in one.blocks if not isinstance(block, CachePoint)]}
        )
        for one in messages
    ]


def _unshared(message: ChatMessage) -> dict[str, Any]:
    """What `cache_idx` has marks written into."""
    return {'additional_kwargs': {**message.additional_kwargs}}


@cache
def _pointless(base: type) -> Any:
    return _mixed(_Pointless, base)


# By class and annotator. Classes are kept, as Pydantic takes milliseconds to make one; they hold
# their annotators, so that no other one ever has the same id.
_made: dict[tuple[type, int], Any] = {}


def _annotated_class(base: type, annotator: Annotates) -> Any:
    key = (base, id(annotator))
    if key not in _made:
        made = _mixed(_Annotated, base)
        made._farthing_annotator = annotator  # noqa: SLF001 - ours
        _made.setdefault(key, made)
    return _made[key]


def _mixed(mixin: type, base: type) -> Any:
    """A class under the name of its base: LlamaIndex's spans and events tell a class by it."""
    names = {name: getattr(base, name) for name in ('__module__', '__qualname__', '__doc__')}
    return type(base)(base.__name__, (mixin, base), names)
