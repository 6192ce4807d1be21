"""Each billed call is in the ledger once, whatever wraps it."""

import asyncio
from collections import Counter
from typing import Any

import anthropic as sdk
import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel

from farthing import attributed
from farthing.io.tap import tap
from langchain_farthing import LedgerCallbackHandler, recording

WHO = {'tenant': 'acme', 'task': 'triage'}


def config(handler: LedgerCallbackHandler) -> dict[str, Any]:
    return {'callbacks': [handler], 'metadata': WHO}


def check(entries, sim, *, calls: int, tenant: str | None = 'acme') -> None:
    """As many entries as billed answers, with the billed tokens, all of one tenant."""
    billed = [call for call in sim.log() if call['status'] == 200 and call['delivered']]
    paid = [entry for entry in entries() if entry.status == 'ok']
    assert calls == len(billed) == len(paid)
    assert Counter(call['id'] for call in billed) == Counter(_response_id(e) for e in paid)
    assert sum(map(_total, billed)) == sum(
        e.usage.input_tokens + e.usage.output_tokens for e in paid
    )
    assert {tenant} == {entry.attribution.tenant for entry in paid}


def _response_id(entry) -> str:
    return entry.id.partition(':')[2].partition('@')[0]


def _total(call: dict[str, Any]) -> int:
    usage = call['usage']
    names = (
        'input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'prompt_tokens',
        'output_tokens', 'completion_tokens',
    )  # fmt: skip
    return sum(usage.get(name) or 0 for name in names)


def test_invoke(ledger, entries, handler, sim, model) -> None:
    model.invoke('Where is my parcel?', config=config(handler))

    check(entries, sim, calls=1)
    assert 1 == handler.spend.calls


async def test_ainvoke(ledger, entries, handler, sim, model) -> None:
    await model.ainvoke('Where is my parcel?', config=config(handler))

    check(entries, sim, calls=1)


def test_stream(ledger, entries, handler, sim, model) -> None:
    assert list(model.stream('Where is my parcel?', config=config(handler)))

    check(entries, sim, calls=1)


async def test_astream(ledger, entries, handler, sim, model) -> None:
    assert [chunk async for chunk in model.astream('Where?', config=config(handler))]

    check(entries, sim, calls=1)


async def test_astream_events(ledger, entries, handler, sim, model) -> None:
    chain = ChatPromptTemplate.from_template('Where is {it}?') | model
    events = chain.astream_events({'it': 'it'}, config=config(handler), version='v2')
    assert [event async for event in events]

    check(entries, sim, calls=1)


def test_batch_on_threads(ledger, entries, handler, sim, model) -> None:
    model.batch([f'Question {n}' for n in range(16)], config=config(handler))

    check(entries, sim, calls=16)


async def test_gathered_calls_in_one_context(ledger, entries, handler, sim, model) -> None:
    calls = [model.ainvoke(f'Question {n}', config=config(handler)) for n in range(8)]
    await asyncio.gather(*calls)

    check(entries, sim, calls=8)


async def test_abatch(ledger, entries, handler, sim, model) -> None:
    await model.abatch([f'Question {n}' for n in range(8)], config=config(handler))

    check(entries, sim, calls=8)


def test_interleaved_streams_in_one_thread(ledger, entries, handler, sim, model) -> None:
    one = model.stream('First question', config=config(handler))
    two = model.stream('Second question', config=config(handler))
    assert next(one)
    assert next(two)
    assert [*one, *two]

    check(entries, sim, calls=2)


def test_generate_of_several_prompts(ledger, entries, handler, sim, model) -> None:
    prompts = [[HumanMessage(f'Question {n}')] for n in range(3)]
    model.generate(prompts, callbacks=[handler], metadata=WHO)

    check(entries, sim, calls=3)
    assert 3 == len({entry.run_id for entry in entries()})


async def test_agenerate_of_several_prompts(ledger, entries, handler, sim, model) -> None:
    prompts = [[HumanMessage(f'Question {n}')] for n in range(3)]
    await model.agenerate(prompts, callbacks=[handler], metadata=WHO)

    check(entries, sim, calls=3)
    assert 3 == len({entry.run_id for entry in entries()})


def test_generate_that_fails_half_way(ledger, entries, handler, sim, make) -> None:
    model = make(max_retries=0)
    sim.fault(delay_s=0)
    sim.fault(status=400)
    with pytest.raises(Exception, match='400'):
        model.generate(
            [[HumanMessage(f'Question {n}')] for n in range(3)], callbacks=[handler], metadata=WHO
        )
    handler.sweep()

    check(entries, sim, calls=1)
    assert ['error', 'ok'] == sorted(entry.status for entry in entries())


def test_handler_on_two_levels(ledger, entries, handler, sim, make) -> None:
    model = make(callbacks=[handler])
    model.invoke('Where?', config=config(LedgerCallbackHandler(ledger)))

    check(entries, sim, calls=1)


