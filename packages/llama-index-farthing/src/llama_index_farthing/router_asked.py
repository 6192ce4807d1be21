"""The ways to ask an LLM, each as one value: what is asked, and how to ask any LLM for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from farthing.wire.options import Family, foreign
from llama_index_farthing.router_messages import for_family

Method: TypeAlias = Literal['chat', 'complete', 'chat_with_tools', 'structured_predict']
Options: TypeAlias = Mapping[str, Any]
MODEL = 'model'
"""The option that names a route; the route's own LLM knows its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Fits messages and options to the LLM that is asked.

    Attributes:
        family: Whose request it makes.
        mixed: Whether other LLMs, with forms of their own, may have answered before.
    """

    family: Family | None
    mixed: bool

    def messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The messages, in a list that LlamaIndex may add to."""
        return for_family(messages, self.family) if self.mixed else [*messages]

    def options(self, options: Options) -> dict[str, Any]:
        """The options, without those that it would refuse."""
        refused = foreign(self.family) | {MODEL}
        return {name: value for name, value in options.items() if name not in refused}


Arguments: TypeAlias = Callable[[Fit], tuple[tuple[Any, ...], dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One call of the router, as it was made.

    Attributes:
        method: Which method was called, without what makes it async or a stream.
        messages: What is asked.
        arguments: What the method is called with on an LLM.
        options: What it is asked with.
        tools: The tools that may be called.
    """

    method: Method
    messages: Sequence[ChatMessage] = field(repr=False)
    arguments: Arguments
    options: Options = field(repr=False)
    tools: Sequence[Any] = field(default=(), repr=False)


def chat(messages: Sequence[ChatMessage], options: Options) -> Asked:
    """A chat."""
    return Asked(
        method='chat',
        messages=messages,
        arguments=lambda fit: ((fit.messages(messages),), fit.options(options)),
        options=options,
    )


def complete(prompt: str, options: Options, *, formatted: bool) -> Asked:
    """A completion."""
    return Asked(
        method='complete',
        messages=(ChatMessage(role=MessageRole.USER, content=prompt),),
        arguments=lambda fit: ((prompt, formatted), fit.options(options)),
        options=options,
    )


def with_tools(
    tools: Sequence[Any],
    user_msg: str | ChatMessage | None,
    chat_history: Sequence[ChatMessage] | None,
    options: Options,
) -> Asked:
    """A chat with tools.

    The last message goes with the history, as LlamaIndex's Anthropic leaves it out otherwise where
    it is no mere text.
    """
    asked = [*(chat_history or ())]
    if isinstance(user_msg, ChatMessage):
        asked.append(user_msg)
    elif user_msg is not None:
        asked.append(ChatMessage(role=MessageRole.USER, content=user_msg))
    return Asked(
        method='chat_with_tools',
        messages=asked,
        arguments=lambda fit: (
            (tools,),
            {'chat_history': fit.messages(asked), **fit.options(options)},
        ),
        options=options,
        tools=tools,
    )


def structured(output_cls: Any, prompt: Any, llm_kwargs: Options | None, given: Options) -> Asked:
    """A prediction of a schema."""
    options = llm_kwargs or {}
    return Asked(
        method='structured_predict',
        messages=prompt.format_messages(**given),
        arguments=lambda fit: ((output_cls, prompt, fit.options(options)), dict(given)),
        options=options,
    )
