"""A call's options and messages, as each route's model takes them.

Tools, a structured output and options are kept as they were given until the route is chosen; then
the chosen model's own `bind_tools` and `with_structured_output` say what it is sent.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from farthing.wire.options import foreign
from langchain_farthing.router_routes import family_of

TOOLS, CHOICE = 'tools', 'tool_choice'
WITH_TOOLS = 'farthing_with_tools'
"""Further arguments of `bind_tools`, apart from those of the call."""
STRUCTURED = 'farthing_structured'
"""What `with_structured_output` was given."""
_MARK = 'cache_control'


class Structured:
    """A schema that answers shall have, and how it was asked for.

    Args:
        schema: The schema.
        options: Further arguments of `with_structured_output`.
    """

    def __init__(self, schema: Any, options: Mapping[str, Any]) -> None:
        self._schema = schema
        self._options = options
        self._known: dict[int, tuple[BaseChatModel, dict[str, Any], Runnable[Any, Any]]] = {}

    def of(self, model: BaseChatModel) -> tuple[dict[str, Any], Runnable[Any, Any]]:
        """The options that ask a model for it, and what reads its answer.

        Raises:
            Exception: What the model's own `with_structured_output` raises.
        """
        known = self._known.get(id(model))
        if known is None:
            # It holds the model, so that no other one ever has the same id.
            known = self._known[id(model)] = (model, *self._asked(model))
        return known[1], known[2]

    def _asked(self, model: BaseChatModel) -> tuple[dict[str, Any], Runnable[Any, Any]]:
        if type(model).with_structured_output is not BaseChatModel.with_structured_output:
            asked = model.with_structured_output(self._schema, **self._options)
            if isinstance(asked, RunnableSequence):
                first, *rest = asked.steps
                if isinstance(first, RunnableBinding) and first.bound is model and rest:
                    reads = rest[0] if len(rest) == 1 else RunnableSequence(*rest)
                    return dict(first.kwargs), reads
        _, options = _bound(model.bind_tools([self._schema], tool_choice='any'))
        return options, _reads_tool(self._schema)


def _reads_tool(schema: Any) -> Runnable[Any, Any]:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)['function']['name']
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def prepared(model: BaseChatModel, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What is called, and the options it is called with.

    Raises:
        Exception: What the model's own `bind_tools` or `with_structured_output` raises.
    """
    refused = foreign(family_of(model))
    own = {name: value for name, value in options.items() if name not in refused}
    tools, choice = own.pop(TOOLS, None), own.pop(CHOICE, None)
    with_tools = {
        name: value for name, value in own.pop(WITH_TOOLS, {}).items() if name not in refused
    }
    structured: Structured | None = own.pop(STRUCTURED, None)
    called: Any = model
    if structured is not None:
        own = {**structured.of(model)[0], **own}
    if tools is not None:
        if choice is not None:
            with_tools[CHOICE] = _choice(choice, family_of(model))
        called, bound = _bound(model.bind_tools(tools, **with_tools))
        own = {**bound, **own}
    elif choice is not None:
        own[CHOICE] = choice
    return called, own


def _bound(runnable: Any) -> tuple[Any, dict[str, Any]]:
    """What a binding calls, and the options that it adds."""
    options: dict[str, Any] = {}
    while isinstance(runnable, RunnableBinding) and not runnable.config:
        options = {**runnable.kwargs, **options}
        runnable = runnable.bound
    return runnable, options


def _choice(choice: Any, family: str | None) -> Any:
    """A choice of tools in the words that the models of all providers take."""
    if isinstance(choice, Mapping):
        named = choice.get('name') or (choice.get('function') or {}).get('name')
        kind = choice.get('type')
        if {*choice} <= {'type', 'name', 'function'} and kind != 'none':
            choice = named or kind
    if choice is True or choice == 'required':
        return 'any'
    if choice == 'none' and family == 'anthropic':
        return {'type': 'none'}
    return choice


def messages_for(model: BaseChatModel, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages as a model takes them; those that need no change are the same objects.

    Cache marks are for Anthropic's models only: other servers refuse them. Answers of another
    provider's model are reduced to their text and tool calls: its reasoning is signed or encrypted
    for itself.
    """
    family = family_of(model)
    # Azure's answers are called OpenAI's, and Bedrock's may be called Anthropic's.
    own = {family, model._get_ls_params().get('ls_provider'), None}  # noqa: SLF001 - LangChain's way
    return [_message(one, own, marks=family == 'anthropic') for one in messages]


def _message(message: BaseMessage, own: Container[str | None], *, marks: bool) -> BaseMessage:
    if isinstance(message.content, str):
        return message
    made_by = message.response_metadata.get('model_provider')
    if isinstance(message, AIMessage) and made_by not in own:
        return AIMessage(
            content=str(message.text), tool_calls=message.tool_calls, name=message.name
        )
    if marks or not any(isinstance(one, Mapping) and _MARK in one for one in message.content):
        return message
    content = [
        {key: value for key, value in one.items() if key != _MARK}
        if isinstance(one, Mapping)
        else one
        for one in message.content
    ]
    return message.model_copy(update={'content': content})