def test_handler_inside_recording(ledger, entries, handler, sim, model) -> None:
    with recording(ledger) as spend:
        model.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)
    assert 1 == spend.calls == handler.spend.calls


def test_nested_recordings(ledger, entries, sim, model) -> None:
    with recording(ledger, tenant='acme') as outer:
        model.invoke('One?')
        with recording(ledger, task='inner') as inner:
            model.invoke('Two?')

    check(entries, sim, calls=2)
    assert (2, 1) == (outer.calls, inner.calls)
    assert outer.cost_usd > inner.cost_usd > 0


def test_the_environment_variable_records(ledger, entries, sim, model, monkeypatch) -> None:
    monkeypatch.setenv('FARTHING_RECORD', 'true')
    with recording(ledger, tenant='acme'):
        model.invoke('Where?')

    check(entries, sim, calls=1)


def test_nested_chains(ledger, entries, handler, sim, model) -> None:
    inner = ChatPromptTemplate.from_template('Where is {it}?') | model
    outer = RunnableLambda(lambda it: inner.invoke({'it': it})) | RunnableLambda(
        lambda answer: model.invoke(answer.text)
    )
    outer.invoke('it', config=config(handler))

    check(entries, sim, calls=2)


def test_fallbacks(ledger, entries, handler, sim, claude, gpt) -> None:
    sim.fault(status=500)
    model = claude(max_retries=0).with_fallbacks([gpt()])
    model.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)
    failed = next(entry for entry in entries() if entry.status == 'error')
    assert ('acme', 'http_500', 0) == (
        failed.attribution.tenant, failed.error, failed.quote.cost
    )  # fmt: skip


def test_retries_of_the_sdk(ledger, entries, handler, sim, model) -> None:
    sim.fault(status=429, retry_after=0)
    model.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)
    assert 1 == len({entry.run_id for entry in entries()})


def test_retries_of_the_framework(ledger, entries, handler, sim, make) -> None:
    sim.fault(status=500)
    model = make(max_retries=0).with_retry(wait_exponential_jitter=False)
    model.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)


def test_structured_output(ledger, entries, handler, sim, model) -> None:
    class Ticket(BaseModel):
        """A support ticket."""

        subject: str
        urgent: bool

    found = model.with_structured_output(Ticket).invoke('Open a ticket.', config=config(handler))

    assert isinstance(found, Ticket)
    check(entries, sim, calls=1)


def test_agent_with_tools(ledger, entries, handler, sim, model) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return f'parcel {parcel} is on its way'

    agent = create_agent(model, [track])
    agent.invoke({'messages': [('user', 'Track my parcel, please.')]}, config=config(handler))

    check(entries, sim, calls=len(sim.log()))
    assert len(sim.log()) >= 2


async def test_streamed_agent(ledger, entries, handler, sim, model) -> None:
    @tool
    def track(parcel: str) -> str:
        """Track a parcel."""
        return f'parcel {parcel} is on its way'

    agent = create_agent(model, [track])
    stream = agent.astream(
        {'messages': [('user', 'Track my parcel, please.')]},
        config=config(handler),
        stream_mode='messages',
    )
    assert [chunk async for chunk in stream]

    check(entries, sim, calls=len(sim.log()))


class Wrapper(BaseChatModel):
    """A model that calls another one, as users write them."""

    inner: BaseChatModel
    rebuilds: bool = False

    @property
    def _llm_type(self) -> str:
        return 'wrapper'

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        message = self.inner.invoke(messages)
        if self.rebuilds:
            message = AIMessage(message.text)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.mark.parametrize('rebuilds', [False, True])
def test_a_model_around_a_model(ledger, entries, handler, sim, model, rebuilds) -> None:
    chain = RunnableLambda(lambda text: text) | Wrapper(inner=model, rebuilds=rebuilds)
    chain.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)


def test_a_model_around_a_model_around_a_model(ledger, entries, handler, sim, model) -> None:
    chain = RunnableLambda(lambda text: text) | Wrapper(inner=Wrapper(inner=model, rebuilds=True))
    chain.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)


def test_a_framework_cache_hit_costs_nothing_and_says_what_it_saved(
    ledger, entries, handler, sim, make
) -> None:
    model = make(cache=InMemoryCache())
    model.invoke('Where?', config=config(handler))
    model.invoke('Where?', config=config(handler))

    check(entries, sim, calls=1)
    hit = next(entry for entry in entries() if entry.status == 'cache_hit')
    paid = next(entry for entry in entries() if entry.status == 'ok')
    assert (0, paid.quote.cost) == (hit.quote.cost, hit.list_cost)


def test_a_call_outside_any_run_has_the_contexts_tenant(ledger, entries, handler, sim) -> None:
    tap.endpoints.add(sim.anthropic_url)
    client = sdk.Anthropic(base_url=sim.anthropic_url, api_key='sk-simulated')
    with attributed(tenant='acme'):
        client.messages.create(
            model='claude-sonnet-4-6',
            max_tokens=20,
            messages=[{'role': 'user', 'content': 'Where?'}],
        )

    check(entries, sim, calls=1)
