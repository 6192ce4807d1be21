"""The providers' own SDKs, sent the recorded request itself, with nothing but the tap on."""

from collections.abc import Iterator

import anthropic
import openai
import pytest

from farthing import attributed
from farthing.io.tap import tap
from farthing.meter.shared import account

from .recordings import Exchange, billed_exchanges, silent_streams

KEY = 'sk-recorded'


@pytest.fixture(scope='module')
def clients(ledger, provider) -> Iterator[dict[str, object]]:
    tap.endpoints.add(provider.url)
    tap.install(account(ledger))
    with (
        anthropic.Anthropic(base_url=provider.url, api_key=KEY, max_retries=0) as claude,
        openai.OpenAI(base_url=f'{provider.url}/v1', api_key=KEY, max_retries=0) as gpt,
    ):
        yield {'anthropic': claude, 'openai': gpt}


@pytest.fixture(scope='module')
async def async_clients(ledger, provider):
    tap.endpoints.add(provider.url)
    tap.install(account(ledger))
    async with (
        anthropic.AsyncAnthropic(base_url=provider.url, api_key=KEY, max_retries=0) as claude,
        openai.AsyncOpenAI(base_url=f'{provider.url}/v1', api_key=KEY, max_retries=0) as gpt,
    ):
        yield {'anthropic': claude, 'openai': gpt}


def asked(clients, exchange: Exchange):
    """The client and the path of a recorded request."""
    if exchange.api == 'anthropic_messages':
        return clients['anthropic'], exchange.target
    return clients['openai'], exchange.target.removeprefix('/v1')


def send(clients, exchange: Exchange) -> None:
    """Send the recorded request through the SDK, and read its answer to the end."""
    client, path = asked(clients, exchange)
    if exchange.method == 'GET':
        client.get(path, cast_to=object)
    elif exchange.streamed:
        events = anthropic.Stream if exchange.api == 'anthropic_messages' else openai.Stream
        kind = {'cast_to': object, 'stream': True, 'stream_cls': events[object]}
        for _ in client.post(path, body=exchange.request, **kind):
            pass
    else:
        client.post(path, cast_to=object, body=exchange.request)


async def asend(clients, exchange: Exchange) -> None:
    """The same through the SDK's async client."""
    client, path = asked(clients, exchange)
    if exchange.method == 'GET':
        await client.get(path, cast_to=object)
    elif exchange.streamed:
        claude = exchange.api == 'anthropic_messages'
        events = anthropic.AsyncStream if claude else openai.AsyncStream
        kind = {'cast_to': object, 'stream': True, 'stream_cls': events[object]}
        async for _ in await client.post(path, body=exchange.request, **kind):
            pass
    else:
        await client.post(path, cast_to=object, body=exchange.request)


@pytest.mark.parametrize('exchange', billed_exchanges())
def test_the_ledger_holds_what_was_billed(clients, comparison, exchange) -> None:
    comparison.play('raw SDK', exchange)
    with attributed(tenant='contract', task=exchange.name):
        for one in (*exchange.earlier, exchange):
            send(clients, one)

    comparison.agrees(exchange, in_run=False)


@pytest.mark.parametrize('exchange', billed_exchanges('-async', every=3))
async def test_async_calls_too(async_clients, comparison, exchange) -> None:
    comparison.play('raw SDK, async', exchange)
    with attributed(tenant='contract', task=exchange.name):
        for one in (*exchange.earlier, exchange):
            await asend(async_clients, one)

    comparison.agrees(exchange, in_run=False)


@pytest.mark.parametrize('exchange', silent_streams())
def test_a_stream_that_says_no_usage_is_estimated(clients, provider, ledger, exchange) -> None:
    provider.expect(exchange)
    with attributed(tenant='contract', task=exchange.name):
        send(clients, exchange)

    (booked,) = ledger.entries(where={'task': exchange.name})
    assert 'estimated' == booked.entry.usage_source
    assert booked.entry.usage.input_tokens > 0
