"""Agents of both frameworks run on the simulated providers to their end."""

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel

QUESTION = 'What is the weather in Rome?'


class Forecast(BaseModel):
    """What the weather will be."""

    city: str
    degrees: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f'{city} has 30 degrees'


@pytest.fixture(params=['anthropic', 'chat', 'responses'])
def model(request, sim):
    if request.param == 'anthropic':
        return ChatAnthropic(
            model='claude-haiku-4-5', base_url=sim.anthropic_url, api_key='any', max_retries=2
        )
    return ChatOpenAI(
        model='gpt-4o-mini',
        base_url=sim.openai_url,
        api_key='any',
        stream_usage=True,
        use_responses_api=request.param == 'responses',
    )


@pytest.fixture(params=['anthropic', 'chat', 'responses'])
def llm(request, sim):
    if request.param == 'anthropic':
        return Anthropic(model='claude-haiku-4-5', base_url=sim.anthropic_url, api_key='any')
    kind = OpenAI if request.param == 'chat' else OpenAIResponses
    return kind(model='gpt-4o-mini', api_base=sim.openai_url, api_key='any')


def test_a_langchain_agent_calls_its_tool_and_answers(sim, model):
    agent = create_agent(model, [get_weather])
    said = agent.invoke({'messages': [{'role': 'user', 'content': QUESTION}]})['messages']

    assert ['human', 'ai', 'tool', 'ai'] == [message.type for message in said]
    assert 'Rome has 30 degrees' in said[-1].text
    assert 2 == len(sim.log())


def test_a_langchain_agent_ends_with_a_structured_answer(model):
    agent = create_agent(model, [get_weather], response_format=Forecast)
    state = agent.invoke({'messages': [{'role': 'user', 'content': QUESTION}]})

    assert 'Rome' == state['structured_response'].city


def test_llama_index_chats_and_streams(sim, llm):
    said = [ChatMessage(role='user', content='Hello')]
    plain = llm.chat(said).message.content
    *_, streamed = llm.stream_chat(said)

    assert plain == streamed.message.content
    assert plain.startswith('You said: Hello.')
    assert [False, True] == [entry['stream'] for entry in sim.log()]


# FunctionAgent inspects itself and so meets fields that pydantic has deprecated.
@pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning')
@pytest.mark.parametrize('streaming', [False, True])
async def test_a_llama_index_agent_calls_its_tool_and_answers(sim, llm, streaming):
    agent = FunctionAgent(tools=[get_weather], llm=llm, streaming=streaming)
    answer = await agent.run(QUESTION)
    await llm._aclient.close()  # LlamaIndex never does

    assert 'Rome has 30 degrees' in str(answer)
    assert 2 == len(sim.log())


def test_both_frameworks_embed(sim):
    chain = OpenAIEmbeddings(
        model='text-embedding-3-small',
        base_url=sim.openai_url,
        api_key='any',
        check_embedding_ctx_length=False,
    )
    index = OpenAIEmbedding(model='text-embedding-3-small', api_base=sim.openai_url, api_key='any')

    assert chain.embed_query('apple') == pytest.approx(index.get_query_embedding('apple'))
