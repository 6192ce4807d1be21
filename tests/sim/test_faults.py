"""Faults on demand, as the real SDKs meet them."""

import asyncio
import time

import anthropic
import httpx
import openai
import pytest

from farthing_sim.faults import FaultError

MESSAGE = {'model': 'claude-haiku-4-5', 'max_tokens': 100}
# The HTTP client's own error (httpx or httpx2), which openai >= 3 turns into its own.
BROKEN_OFF = 'peer closed connection|Connection error'
HELLO = [{'role': 'user', 'content': 'Hello'}]


@pytest.fixture
def claude(sim):
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='any', max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(sim):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ('status', 'kind'),
    [(400, 'invalid_request_error'), (401, 'authentication_error'), (429, 'rate_limit_error'),
     (500, 'api_error'), (529, 'overloaded_error')],
)  # fmt: skip
def test_a_planned_status_is_met_once_in_each_providers_shape(sim, claude, gpt, status, kind):
    sim.fault(status=status, retry_after=7)
    with pytest.raises(anthropic.APIStatusError) as ours:
        claude.messages.create(**MESSAGE, messages=HELLO)
    sim.fault(status=status)
    with pytest.raises(openai.APIStatusError) as theirs:
        gpt.chat.completions.create(model='gpt-4o', messages=HELLO)
    claude.messages.create(**MESSAGE, messages=HELLO)

    assert (status, kind) == (ours.value.status_code, ours.value.body['error']['type'])
    assert '7' == ours.value.response.headers['retry-after']
    assert status == theirs.value.status_code
    assert [status, status, 200] == [entry['status'] for entry in sim.log()]
    assert [None, None] == [entry['usage'] for entry in sim.log()[:2]]


def test_the_sdk_retries_what_the_plan_refuses(sim):
    sim.fault(status=429, retry_after=0)
    sim.fault(status=529, retry_after=0)
    with anthropic.Anthropic(base_url=sim.url, api_key='any', max_retries=2) as client:
        client.messages.create(**MESSAGE, messages=HELLO)

    assert [429, 529, 200] == [entry['status'] for entry in sim.log()]


def test_a_header_asks_for_a_fault_of_its_own_request(sim, claude):
    with pytest.raises(anthropic.InternalServerError):
        claude.messages.create(
            **MESSAGE, messages=HELLO, extra_headers={'x-farthing-sim-fault': '{"status": 500}'}
        )
    with pytest.raises(anthropic.BadRequestError, match='no JSON'):
        claude.messages.create(
            **MESSAGE, messages=HELLO, extra_headers={'x-farthing-sim-fault': 'soon'}
        )
    claude.messages.create(**MESSAGE, messages=HELLO)


def test_a_stream_that_is_dropped_breaks_off_and_is_billed_in_full(sim, claude, gpt):
    sim.fault(drop_after_events=5)
    with pytest.raises(Exception, match=BROKEN_OFF):
        list(claude.messages.create(**MESSAGE, messages=HELLO, stream=True))
    sim.fault(drop_after_events=5)
    with pytest.raises(Exception, match=BROKEN_OFF):
        list(gpt.chat.completions.create(model='gpt-4o', messages=HELLO, stream=True))
    sim.fault(drop_after_events=0)
    with pytest.raises(openai.APIConnectionError):
        gpt.chat.completions.create(model='gpt-4o', messages=HELLO)

    assert [(5, False), (5, False), (0, False)] == [
        (entry['events_sent'], entry['delivered']) for entry in sim.log()
    ]
    assert all(entry['usage'] for entry in sim.log())


def test_a_stream_can_end_by_an_error_event(sim, claude):
    sim.fault(error_after_events=5)
    with pytest.raises(anthropic.APIStatusError, match='Overloaded'):
        list(claude.messages.create(**MESSAGE, messages=HELLO, stream=True))


@pytest.mark.parametrize('stream', [False, True])
def test_a_malformed_answer_is_no_json(sim, claude, gpt, stream):
    sim.fault(malformed_sse=True)
    with pytest.raises(ValueError, match=r'Unterminated string|delimiter|Expecting'):
        list(claude.messages.create(**MESSAGE, messages=HELLO, stream=stream))
    sim.fault(malformed_sse=True)
    with pytest.raises(ValueError, match=r'Unterminated string|delimiter|Expecting'):
        list(gpt.chat.completions.create(model='gpt-4o', messages=HELLO, stream=stream))


def test_a_delay_comes_before_the_answer(sim, claude):
    sim.fault(delay_s=0.2)
    begun = time.monotonic()
    claude.messages.create(**MESSAGE, messages=HELLO)

    assert time.monotonic() - begun >= 0.2


async def test_a_cancelled_stream_stops_being_sent(sim):
    sim.fault(event_delay_s=0.02)
    async with anthropic.AsyncAnthropic(base_url=sim.url, api_key='any') as client:
        stream = await client.messages.create(**MESSAGE, messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
    await asyncio.sleep(0.2)
    sent = sim.log()[-1]['events_sent']
    await asyncio.sleep(0.2)

    assert sent == sim.log()[-1]['events_sent'] < 20
    assert not sim.log()[-1]['delivered']


def test_reported_usage_can_be_set_in_the_providers_words(sim, claude):
    sim.fault(
        usage={
            'cache_creation_input_tokens': 30,
            'cache_creation': {'ephemeral_1h_input_tokens': 30},
            'service_tier': 'priority',
        }
    )
    usage = claude.messages.create(**MESSAGE, messages=HELLO).usage

    assert (0, 30) == (
        usage.cache_creation.ephemeral_5m_input_tokens,
        usage.cache_creation.ephemeral_1h_input_tokens,
    )
    assert ('priority', 4) == (usage.service_tier, usage.input_tokens)


def test_an_unknown_fault_says_what_is_known(sim):
    with pytest.raises(FaultError, match='drop_after_events'):
        sim.fault(explode=True)
    with httpx.Client(base_url=sim.url) as client:
        refused = client.post('/__sim__/faults', json={'plan': [{'status': 200}]})
        planned = client.post('/__sim__/faults', json={'plan': [{}, {'status': 500}]})

    assert (400, 200) == (refused.status_code, planned.status_code)
    assert 'from 400 to 599' in refused.json()['error']


def test_the_control_endpoints_tell_the_log_and_forget_it(sim, claude):
    sim.fault(status=500)
    with httpx.Client(base_url=sim.url) as client:
        client.post('/__sim__/reset')
        claude.messages.create(**MESSAGE, messages=HELLO)
        log = client.get('/__sim__/log').json()
        client.post('/__sim__/reset')

    assert [('/v1/messages', 'anthropic_messages', 'claude-haiku-4-5', 200, True)] == [
        (e['path'], e['api'], e['model'], e['status'], e['delivered']) for e in log
    ]
    assert [] == sim.log()


@pytest.mark.parametrize('lines', ['missing', {'0': 'lost'}, {'0': 200}, ['missing']])
def test_a_line_can_only_become_what_is_known(sim, lines):
    with pytest.raises(FaultError, match='duplicate'):
        sim.fault(on='openai_batches.create', lines=lines)
