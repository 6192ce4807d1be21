"""LangChain's models under recordings: each way to call one posts what it billed."""

from typing import Any

import pytest

pytest.importorskip('langchain_core')

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from farthing.io.tap import tap
from langchain_farthing import LedgerCallbackHandler, LedgerEmbeddings

pytestmark = pytest.mark.vcr
QUESTION = 'What is the weather in Lisbon?'


class Order(BaseModel):
    """An order of a customer."""

    number: int
    city: str


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f'Sunny in {city}.'


@pytest.fixture(params=['anthropic', 'openai_chat', 'openai_responses'])
def model(request) -> Any:
    if request.param == 'anthropic':
        at = request.getfixturevalue('anthropic')
        return ChatAnthropic(
            model='claude-haiku-4-5', base_url=at.url, api_key=at.key, max_retries=0, max_tokens=200
        )
    at = request.getfixturevalue('openai')
    return ChatOpenAI(
        model='gpt-5-mini',
        base_url=at.url,
        api_key=at.key,
        max_retries=0,
        stream_usage=True,
        use_responses_api=request.param == 'openai_responses',
    )


@pytest.fixture
def config(ledger) -> Any:
    yield {'callbacks': [LedgerCallbackHandler(ledger)], 'metadata': {'tenant': 'acme'}}
    tap.uninstall()


def test_invoke(model, config, check) -> None:
    answer = model.invoke(QUESTION, config=config)

    (entry,) = check()
    assert answer.usage_metadata['input_tokens'] == entry.usage.input_tokens
    assert answer.usage_metadata['output_tokens'] == entry.usage.output_tokens


async def test_ainvoke(model, config, check) -> None:
    assert (await model.ainvoke(QUESTION, config=config)).text

    assert 1 == len(check())


def test_stream(model, config, check) -> None:
    assert ''.join(chunk.text for chunk in model.stream(QUESTION, config=config))

    (entry,) = check()
    assert entry.first_token_us is not None


async def test_astream(model, config, check) -> None:
    assert [chunk async for chunk in model.astream(QUESTION, config=config)]

    assert 1 == len(check())


def test_tools(model, config, check) -> None:
    answer = model.bind_tools([weather]).invoke(QUESTION, config=config)

    assert ['weather'] == [call['name'] for call in answer.tool_calls]
    assert 1 == len(check())


def test_structured_output(model, config, check) -> None:
    order = model.with_structured_output(Order).invoke('Order 7 goes to Lisbon.', config=config)

    assert isinstance(order, Order)
    assert 1 == len(check())


def test_embeddings(openai, ledger, check) -> None:
    embeddings = OpenAIEmbeddings(
        model='text-embedding-3-small',
        dimensions=8,
        base_url=openai.url,
        api_key=openai.key,
        max_retries=0,
        check_embedding_ctx_length=False,
    )
    recorded = LedgerEmbeddings(embeddings, ledger, tenant='acme')
    try:
        assert 2 == len(recorded.embed_documents(['Where is my parcel?', 'It is late.']))
        assert recorded.embed_query('Where is my parcel?')
    finally:
        tap.uninstall()

    assert {'embeddings'} == {entry.call_type for entry in check()}
