"""The real SDK of OpenAI against the simulated Chat Completions, Responses and Embeddings."""

import json
import math

import openai
import pytest
from pydantic import BaseModel

HELLO = [{'role': 'user', 'content': 'Hello'}]
RAIN = [{'role': 'user', 'content': 'What is the weather in Rome?'}]
PARAMETERS = {
    'type': 'object',
    'properties': {'city': {'type': 'string'}},
    'required': ['city'],
}
WEATHER = {'type': 'function', 'function': {'name': 'get_weather', 'parameters': PARAMETERS}}
WEATHER_IN_RESPONSES = {'type': 'function', 'name': 'get_weather', 'parameters': PARAMETERS}


class Order(BaseModel):
    number: int
    paid: bool


@pytest.fixture
def client(sim):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    'asked',
    [
        {'messages': HELLO},
        {'messages': HELLO, 'max_completion_tokens': 5},
        {'messages': RAIN, 'tools': [WEATHER]},
        {'messages': HELLO, 'n': 2},
        {'messages': HELLO, 'reasoning_effort': 'low', 'service_tier': 'flex'},
        {'messages': HELLO, 'stop': ['Hello']},
    ],
)
async def test_chat_is_the_same_sync_async_plain_and_streamed(sim, client, asked):
    asked = {'model': 'gpt-4o-mini'} | asked
    with_usage = {'stream': True, 'stream_options': {'include_usage': True}}
    plain = client.chat.completions.create(**asked)
    streamed = list(client.chat.completions.create(**asked, **with_usage))
    async with openai.AsyncOpenAI(base_url=sim.openai_url, api_key='any') as aclient:
        awaited = await aclient.chat.completions.create(**asked)
        astream = await aclient.chat.completions.create(**asked, **with_usage)
        astreamed = [chunk async for chunk in astream]

    assert _told(plain) == _told(awaited)
    assert [_told(plain)] * 2 == [_assembled(streamed), _assembled(astreamed)]
    assert sim.log()[-1]['usage'] == plain.usage.model_dump(exclude_unset=True)


