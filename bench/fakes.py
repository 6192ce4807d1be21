"""Models without a network that answer at once, with a bill that has a price."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

MODEL = 'claude-sonnet-4-6'
CHUNKS = 50
_TEXT = 'The order left the warehouse this morning and arrives tomorrow.'
_USAGE = {
    'input_tokens': 2_600,
    'output_tokens': 180,
    'total_tokens': 2_780,
    'input_token_details': {'cache_read': 2_000, 'ephemeral_5m_input_tokens': 500},
}
_ANSWER = {'model_name': MODEL, 'model_provider': 'anthropic', 'stop_reason': 'end_turn'}


class FakeChat(BaseChatModel):
    """A chat model that looks like Claude to callbacks."""

    model: str = MODEL

    @property
    def _llm_type(self) -> str:
        return 'anthropic-chat'

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {'model': self.model}

    def _get_ls_params(self, stop: list[str] | None = None, **_: Any) -> Any:
        return {
            'ls_provider': 'anthropic',
            'ls_model_name': self.model,
            'ls_model_type': 'chat',
            'ls_stop': stop,
        }

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(_TEXT, usage_metadata=_USAGE, response_metadata=dict(_ANSWER))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()

    def _stream(self, *_: Any, run_manager: Any = None, **__: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks():
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self, *_: Any, run_manager: Any = None, **__: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks():
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _chunks() -> Iterator[ChatGenerationChunk]:
    for _ in range(CHUNKS - 1):
        yield ChatGenerationChunk(message=AIMessageChunk('word '))
    last = AIMessageChunk('.', usage_metadata=_USAGE, response_metadata=dict(_ANSWER))
    yield ChatGenerationChunk(message=last)
