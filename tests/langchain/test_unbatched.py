"""Requests of a job that no batch takes are sent as ever, and never in silence."""

import logging
from collections import Counter

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_openai import AzureChatOpenAI

from farthing.io.tap import tap

ANSWER = {
    'id': 'chatcmpl-1',
    'object': 'chat.completion',
    'created': 1_790_000_000,
    'model': 'gpt-4o-2024-11-20',
    'choices': [
        {
            'index': 0,
            'message': {'role': 'assistant', 'content': 'Here.'},
            'finish_reason': 'stop',
        }
    ],
    'usage': {'prompt_tokens': 12, 'completion_tokens': 3, 'total_tokens': 15},
}


@pytest.fixture
def sent() -> Counter[str]:
    return Counter()


@pytest.fixture
def azure(sent):
    """A model that no batch of ours takes; its answers are made up."""

    def answer(request: httpx.Request) -> httpx.Response:
        sent[request.url.host] += 1
        return httpx.Response(200, json=ANSWER)

    return AzureChatOpenAI(
        azure_endpoint='https://desk.openai.azure.com',
        azure_deployment='support',
        api_version='2025-01-01-preview',
        api_key='sk-simulated',
        http_async_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
    )


async def test_they_are_warned_of_once_and_counted(azure, runner, sent, caplog) -> None:
    with caplog.at_level(logging.WARNING, 'farthing'):
        job = await runner().submit(azure, ['one', 'two', 'three'])
        outcomes = [outcome async for outcome in job.results()]

    assert {'azure': 3} == job.unbatched
    assert {'desk.openai.azure.com': 3} == sent
    first, last = [record.getMessage() for record in caplog.records]
    assert 'job job.1 asks azure in a way that no batch takes' in first
    assert 'job job.1: 3 requests to azure were not batched, and billed at full price' in last
    # What they cost is nowhere in the job: unknown, and not nothing.
    assert [('Here.', None)] * 3 == [(one.output.text, one.cost_usd) for one in outcomes]


async def test_the_estimate_counts_them_and_sends_none(azure, runner, sent, caplog) -> None:
    estimate = await runner().estimate(azure, ['one', 'two'])

    assert (2, 2, 0) == (estimate.requests, estimate.unbatched, estimate.batch)
    assert '2 are taken by no batch, sent at once at full price and not in it' in str(estimate)
    assert {} == sent


async def test_a_job_whose_requests_are_all_batched_warns_of_nothing(
    claude, runner, caplog
) -> None:
    with caplog.at_level(logging.WARNING, 'farthing'):
        job = await runner().submit(claude(), ['one'])
        outcomes = [outcome async for outcome in job.results()]

    assert {} == job.unbatched
    assert [] == caplog.records
    assert outcomes[0].cost_usd


async def test_what_a_tool_posts_to_an_address_of_its_own_is_not_parked(
    claude, runner, sim
) -> None:
    """Also where the path ends as those of the providers do."""
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        return httpx.Response(200, json={'sent': True})

    mail = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    model = claude()

    async def work(text: str) -> bool:
        await model.ainvoke(text)
        posted = await mail.post('https://mail.example.com/me/messages', json={'to': 'you'})
        return posted.json()['sent']

    job = await runner().submit(RunnableLambda(work), ['one', 'two'])
    outcomes = [outcome async for outcome in job.results()]
    await mail.aclose()

    assert [True, True] == [one.output for one in outcomes]
    assert ['/me/messages'] * 2 == sent
    assert {} == job.unbatched
    assert 2 == len(sim.charges())


async def test_what_is_posted_to_a_listed_address_by_hand_is_parked(
    runner, sim, monkeypatch
) -> None:
    body = {'model': 'claude-sonnet-4-6', 'max_tokens': 20, 'messages': [
        {'role': 'user', 'content': 'Write 3 words'},
    ]}  # fmt: skip
    monkeypatch.setattr(tap.endpoints, '_listed', {})
    tap.endpoints.add(sim.anthropic_url)

    async def work(key: str) -> int:
        headers = {'x-api-key': key, 'anthropic-version': '2023-06-01'}
        async with httpx.AsyncClient(base_url=sim.anthropic_url, headers=headers) as client:
            return (await client.post('/v1/messages', json=body)).status_code

    job = await runner().submit(RunnableLambda(work), ['sk-simulated'])

    assert [200] == [one.output async for one in job.results()]
    assert [True] == [one['batch_id'] is not None for one in sim.charges()]
