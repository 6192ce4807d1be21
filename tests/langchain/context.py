"""Chats of real agents with context control, and what their requests say."""

from collections.abc import Iterator
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AnyMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from farthing.meter.shared import meter
from farthing.run.annotator import Annotator
from farthing.run.context_policies import ContextOptions
from langchain_farthing import CacheAnnotatorMiddleware, ContextMiddleware

START_S = 1_800_000_000
SUMMARY = '[Summary of what was said before]\n'
RECALLED = '[Said earlier in this conversation, for reference]'


class Chat:
    """A thread of an agent with a checkpointer, and how it goes on."""

    def __init__(self, model, *policies, ledger, handler, sim, **options) -> None:
        self.saver = options.pop('saver', None) or InMemorySaver()
        thread, tools = options.pop('thread', 'one'), options.pop('tools', ())
        metadata, marks = options.pop('metadata', {}), options.pop('marks', True)
        system = options.pop('system', 'You are brief.')
        self.middleware = ContextMiddleware(
            policies, ledger=ledger, options=ContextOptions(now=sim.clock), **options
        )
        self.driver = self.middleware.driver
        annotator = Annotator(meter(ledger), now=sim.clock)
        inner = [CacheAnnotatorMiddleware(annotator=annotator)] if marks else []
        self.agent = create_agent(
            model,
            list(tools),
            system_prompt=system,
            middleware=[self.middleware, *inner],
            checkpointer=self.saver,
        )
        self.config = {
            'configurable': {'thread_id': thread},
            'callbacks': [handler],
            'metadata': metadata,
        }

    def say(self, *texts: str) -> str:
        """The last answer; whatever is made in the background is waited for."""
        for text in texts:
            told = self.agent.invoke({'messages': [('user', text)]}, self.config)
            assert self.driver.flush()
        return told['messages'][-1].text

    async def asay(self, *texts: str) -> str:
        for text in texts:
            told = await self.agent.ainvoke({'messages': [('user', text)]}, self.config)
            assert await self.driver.aflush()
        return told['messages'][-1].text

    def history(self) -> list[AnyMessage]:
        return self.agent.get_state(self.config).values['messages']


@tool
def track_parcel(parcel: int) -> str:
    """Track a parcel."""
    return f'Parcel {parcel} left the depot. ' * 60


@tool
def weigh_parcel(parcel: int) -> str:
    """Weigh a parcel."""
    return f'Parcel {parcel} weighs 3 kg. ' * 60


def question(number: int) -> str:
    return f'Question {number}: ' + 'and what about the other parcels? ' * 20


def texts(body: dict[str, Any]) -> list[str]:
    """What the messages of a request to Anthropic say, block by block."""
    found = []
    for message in body['messages']:
        content = message['content']
        blocks = content if isinstance(content, list) else [{'type': 'text', 'text': content}]
        found += [str(one.get('text') or one.get('content') or one.get('input')) for one in blocks]
    return found


def asked(wire, model: str = 'claude-sonnet-4-6') -> list[dict[str, Any]]:
    """Requests to a model, without those for a summary."""
    of_model = [body for body in wire.bodies if body['model'] == model]
    return [body for body in of_model if 'Write a summary' not in texts(body)[-1]]


def summaries(wire) -> list[dict[str, Any]]:
    """Requests for a summary."""
    return [body for body in wire.bodies if 'Write a summary' in texts(body)[-1]]


def unpaired(body: dict[str, Any]) -> list[str]:
    """Ids of tool calls without a result right after them, and of results without a call."""
    return list(_unpaired(body['messages']))


def _unpaired(messages: list[dict[str, Any]]) -> Iterator[str]:
    waiting: set[str] = set()
    for message in messages:
        blocks = message['content'] if isinstance(message['content'], list) else []
        results = {one['tool_use_id'] for one in blocks if one['type'] == 'tool_result'}
        yield from waiting ^ results
        waiting = {one['id'] for one in blocks if one['type'] == 'tool_use'}
    yield from waiting


def common(one: list[str], other: list[str]) -> int:
    """How many blocks two prompts begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