def _told(completion):
    choices = [
        (
            choice.message.content or '',
            [(c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()],
            choice.finish_reason,
        )
        for choice in completion.choices
    ]
    return completion.model, completion.service_tier, choices, completion.usage


def _assembled(chunks):
    texts, calls, ends = {}, {}, {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        at = choice.index
        texts[at] = texts.get(at, '') + (choice.delta.content or '')
        for part in choice.delta.tool_calls or ():
            name, arguments = calls.setdefault(at, {}).get(part.index, ('', ''))
            said = part.function
            calls[at][part.index] = (name or said.name, arguments + (said.arguments or ''))
        ends[at] = choice.finish_reason or ends.get(at)
    choices = [(texts[i], list(calls.get(i, {}).values()), ends[i]) for i in sorted(texts)]
    return chunks[0].model, chunks[0].service_tier, choices, chunks[-1].usage


def test_a_stream_that_is_not_asked_for_usage_tells_none(sim, client):
    chunks = list(client.chat.completions.create(model='gpt-4o-mini', messages=HELLO, stream=True))

    assert [None] * len(chunks) == [chunk.usage for chunk in chunks]
    assert 4 == sim.log()[-1]['usage']['prompt_tokens']


@pytest.mark.parametrize(
    ('choice', 'called'),
    [('required', True), ('none', False), ('auto', False),
     ({'type': 'function', 'function': {'name': 'get_weather'}}, True)],
)  # fmt: skip
def test_the_tool_choice_decides_when_the_user_asks_for_no_tool(client, choice, called):
    completion = client.chat.completions.create(
        model='gpt-4o-mini', messages=HELLO, tools=[WEATHER], tool_choice=choice
    )

    assert called == bool(completion.choices[0].message.tool_calls)


def test_structured_answers_follow_their_schema_in_both_apis(client):
    said = [{'role': 'user', 'content': 'Order 17 is paid.'}]
    chat = client.chat.completions.parse(model='gpt-4o-mini', messages=said, response_format=Order)
    response = client.responses.parse(model='gpt-4o-mini', input=said, text_format=Order)

    expected = Order(number=17, paid=True)
    assert [expected, expected] == [chat.choices[0].message.parsed, response.output_parsed]


def test_json_mode_answers_the_keys_that_the_user_names(client):
    said = "Reply in JSON with the keys 'setup' and 'punchline'."
    completion = client.chat.completions.create(
        model='gpt-4o-mini',
        messages=[{'role': 'user', 'content': said}],
        response_format={'type': 'json_object'},
    )

    assert {'setup', 'punchline'} == json.loads(completion.choices[0].message.content).keys()


@pytest.mark.parametrize(
    'asked',
    [
        {'input': 'Hello'},
        {'input': 'What is the weather in Rome?', 'tools': [WEATHER_IN_RESPONSES]},
        {'input': 'Search the web for news', 'tools': [{'type': 'web_search'}]},
        {'input': 'Hello', 'reasoning': {'effort': 'low', 'summary': 'auto'}},
        {'input': 'Write 100 words', 'max_output_tokens': 16},
    ],
)
async def test_responses_are_the_same_sync_async_plain_and_streamed(sim, client, asked):
    asked = {'model': 'gpt-4o'} | asked
    plain = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    async with openai.AsyncOpenAI(base_url=sim.openai_url, api_key='any') as aclient:
        awaited = await aclient.responses.create(**asked)

    assert list(range(len(events))) == [event.sequence_number for event in events]
    streamed = events[-1].response
    assert _output(plain) == _output(streamed) == _output(awaited)
    deltas = [e.delta for e in events if e.type == 'response.output_text.delta']
    assert plain.output_text == ''.join(deltas)
    assert plain.usage.output_tokens <= (asked.get('max_output_tokens') or 1_000)


def _output(response):
    ids = {'id', 'call_id'}
    output = [item.model_dump(exclude=ids) for item in response.output]
    return response.status, response.incomplete_details, output, response.usage


def test_a_response_goes_on_from_an_earlier_one_and_bills_it_again(client):
    first = client.responses.create(model='gpt-4o', input='Hello')
    second = client.responses.create(model='gpt-4o', input='Hello', previous_response_id=first.id)

    # The earlier question and answer, three tokens of framing each, and the new question.
    billed = first.usage.input_tokens + 3 + first.usage.output_tokens + 4
    assert billed == second.usage.input_tokens
    with pytest.raises(openai.BadRequestError, match='resp_unknown'):
        client.responses.create(model='gpt-4o', input='x', previous_response_id='resp_unknown')


@pytest.mark.parametrize('asked', [{}, {'dimensions': 256}])
def test_embeddings_are_unit_vectors_alike_in_both_encodings(client, asked):
    asked = {'model': 'text-embedding-3-small', 'input': ['a red apple', 'a green apple']} | asked
    packed = client.embeddings.create(**asked)
    plain = client.embeddings.create(**asked, encoding_format='float')

    for one, other in zip(packed.data, plain.data, strict=True):
        assert other.embedding == pytest.approx(one.embedding, abs=1e-6)
        assert math.isclose(1, math.hypot(*other.embedding), abs_tol=1e-9)
    assert (asked.get('dimensions') or 1536) == len(plain.data[0].embedding)
    assert (6, 6) == (plain.usage.prompt_tokens, plain.usage.total_tokens)


def test_texts_that_share_words_are_nearer_than_others(client):
    texts = ['a red apple', 'a green apple', 'quantum chromodynamics']
    answer = client.embeddings.create(model='text-embedding-3-small', input=texts)
    red, green, physics = (item.embedding for item in answer.data)

    assert _dot(red, green) > _dot(red, physics)


def _dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_errors_have_the_providers_shape(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model='gpt-4o-mini', messages=[])
    unanswered = [
        *HELLO,
        {'role': 'assistant', 'tool_calls': [{
            'id': 'call_1', 'type': 'function', 'function': {'name': 'f', 'arguments': '{}'}}]},
        *HELLO,
    ]  # fmt: skip
    with pytest.raises(openai.BadRequestError, match='call_1'):
        client.chat.completions.create(model='gpt-4o-mini', messages=unanswered)

    assert ('messages', 'empty_array') == (caught.value.param, caught.value.code)
    assert caught.value.request_id.startswith('req_sim_')


@pytest.fixture
def one_model(sim):
    """A server with a single model; the whole session shares it, so it has all of them again."""
    sim.reset(models={'gpt-5-mini': 100})
    yield
    sim.reset()


@pytest.mark.usefixtures('one_model')
def test_a_model_that_the_server_was_not_given_is_unknown(client):
    with pytest.raises(openai.NotFoundError, match='does not exist'):
        client.chat.completions.create(model='gpt-x', messages=HELLO)
    with pytest.raises(openai.BadRequestError, match='at most 100 completion tokens'):
        client.responses.create(model='gpt-5-mini', input='Hello', max_output_tokens=101)
    assert client.chat.completions.create(model='gpt-5-mini', messages=HELLO).choices
