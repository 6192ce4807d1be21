"""Cache marks in messages alone, for a chain whose model shall not be touched."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.prompt_values import PromptValue, StringPromptValue
from langchain_core.runnables import Runnable, RunnableConfig

from farthing.meter.shared import Source
from farthing.run.annotates import Annotates
from langchain_farthing.caching import Origin

_MARK = 'cache_control'


class CacheAnnotator(Runnable[LanguageModelInput, list[BaseMessage]]):
    """Messages in, the same messages with cache marks out: `prompt | CacheAnnotator() | model`.

    For models of Anthropic, whose marks stand in the messages. It sees no tools, and a model that
    is `cached` needs none of it: prefer that where the model can be wrapped. Messages that it
    marks are copies. Marks that are there already stay.

    Args:
        ledger: Where it learns which caching pays; as for `cached`.
        model: The model behind it, or its name: prices and the shortest prefix that it caches
            depend on it. Without it, one is reckoned with that caches long prefixes only.
        annotator: Decides instead of the one that learns in the ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """

    def __init__(
        self,
        ledger: Source = None,
        *,
        model: str | BaseChatModel | None = None,
        annotator: Annotates | None = None,
    ) -> None:
        self._annotator = Origin(ledger=ledger, annotator=annotator).annotates()
        self._model: str | None = model if isinstance(model, str) else getattr(model, 'model', None)

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> list[BaseMessage]:
        """The messages, marked."""
        return self._call_with_config(self._marked, input, config)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> list[BaseMessage]:
        """The messages, marked."""

        async def marked(given: LanguageModelInput) -> list[BaseMessage]:
            return self._marked(given)

        return await self._acall_with_config(marked, input, config)

    def _marked(self, given: LanguageModelInput) -> list[BaseMessage]:
        messages = messages_of(given)
        prompt = _Prompt(messages, self._model)
        sent = self._annotator.annotate(
            prompt.payload, provider='anthropic', api='anthropic_messages', model=self._model
        )
        for at, marks in prompt.marks(sent).items():
            messages[at] = _with_marks(messages[at], marks)
        return messages


def messages_of(given: LanguageModelInput) -> list[BaseMessage]:
    """What a model is given, as messages."""
    if isinstance(given, str):
        given = StringPromptValue(text=given)
    return given.to_messages() if isinstance(given, PromptValue) else convert_to_messages(given)


class _Prompt:
    """Messages as an annotator reads them, and where each block comes from.

    Attributes:
        payload: What Anthropic would be sent, as far as the messages tell.
    """

    def __init__(self, messages: Sequence[BaseMessage], model: str | None) -> None:
        self._system = _Group([], [])
        self._turns: list[_Group] = []
        turns: list[dict[str, Any]] = []
        for at, message in enumerate(messages):
            group = _group(at, message)
            if isinstance(message, SystemMessage) and not turns:
                self._system.blocks.extend(group.blocks)
                self._system.places.extend(group.places)
            else:
                role = 'assistant' if isinstance(message, AIMessage) else 'user'
                turns.append({'role': role, 'content': group.blocks})
                self._turns.append(group)
        self.payload: dict[str, Any] = {'system': self._system.blocks, 'messages': turns}
        if model is not None:
            self.payload['model'] = model

    def marks(self, sent: Mapping[str, Any]) -> dict[int, dict[int, Any]]:
        """What an annotated payload marks beyond this one: by message, by block of its content."""
        found: dict[int, dict[int, Any]] = defaultdict(dict)
        groups = [self._system, *self._turns]
        parts = [sent['system'], *(turn['content'] for turn in sent['messages'])]
        for group, blocks in zip(groups, parts, strict=True):
            # What is left over are calls of tools, which stand in no content.
            for place, old, new in zip(group.places, group.blocks, blocks, strict=False):
                if _MARK in new and _MARK not in old:
                    found[place.message][place.block] = new[_MARK]
        if _MARK in sent and (last := [place for group in groups for place in group.places][-1:]):
            found[last[0].message][last[0].block] = sent[_MARK]
        return found


class _Place(NamedTuple):
    message: int
    block: int


class _Group(NamedTuple):
    """Blocks of the payload, and the place in the messages of each that has one."""

    blocks: list[Any]
    places: list[_Place]


def _group(at: int, message: BaseMessage) -> _Group:
    content = [message.content] if isinstance(message.content, str) else message.content
    blocks = [{'type': 'text', 'text': one} if isinstance(one, str) else one for one in content]
    kept = [i for i, block in enumerate(blocks) if block != _EMPTY]
    blocks, places = [blocks[i] for i in kept], [_Place(at, i) for i in kept]
    if isinstance(message, ToolMessage):
        # ChatAnthropic hoists a mark in a result's content to the result, which is one block.
        result = {'type': 'tool_result', 'tool_use_id': message.tool_call_id, 'content': blocks}
        return _Group([result], places[-1:])
    if isinstance(message, AIMessage):
        told = {block.get('id') for block in blocks}
        blocks += [
            {'type': 'tool_use', 'id': call['id'], 'name': call['name'], 'input': call['args']}
            for call in message.tool_calls
            if call['id'] not in told
        ]
    return _Group(blocks, places)


_EMPTY = {'type': 'text', 'text': ''}


def _with_marks(message: BaseMessage, marks: Mapping[int, Any]) -> BaseMessage:
    given = message.content
    content: list[Any] = [given] if isinstance(given, str) else [*given]
    for at, mark in marks.items():
        block = content[at]
        block = {'type': 'text', 'text': block} if isinstance(block, str) else block
        content[at] = {**block, _MARK: mark}
    return message.model_copy(update={'content': content})
