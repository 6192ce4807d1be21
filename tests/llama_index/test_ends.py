"""How calls end that do not end well, that no tap sees, or that another switch records."""

import asyncio
import gc
import threading

import pytest
from llama_index.core import MockEmbedding
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index_instrumentation import get_dispatcher

import farthing
import llama_index_farthing
from farthing.errors import InputError
from farthing.io.tap import tap
from farthing.ledger import Ledger
from farthing_sim import Sim

_HELLO = [ChatMessage('hello')]


def ends(entries):
    return [(e.status, e.error, e.usage_source) for e in entries]


_CALLS = {
    'chat': lambda llm: llm.chat(_HELLO),
    'complete': lambda llm: llm.complete('hello'),
    'stream_chat': lambda llm: list(llm.stream_chat(_HELLO)),
    'stream_complete': lambda llm: list(llm.stream_complete('hello')),
}


@pytest.mark.parametrize('call', list(_CALLS))
def test_a_refused_call_is_an_error_that_costs_nothing(
    call, anthropic, sim: Sim, installed, posted
) -> None:
    sim.fault(status=400)
    llm = anthropic(max_retries=0)
    with pytest.raises(Exception, match='400'):
        _CALLS[call](llm)

    (entry,) = posted()
    assert [('error', 'http_400', None)] == ends([entry])
    assert entry.cost_usd == 0


async def test_a_refused_async_call_is_an_error_that_costs_nothing(
    openai, sim: Sim, installed, posted
) -> None:
    sim.fault(status=400)
    with pytest.raises(Exception, match='400'):
        await openai(max_retries=0).achat(_HELLO)

    assert [('error', 'http_400', None)] == ends(posted())


async def test_retries_of_the_sdk_are_entries_of_one_run(
    anthropic, sim: Sim, installed, posted
) -> None:
    sim.fault(status=529)
    anthropic(max_retries=1).chat(_HELLO)

    failed, answered = posted()
    assert [('error', 'http_529', None), ('ok', None, 'reported')] == ends([failed, answered])
    assert failed.run_id == answered.run_id is not None


def test_a_closed_stream_is_cancelled_and_estimated_once(llm, installed, posted) -> None:
    with farthing.attributed(tenant='acme'):
        for stream in (llm.stream_chat(_HELLO), llm.stream_complete('hello')):
            next(iter(stream))
            stream.close()
            del stream
            gc.collect()

    entries = posted()
    assert ['cancelled', 'cancelled'] == [e.status for e in entries]
    assert {('acme', 'estimated')} == {(e.attribution.tenant, e.usage_source) for e in entries}


async def test_a_cancelled_call_is_posted_once(anthropic, sim: Sim, installed, posted) -> None:
    sim.fault(delay_s=5)
    call = asyncio.create_task(anthropic().achat(_HELLO))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert [('cancelled', 'CancelledError', 'estimated')] == ends(posted())


def test_an_answer_cut_half_way_is_estimated(anthropic, sim: Sim, installed, posted) -> None:
    sim.fault(drop_after_events=4)
    with pytest.raises(Exception, match=r'peer closed|incomplete'):
        list(anthropic().stream_chat(_HELLO))

    (entry,) = posted()
    assert ('error', 'estimated') == (entry.status, entry.usage_source)


async def test_a_model_that_no_tap_sees_is_estimated_once(installed, posted) -> None:
    llm = MockLLM(max_tokens=3)
    with farthing.attributed(tenant='acme', task='mock'):
        llm.complete('12345678')
        llm.chat(_HELLO)  # calls `complete`
        list(llm.stream_complete('12345678'))
        list(llm.stream_chat(_HELLO))
        await llm.achat(_HELLO)
        [_ async for _ in await llm.astream_chat(_HELLO)]

    entries = posted()
    assert len(entries) == 6
    assert {('acme', 'mock', 'estimated', 'ok', 'unpriced')} == {
        (e.attribution.tenant, e.attribution.task, e.usage_source, e.status, e.quote.status)
        for e in entries
    }
    assert (2, 4) == (entries[0].usage.input_tokens, entries[0].usage.output_tokens)


def test_embeddings_that_no_tap_sees_are_estimated(installed, posted) -> None:
    MockEmbedding(embed_dim=2).get_text_embedding_batch(['1234', '12345678'])

    (entry,) = posted()
    assert ('embeddings', 'estimated', 3) == (
        entry.call_type, entry.usage_source, entry.usage.input_tokens
    )  # fmt: skip


def test_a_cached_embedding_costs_nothing(embeddings, sim: Sim, installed, posted) -> None:
    embeddings.embeddings_cache = SimpleKVStore()
    embeddings.get_text_embedding('hello')
    embeddings.get_text_embedding('hello')

    first, again = posted()
    assert len(sim.log()) == 1
    assert [('ok', None, 'reported'), ('cache_hit', None, 'estimated')] == ends([first, again])
    assert again.cost_usd == 0


