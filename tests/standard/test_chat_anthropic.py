"""`langchain-tests` on ChatAnthropic."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from farthing_sim import Sim

from .wrapped import Cached, Parked

# ChatAnthropic takes `json_mode` as another name of `json_schema`, and says so each time.
_upstream_warning = pytest.mark.filterwarnings(
    "ignore:Unrecognized structured output method 'json_mode':UserWarning"
)


@_upstream_warning
class TestUnit(ChatModelUnitTests):
    chat_model_class = ChatAnthropic
    chat_model_params = {'model': 'claude-haiku-4-5-20251001'}  # noqa: RUF012 - the suite's form
    init_from_env_params = (
        {'ANTHROPIC_API_KEY': 'any', 'ANTHROPIC_API_URL': 'http://127.0.0.1:1'},
        chat_model_params,
        {'anthropic_api_key': 'any', 'anthropic_api_url': 'http://127.0.0.1:1'},
    )


@_upstream_warning
class TestIntegration(ChatModelIntegrationTests):
    chat_model_class = ChatAnthropic
    has_tool_calling = True
    has_tool_choice = True
    has_structured_output = True
    returns_usage_metadata = True
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_model_override = True
    model_override_value = 'claude-sonnet-4-6'
    supported_usage_metadata_details = {  # noqa: RUF012 - the suite's form
        'invoke': ['reasoning_output'],
        'stream': ['reasoning_output'],
    }

    @pytest.fixture(autouse=True)
    def _simulated(self, farthing_sim: Sim) -> None:
        self.sim = farthing_sim

    @property
    def chat_model_params(self) -> dict:
        return {
            'model': 'claude-haiku-4-5-20251001',
            'base_url': self.sim.anthropic_url,
            'api_key': 'any',
        }

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        thinking = {'type': 'enabled', 'budget_tokens': 1_024}
        model = ChatAnthropic(**self.chat_model_params, max_tokens=2_048, thinking=thinking)
        return _said(model, 'Think, then say hello.', stream=stream)


class TestCached(Cached, TestIntegration):
    pass


class TestParked(Parked, TestIntegration):
    pass


@_upstream_warning
class TestCachedUnit(Cached, TestUnit):
    pass


def _said(model: ChatAnthropic, text: str, *, stream: bool) -> AIMessage:
    if not stream:
        return model.invoke(text)
    first, *rest = model.stream(text)
    return sum(rest, first)
