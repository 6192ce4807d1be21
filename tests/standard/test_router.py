"""`langchain-tests` on RouterChatModel: its leg on Anthropic, and its leg on OpenAI.

Each leg routes between two models of its provider, one of another kind than the suite asks for by
name, so that its calls are decided and do not merely pass.
"""

from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from farthing.io.tap import tap
from farthing.routing import Rules
from farthing_sim import Sim
from langchain_farthing import RouterChatModel

_RULES = Rules.of([{'route': 'light', 'shorter_than': 100}])
_HAIKU, _SONNET = 'claude-haiku-4-5-20251001', 'claude-sonnet-4-6'
_MINI, _LARGE = 'gpt-4o-mini', 'gpt-4.1'


class _Routed:
    """Mixed into a suite: the router over the routes of a leg."""

    chat_model_class = RouterChatModel
    ledger: str

    @pytest.fixture(autouse=True)
    def _own_ledger(self, tmp_path: Path):
        self.ledger = f'sqlite:///{tmp_path}/farthing.db'
        yield
        tap.uninstall()

    def routes(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            'routes': self.routes(),
            'policy': _RULES,
            'default': 'standard',
            'mode': 'active',
            'ledger': getattr(self, 'ledger', None),
        }


class _UnitLeg(_Routed):
    def routes(self) -> dict[str, Any]:
        return {
            'light': ChatAnthropic(model=_HAIKU, api_key='any'),
            'standard': ChatOpenAI(model=_LARGE, api_key='any'),
        }


_upstream_warnings = [
    # ChatAnthropic takes `json_mode` as another name of `json_schema`, and says so each time.
    pytest.mark.filterwarnings(
        "ignore:Unrecognized structured output method 'json_mode':UserWarning"
    ),
    pytest.mark.filterwarnings('ignore:Received a Pydantic BaseModel V1 schema:UserWarning'),
    pytest.mark.filterwarnings('ignore:OpenAI may require a filename:UserWarning'),
    pytest.mark.filterwarnings('ignore:Pydantic serializer warnings:UserWarning'),
]
pytestmark = _upstream_warnings


class TestUnit(_UnitLeg, ChatModelUnitTests):
    pass


class _Suite(_Routed, ChatModelIntegrationTests):
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
    supported_usage_metadata_details = {  # noqa: RUF012 - the suite's form
        'invoke': ['reasoning_output'],
        'stream': ['reasoning_output'],
    }

    @pytest.fixture(autouse=True)
    def _simulated(self, farthing_sim: Sim) -> None:
        self.sim = farthing_sim

    def thinking(self) -> Any:
        raise NotImplementedError

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        routes = self.routes() | {'light': self.thinking()}
        model = RouterChatModel(**self.chat_model_params | {'routes': routes})
        if not stream:
            return model.invoke('Think, then say hello.')
        first, *rest = model.stream('Think, then say hello.')
        return sum(rest, first)


class TestOnAnthropic(_Suite):
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    model_override_value = _SONNET

    def claude(self, model: str, **options: Any) -> ChatAnthropic:
        url = self.sim.anthropic_url
        return ChatAnthropic(model=model, base_url=url, api_key='any', **options)

    def routes(self) -> dict[str, Any]:
        return {'light': self.claude(_HAIKU), 'standard': self.claude(_SONNET)}

    def thinking(self) -> ChatAnthropic:
        thought = {'type': 'enabled', 'budget_tokens': 1_024}
        return self.claude(_HAIKU, max_tokens=2_048, thinking=thought)


class TestOnOpenAI(_Suite):
    model_override_value = _LARGE
    use_responses_api = False

    def gpt(self, model: str, **options: Any) -> ChatOpenAI:
        given = {'stream_usage': True, 'use_responses_api': self.use_responses_api}
        url = self.sim.openai_url
        return ChatOpenAI(model=model, base_url=url, api_key='any', **given | options)

    def routes(self) -> dict[str, Any]:
        return {'light': self.gpt(_MINI), 'standard': self.gpt(_LARGE)}

    def thinking(self) -> ChatOpenAI:
        return self.gpt('o4-mini', reasoning_effort='low')


class TestOnOpenAIResponses(TestOnOpenAI):
    use_responses_api = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
