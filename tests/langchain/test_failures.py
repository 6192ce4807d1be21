"""What is left, cut or refused is in the ledger as what it is."""

import asyncio

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda

METADATA = {'tenant': 'acme'}


def only(entries):
    (entry,) = entries()
    return entry


def test_a_refused_request_costs_nothing(entries, handler, sim, make) -> None:
    sim.fault(status=400)
    with pytest.raises(Exception, match='400'):
        make().invoke('Where?', config={'callbacks': [handler], 'metadata': METADATA})

    entry = only(entries)
    assert ('error', 'http_400', 0, None) == (
        entry.status, entry.error, entry.quote.cost, entry.usage
    )  # fmt: skip


def test_a_request_that_never_left_costs_nothing(entries, handler, sim, claude) -> None:
    model = claude(base_url='http://127.0.0.1:9', max_retries=0)
    with pytest.raises(Exception, match=r'[Cc]onnect'):
        model.invoke('Where?', config={'callbacks': [handler]})

    entry = only(entries)
    assert ('error', 'ConnectError', 0) == (entry.status, entry.error, entry.quote.cost)


def test_a_call_that_fails_before_its_request_is_an_error_and_not_lost(
    entries, handler, claude
) -> None:
    with pytest.raises(TypeError, match='nonsense'):
        claude().invoke('Where?', config={'callbacks': [handler]}, nonsense=1)

    assert ('error', 'TypeError') == (only(entries).status, only(entries).error)
    assert 0 == handler.spend.lost


def test_a_timeout_may_have_been_billed(entries, handler, sim, make) -> None:
    sim.fault(delay_s=1)
    with pytest.raises(Exception, match=r'[Tt]ime'):
        make(max_retries=0, timeout=0.2).invoke('Where?', config={'callbacks': [handler]})

    entry = only(entries)
    assert ('error', 'ReadTimeout', 'estimated') == (entry.status, entry.error, entry.usage_source)
    assert entry.usage.input_tokens > 0


def test_a_stream_closed_early_is_cancelled_and_estimated(entries, handler, sim, make) -> None:
    stream = make().stream('Tell me a long story.', config={'callbacks': [handler]})
    next(stream)
    stream.close()

    entry = only(entries)
    assert ('cancelled', 'estimated') == (entry.status, entry.usage_source)
    assert entry.usage.input_tokens > 0


async def test_a_cancelled_call_is_in_the_ledger(entries, handler, sim, make) -> None:
    sim.fault(delay_s=2)
    call = asyncio.create_task(make().ainvoke('Where?', config={'callbacks': [handler]}))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    handler.sweep()

    entry = only(entries)
    assert ('cancelled', 'estimated') == (entry.status, entry.usage_source)


async def test_a_cancelled_call_that_the_tap_cannot_see_is_swept_as_abandoned(
    entries, handler
) -> None:
    model = FakeListChatModel(responses=['yes'], sleep=2)
    call = asyncio.create_task(model.ainvoke('Where?', config={'callbacks': [handler]}))
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert 1 == handler.sweep()

    assert ('abandoned', 'estimated') == (only(entries).status, only(entries).usage_source)


async def test_a_call_after_an_abandoned_one_hides_neither(entries, handler) -> None:
    slow, quick = (FakeListChatModel(responses=['yes'], sleep=s) for s in (2, 0))
    config = {'callbacks': [handler]}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await slow.ainvoke('Where?', config=config)
    await quick.ainvoke('Where?', config=config)

    assert 1 == handler.sweep()
    assert ['abandoned', 'ok'] == sorted(entry.status for entry in entries())


def test_a_stream_that_breaks_off_is_an_estimate(entries, handler, sim, make) -> None:
    sim.fault(drop_after_events=3)
    with pytest.raises(Exception, match=r'.'):
        list(make(max_retries=0).stream('Tell me a story.', config={'callbacks': [handler]}))

    entry = only(entries)
    assert ('error', 'estimated') == (entry.status, entry.usage_source)


def test_a_stream_without_usage_is_an_estimate(entries, handler, sim, gpt) -> None:
    list(gpt(stream_usage=False).stream('Tell me a story.', config={'callbacks': [handler]}))

    entry = only(entries)
    assert ('ok', 'estimated') == (entry.status, entry.usage_source)
    assert entry.usage.input_tokens > 0
    assert entry.usage.output_tokens > 0


def test_a_ledger_that_fails_never_fails_the_call(
    ledger, entries, handler, sim, model, caplog
) -> None:
    def broken(entry) -> None:
        raise OSError('no space left')

    handler._account.meter.ledger.post = broken
    answer = model.invoke('Where?', config={'callbacks': [handler]})

    assert answer.text
    assert 1 == handler.spend.lost
    assert 'could not record' in caplog.text
    del handler._account.meter.ledger.post
    assert 1 == ledger.report(by=['tenant']).lost


def test_an_unpriced_model_is_never_free(ledger, entries, handler, sim, claude) -> None:
    claude(model='claude-opus-4-99').invoke('Where?', config={'callbacks': [handler]})

    entry = only(entries)
    assert ('unpriced', None) == (entry.quote.status, entry.quote.cost)
    assert 1 == handler.spend.unpriced
    assert 1 == ledger.report(by=['model']).total.unpriced


def test_a_chain_that_fails_before_the_request_costs_nothing(entries, handler, claude) -> None:
    def bad(_):
        raise ValueError('before')

    with pytest.raises(ValueError, match='before'):
        (RunnableLambda(bad) | claude()).invoke('x', config={'callbacks': [handler]})

    assert [] == entries()