class Fails(CustomLLM):
    """A model of the user's own."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name='own')

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002 - LlamaIndex's
        raise ValueError(prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002
        yield CompletionResponse(text='half', delta='half')
        raise ValueError(prompt)


def test_the_failure_of_an_unseen_model_has_unknown_cost(installed, posted) -> None:
    with pytest.raises(ValueError, match='hello'):
        Fails().chat(_HELLO)
    with pytest.raises(ValueError, match='hello'):
        list(Fails().stream_complete('hello'))

    entries = posted()
    assert [('error', 'ValueError', None)] * 2 == ends(entries)
    assert [None, None] == [e.cost_usd for e in entries]
    assert 'hello' not in repr(entries)


def test_an_abandoned_stream_is_swept(installed, posted) -> None:
    stream = MockLLM(max_tokens=3).stream_complete('hello')
    next(stream)
    assert posted() == []
    assert installed.sweep() == 1
    list(stream)

    assert [('abandoned', None, 'estimated')] == ends(posted())


def test_a_stream_that_was_never_read_costs_nothing(openai, sim, installed, posted) -> None:
    stream = openai().stream_chat(_HELLO)
    openai().chat([ChatMessage('another')])
    del stream
    installed.sweep()

    assert len(posted()) == len(sim.log()) == 1


@pytest.mark.parametrize('read_in_a_thread', [True, False])
def test_an_address_that_nobody_listed_is_read_inside_a_call(
    llm, ledger: Ledger, posted, billed, read_in_a_thread, monkeypatch
) -> None:
    monkeypatch.setattr(tap.endpoints, '_listed', {})
    installed = llama_index_farthing.install(ledger)
    try:
        stream = llm.stream_chat(_HELLO)
        if read_in_a_thread:
            thread = threading.Thread(target=lambda: list(stream))
            thread.start()
            thread.join()
        else:
            list(stream)
    finally:
        installed.uninstall()

    assert billed() == [(e.usage.input_tokens, e.usage.output_tokens) for e in posted()]


@pytest.mark.parametrize('streamed', [True, False])
def test_without_the_tap_usage_comes_from_the_framework_once(
    llm, ledger: Ledger, posted, billed, streamed
) -> None:
    installed = llama_index_farthing.install(ledger, http_tap=False, tenant='acme')
    try:
        if streamed:
            list(llm.stream_complete('hello'))
        else:
            llm.complete('hello')
    finally:
        installed.uninstall()

    (entry,) = posted()
    assert entry.attribution.tenant == 'acme'
    assert entry.api == 'llama_index_response'
    if entry.usage_source == 'reported':
        assert billed() == [(entry.usage.input_tokens, entry.usage.output_tokens)]


def test_installing_twice_doubles_nothing(llm, ledger: Ledger, installed, posted, sim: Sim) -> None:
    assert llama_index_farthing.install(ledger, tenant='acme') is installed
    llm.chat(_HELLO)

    (entry,) = posted()
    assert entry.attribution.tenant == 'acme'


def test_another_ledger_needs_an_uninstall(installed, tmp_path) -> None:
    with (
        Ledger.open(tmp_path / 'other.db') as other,
        pytest.raises(InputError, match='uninstall'),
    ):
        llama_index_farthing.install(other)


def test_uninstalled_nothing_is_left_on_the_dispatcher(llm, ledger, posted) -> None:
    root = get_dispatcher()
    before = list(root.event_handlers), list(root.span_handlers)
    llama_index_farthing.install(ledger)
    llama_index_farthing.uninstall()
    llama_index_farthing.uninstall()
    llm.chat(_HELLO)

    assert before == (root.event_handlers, root.span_handlers)
    assert not tap.installed
    assert posted() == []


def test_a_block_records_with_or_without_install(llm, ledger: Ledger, posted, sim: Sim) -> None:
    with llama_index_farthing.recording(ledger, tenant='acme') as outer:
        llm.chat(_HELLO)
        with llama_index_farthing.recording(ledger, task='inner') as inner:
            llm.chat(_HELLO)
        installed = llama_index_farthing.install(ledger)
        llm.chat(_HELLO)
        installed.uninstall()

    assert [('acme', None), ('acme', 'inner'), ('acme', None)] == [
        (e.attribution.tenant, e.attribution.task) for e in posted()
    ]
    assert (3, 1, 1) == (outer.calls, inner.calls, installed.spend.calls)


def test_what_goes_wrong_in_the_handler_is_counted_and_the_call_succeeds(
    installed, posted, caplog
) -> None:
    class Odd(MockLLM):
        def to_payload(self):
            return {'model_name': object()}

    assert str(Odd(max_tokens=1).complete('hello')) == 'text'
    assert installed.spend.lost + len(posted()) == 1
