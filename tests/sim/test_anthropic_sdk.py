"""The real SDK of Anthropic against the simulated Messages API."""

import anthropic
import httpx
import pytest
from pydantic import BaseModel

MODEL = 'claude-sonnet-4-6'
HELLO = [{'role': 'user', 'content': 'Hello'}]
WEATHER = {
    'name': 'get_weather',
    'description': 'Weather of a city.',
    'input_schema': {
        'type': 'object',
        'properties': {'city': {'type': 'string'}, 'unit': {'enum': ['celsius', 'fahrenheit']}},
        'required': ['city', 'unit'],
    },
}


@pytest.fixture
def client(sim):
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='any', max_retries=0) as client:
        yield client


def test_a_plain_answer_carries_the_usage_that_the_log_tells(sim, client):
    message = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)

    assert 'end_turn' == message.stop_reason
    assert sim.log()[-1]['usage'] == message.usage.model_dump(exclude_unset=True)
    # Three tokens of framing, one of `Hello`.
    assert 4 == message.usage.input_tokens


@pytest.mark.parametrize(
    'asked',
    [
        {'messages': HELLO},
        {'messages': HELLO, 'max_tokens': 5},
        {'messages': [{'role': 'user', 'content': 'The weather in Rome?'}], 'tools': [WEATHER]},
        {'messages': HELLO, 'thinking': {'type': 'enabled', 'budget_tokens': 1024}},
        {'messages': HELLO, 'stop_sequences': ['Hello']},
    ],
)
async def test_sync_async_plain_and_streamed_answers_are_the_same(sim, client, asked):
    asked = {'model': MODEL, 'max_tokens': 2048} | asked
    plain = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    async with anthropic.AsyncAnthropic(base_url=sim.anthropic_url, api_key='any') as aclient:
        awaited = await aclient.messages.create(**asked)
        async with aclient.messages.stream(**asked) as stream:
            astreamed = await stream.get_final_message()

    assert [_told(plain)] * 3 == [_told(streamed), _told(awaited), _told(astreamed)]
    assert 4 == len({message.id for message in (plain, streamed, awaited, astreamed)})


def _told(message):
    """What the same request is always told; ids are new each time."""
    told = message.model_dump(exclude={'id'})
    for block in told['content']:
        block.pop('id', None)
        block.pop('parsed_output', None)
    return told


def test_a_tool_is_called_once_and_its_result_answered(client):
    messages = [{'role': 'user', 'content': 'What is the weather in Rome, in fahrenheit?'}]
    asked = {'model': MODEL, 'max_tokens': 200, 'tools': [WEATHER]}
    first = client.messages.create(messages=messages, **asked)
    (call,) = first.content
    result = {'type': 'tool_result', 'tool_use_id': call.id, 'content': '30 degrees'}
    answered = [
        *messages,
        {'role': 'assistant', 'content': first.content},
        {'role': 'user', 'content': [result]},
    ]
    last = client.messages.create(messages=answered, **asked)

    assert ('tool_use', {'city': 'Rome', 'unit': 'fahrenheit'}) == (first.stop_reason, call.input)
    assert 'end_turn' == last.stop_reason
    assert '30 degrees' in last.content[0].text


@pytest.mark.parametrize(
    ('choice', 'stop'),
    [({'type': 'any'}, 'tool_use'), ({'type': 'tool', 'name': 'get_weather'}, 'tool_use'),
     ({'type': 'none'}, 'end_turn'), ({'type': 'auto'}, 'end_turn')],
)  # fmt: skip
def test_the_tool_choice_decides_when_the_user_asks_for_no_tool(client, choice, stop):
    message = client.messages.create(
        model=MODEL, max_tokens=100, messages=HELLO, tools=[WEATHER], tool_choice=choice
    )

    assert stop == message.stop_reason


def test_several_tools_are_called_at_once_unless_that_is_forbidden(client):
    stock = {'name': 'stock_price', 'input_schema': {'type': 'object', 'properties': {}}}
    asked = {
        'model': MODEL,
        'max_tokens': 200,
        'messages': [{'role': 'user', 'content': 'Tell me the weather and the stock price.'}],
        'tools': [WEATHER, stock],
    }
    one_by_one = {'type': 'auto', 'disable_parallel_tool_use': True}

    assert 2 == len(client.messages.create(**asked).content)
    assert 1 == len(client.messages.create(**asked, tool_choice=one_by_one).content)


def test_a_structured_answer_follows_its_schema(client):
    class Order(BaseModel):
        number: int
        paid: bool
        items: list[str]

    message = client.messages.parse(
        model=MODEL,
        max_tokens=200,
        messages=[{'role': 'user', 'content': "Order 17 has 'ink' in it."}],
        output_format=Order,
    )

    assert Order(number=17, paid=True, items=['ink']) == message.parsed_output


