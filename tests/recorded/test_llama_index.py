"""LlamaIndex's models under recordings: each way to call one posts what it billed."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip('llama_index.core')

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel

import llama_index_farthing

pytestmark = [
    pytest.mark.vcr,
    # LlamaIndex asks Anthropic's SDK for structured output by an older name.
    pytest.mark.filterwarnings('ignore:The .output_format. parameter:DeprecationWarning'),
]
ASKED = 'What is the weather in Lisbon?'
QUESTION = [ChatMessage(ASKED)]


class Order(BaseModel):
    """An order of a customer."""

    number: int
    city: str


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f'Sunny in {city}.'


@pytest.fixture(params=['anthropic', 'openai_chat', 'openai_responses'])
def model(request) -> Any:
    if request.param == 'anthropic':
        at = request.getfixturevalue('anthropic')
        return Anthropic(
            model='claude-haiku-4-5', base_url=at.url, api_key=at.key, max_retries=0, max_tokens=200
        )
    at = request.getfixturevalue('openai')
    where = {'model': 'gpt-5-mini', 'api_base': at.url, 'api_key': at.key, 'max_retries': 0}
    if request.param == 'openai_responses':
        return OpenAIResponses(**where)
    # OpenAI reports a stream's usage on request only; LlamaIndex does not request it.
    return OpenAI(additional_kwargs={'stream_options': {'include_usage': True}}, **where)


@pytest.fixture(autouse=True)
def installed(ledger) -> Iterator[None]:
    llama_index_farthing.install(ledger, tenant='acme')
    yield
    llama_index_farthing.uninstall()


def test_chat(model, check) -> None:
    assert model.chat(QUESTION).message.content

    assert 1 == len(check())


async def test_achat(model, check) -> None:
    assert (await model.achat(QUESTION)).message.content

    assert 1 == len(check())


def test_complete(model, check) -> None:
    assert model.complete(ASKED).text

    assert 1 == len(check())


def test_stream_chat(model, check) -> None:
    assert ''.join(response.delta or '' for response in model.stream_chat(QUESTION))

    (entry,) = check()
    assert entry.first_token_us is not None


async def test_astream_chat(model, check) -> None:
    assert [response async for response in await model.astream_chat(QUESTION)]

    assert 1 == len(check())


def test_tools(model, check) -> None:
    response = model.chat_with_tools([FunctionTool.from_defaults(weather)], ASKED)

    calls = model.get_tool_calls_from_response(response)
    assert ['weather'] == [call.tool_name for call in calls]
    assert 1 == len(check())


def test_structured_output(model, check) -> None:
    response = model.as_structured_llm(Order).chat([ChatMessage('Order 7 goes to Lisbon.')])

    assert isinstance(response.raw, Order)
    assert 1 == len(check())


def test_embeddings(openai, check) -> None:
    embeddings = OpenAIEmbedding(
        model='text-embedding-3-small',
        dimensions=8,
        api_base=openai.url,
        api_key=openai.key,
        max_retries=0,
    )
    assert 2 == len(embeddings.get_text_embedding_batch(['Where is my parcel?', 'It is late.']))
    assert embeddings.get_query_embedding('Where is my parcel?')

    assert {'embeddings'} == {entry.call_type for entry in check()}
