"""Context control inside `create_agent`: real agents, real models, the simulated providers."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AnyMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from farthing.run.policies import Options
from langchain_farthing import (
    CacheAnnotatorMiddleware,
    ContextMiddleware,
    PeriodicSummary,
    Window,
)

START_S = 1_800_000_000


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def control(ledger, sim, handler):
    """Makes the middleware, on the provider's clock."""

    def made(*policies, **options) -> ContextMiddleware:
        return ContextMiddleware(policies, options=Options(ledger=ledger, now=sim.clock), **options)

    return made


class Chat:
    """A thread of an agent with a checkpointer, and how it goes on."""

    def __init__(self, agent, handler, thread: str = 'one', **metadata: Any) -> None:
        self.agent = agent
        self.config = {
            'configurable': {'thread_id': thread},
            'callbacks': [handler],
            'metadata': metadata,
        }

    def say(self, text: str) -> str:
        told = self.agent.invoke({'messages': [('user', text)]}, self.config)
        return told['messages'][-1].text

    async def asay(self, text: str) -> str:
        told = await self.agent.ainvoke({'messages': [('user', text)]}, self.config)
        return told['messages'][-1].text

    def history(self) -> list[AnyMessage]:
        return self.agent.get_state(self.config).values['messages']


def texts(body: dict[str, Any]) -> list[str]:
    """What the messages of a request to Anthropic say, block by block."""
    found = []
    for message in body['messages']:
        content = message['content']
        blocks = content if isinstance(content, list) else [{'type': 'text', 'text': content}]
        found += [str(one.get('text') or one.get('content') or one.get('input')) for one in blocks]
    return found


@pytest.fixture
def chat(claude, control, handler) -> Callable[..., Chat]:
    def made(*policies, thread='one', tools=(), system='You are brief.', **options) -> Chat:
        middleware = control(*policies, **options)
        agent = create_agent(
            claude(),
            list(tools),
            system_prompt=system,
            middleware=[middleware, CacheAnnotatorMiddleware(middleware._options.ledger)],
            checkpointer=InMemorySaver(),
        )
        found = Chat(agent, handler, thread)
        found.driver = middleware.driver
        return found

    return made


@tool
def track(parcel: int) -> str:
    """Track a parcel."""
    return f'Parcel {parcel} left the depot. ' * 40


def test_a_window_trims_what_is_sent_and_nothing_of_the_thread(chat, wire) -> None:
    one = chat(Window(keep_turns=2, every=3))

    for n in range(8):
        one.say(f'Question {n}')

    sent = texts(wire.bodies[-1])
    assert 'Question 0' == sent[0]
    assert 'Question 7' == sent[-1]
    assert not [text for text in sent if text in ('Question 1', 'Question 2')]
    assert 16 == len(one.history())
    assert not one.driver.failures


def test_a_summary_is_made_after_the_answer_and_taken_by_a_later_call(
    chat, wire, entries, claude
) -> None:
    one = chat(PeriodicSummary(every=3, keep_turns=2, model=claude(model='claude-haiku-4-5')))

    for n in range(8):
        one.say(f'Question {n}: ' + 'and what about the other parcels? ' * 20)
        one.driver.flush()

    assert not one.driver.failures
    assert {'user', 'summary'} == {entry.attribution.purpose for entry in entries()}
    last = [body for body in wire.bodies if body['model'] == 'claude-sonnet-4-6'][-1]
    assert '[Summary of what was said before]' in texts(last)[1]
    assert ['one'] == list({entry.attribution.session for entry in entries()})