def test_counted_tokens_are_those_that_the_request_is_billed_for(client):
    asked = {
        'model': MODEL,
        'system': [{'type': 'text', 'text': 'Be brief.', 'cache_control': {'type': 'ephemeral'}}],
        'messages': HELLO,
        'tools': [WEATHER],
    }
    counted = client.messages.count_tokens(**asked)
    billed = client.messages.create(max_tokens=10, **asked)

    assert counted.input_tokens == billed.usage.input_tokens


def test_cache_marks_cost_no_tokens(client):
    text = {'type': 'text', 'text': 'Hello'}
    marked = {**text, 'cache_control': {'type': 'ephemeral', 'ttl': '1h'}}
    counts = {
        client.messages.count_tokens(
            model=MODEL, messages=[{'role': 'user', 'content': [block]}]
        ).input_tokens
        for block in (text, marked)
    }

    assert 1 == len(counts)


@pytest.mark.parametrize('stream', [False, True])
def test_a_web_search_is_billed_and_its_results_are_input(client, stream):
    asked = {
        'model': MODEL,
        'max_tokens': 200,
        'messages': [{'role': 'user', 'content': 'Search the web for the news.'}],
        'tools': [{'type': 'web_search_20250305', 'name': 'web_search'}],
    }
    counted = client.messages.count_tokens(
        model=MODEL, messages=asked['messages'], tools=asked['tools']
    ).input_tokens
    if stream:
        with client.messages.stream(**asked) as events:
            first = next(event for event in events if event.type == 'message_start')
            usage = events.get_final_message().usage
        assert counted == first.message.usage.input_tokens
    else:
        usage = client.messages.create(**asked).usage

    assert (1, counted + 400) == (usage.server_tool_use.web_search_requests, usage.input_tokens)


def test_images_documents_and_regions_are_taken(client):
    image = {'type': 'base64', 'media_type': 'image/png', 'data': 'iVBORw0KGgo='}
    letter = {'type': 'text', 'media_type': 'text/plain', 'data': 'A letter.'}
    message = client.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=[{
            'role': 'user',
            'content': [
                {'type': 'image', 'source': image},
                {'type': 'document', 'source': letter},
                {'type': 'text', 'text': 'What is this?'},
            ],
        }],
        extra_body={'inference_geo': 'us'},
    )  # fmt: skip

    assert 'us' == message.usage.inference_geo
    # 1000 for the image, 3 of framing, 3 for the letter, 4 for the question.
    assert 1_010 == message.usage.input_tokens


@pytest.mark.parametrize(
    ('asked', 'reason'),
    [
        ({'messages': []}, 'at least one message'),
        ({'max_tokens': -1}, 'max_tokens'),
        ({'messages': [{'role': 'robot', 'content': 'x'}]}, 'role'),
        ({'thinking': {'type': 'enabled', 'budget_tokens': 10}}, 'budget_tokens'),
        (
            {'messages': [
                {'role': 'user', 'content': 'x'},
                {'role': 'assistant', 'content': [
                    {'type': 'tool_use', 'id': 'toolu_1', 'name': 'f', 'input': {}}]},
                {'role': 'user', 'content': 'y'},
            ]},
            'toolu_1',
        ),
        (
            {'system': [{'type': 'text', 'text': 'x', 'cache_control': {'type': 'ephemeral'}}] * 5},
            'Found 5.',
        ),
    ],
)  # fmt: skip
def test_what_the_provider_refuses_is_refused(client, asked, reason):
    asked = {'model': MODEL, 'max_tokens': 100, 'messages': HELLO} | asked

    with pytest.raises(anthropic.BadRequestError, match=reason) as caught:
        client.messages.create(**asked)

    assert 'invalid_request_error' == caught.value.body['error']['type']
    assert caught.value.request_id == caught.value.body['request_id']


def test_missing_fields_and_keys_are_refused(sim):
    with httpx.Client(base_url=sim.url) as client:
        headers = {'x-api-key': 'any'}
        incomplete = client.post('/v1/messages', json={'model': MODEL}, headers=headers)
        keyless = client.post('/v1/messages', json={'model': MODEL})
        garbled = client.post('/v1/messages', content=b'{', headers=headers)

    assert [400, 401, 400] == [r.status_code for r in (incomplete, keyless, garbled)]
    assert 'max_tokens: Field required' == incomplete.json()['error']['message']
    assert 'authentication_error' == keyless.json()['error']['type']
