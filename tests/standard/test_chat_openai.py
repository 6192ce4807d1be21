"""`langchain-tests` on ChatOpenAI: Chat Completions, and Responses as a further leg."""

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from farthing_sim import Sim

from .wrapped import Cached, Parked


class TestUnit(ChatModelUnitTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {'model': 'gpt-4o-mini'}  # noqa: RUF012 - the suite's form
    init_from_env_params = (
        {'OPENAI_API_KEY': 'any', 'OPENAI_API_BASE': 'http://127.0.0.1:1'},
        chat_model_params,
        {'openai_api_key': 'any', 'openai_api_base': 'http://127.0.0.1:1'},
    )


# What upstream warns of when it is used as its own suite uses it.
@pytest.mark.filterwarnings('ignore:Received a Pydantic BaseModel V1 schema:UserWarning')
@pytest.mark.filterwarnings('ignore:OpenAI may require a filename:UserWarning')
@pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning')
class _OnSimulatedOpenAI(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    has_tool_calling = True
    has_tool_choice = True
    has_structured_output = True
    returns_usage_metadata = True
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_anthropic_inputs = True
    supports_model_override = True
    model_override_value = 'gpt-4.1-mini'
    use_responses_api = False

    @pytest.fixture(autouse=True)
    def _simulated(self, farthing_sim: Sim) -> None:
        self.sim = farthing_sim

    @property
    def chat_model_params(self) -> dict:
        return {
            'model': 'gpt-4o-mini',
            'base_url': self.sim.openai_url,
            'api_key': 'any',
            # Behind a `base_url` ChatOpenAI does not ask for usage in streams by itself.
            'stream_usage': True,
            'use_responses_api': self.use_responses_api,
        }

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = ChatOpenAI(**self.chat_model_params | {'model': 'o4-mini'}, reasoning_effort='low')
        return _said(model, 'Think, then say hello.', stream=stream)


class TestChatCompletions(_OnSimulatedOpenAI):
    supports_audio_inputs = True
    supported_usage_metadata_details = {  # noqa: RUF012 - the suite's form
        'invoke': ['reasoning_output', 'audio_input'],
        'stream': ['reasoning_output', 'audio_input'],
    }

    def invoke_with_audio_input(self, *, stream: bool = False) -> AIMessage:
        sound = {'data': base64.b64encode(b'any').decode(), 'format': 'wav'}
        said = HumanMessage([{'type': 'input_audio', 'input_audio': sound}])
        return _said(ChatOpenAI(**self.chat_model_params), [said], stream=stream)


class TestResponses(_OnSimulatedOpenAI):
    use_responses_api = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supported_usage_metadata_details = {  # noqa: RUF012 - the suite's form
        'invoke': ['reasoning_output'],
        'stream': ['reasoning_output'],
    }


class TestCachedChatCompletions(Cached, TestChatCompletions):
    pass


class TestCachedResponses(Cached, TestResponses):
    pass


class TestCachedUnit(Cached, TestUnit):
    pass


def _said(model: ChatOpenAI, text: str | list[HumanMessage], *, stream: bool) -> AIMessage:
    if not stream:
        return model.invoke(text)
    first, *rest = model.stream(text)
    return sum(rest, first)


class TestParkedChatCompletions(Parked, TestChatCompletions):
    pass


class TestParkedResponses(Parked, TestResponses):
    pass
