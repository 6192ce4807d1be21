"""What context control does when something goes wrong: no message is lost, no call fails."""

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from tests.langchain.context import (
    START_S,
    SUMMARY,
    Chat,
    asked,
    question,
    summaries,
    texts,
)

from farthing.context import Rates
from langchain_farthing import PeriodicSummary, Window

HAIKU = Rates(input=1_000_000, read=100_000, write=1_250_000, output=5_000_000)


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def chat(claude, ledger, handler, sim):
    def made(*policies, **options) -> Chat:
        return Chat(claude(), *policies, ledger=ledger, handler=handler, sim=sim, **options)

    return made


def whole(number: int, body: dict[str, Any]) -> bool:
    """Whether a request holds all questions so far."""
    return [question(n) for n in range(number)] == texts(body)[::2]


class Broken(GenericFakeChatModel):
    """A summariser that answers what it is told to, or raises it."""

    answers: Any = None

    def _generate(self, *args: Any, **options: Any) -> Any:
        if isinstance(self.answers, Exception):
            raise self.answers
        self.messages = iter([AIMessage(self.answers)])
        return super()._generate(*args, **options)


@pytest.mark.parametrize(
    'answers',
    [RuntimeError('overloaded'), TimeoutError('too slow'), '', 'ok', 'bla ' * 5_000],
    ids=['error', 'time-out', 'empty', 'nonsense', 'endless'],
)
def test_a_summary_that_fails_loses_nothing_and_is_asked_for_less_often(
    chat, wire, sim, answers
) -> None:
    broken = Broken(messages=iter(()), answers=answers)
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=broken, rates=HAIKU))

    for n in range(8):
        one.say(question(n))
        sim.clock.advance(20)

    assert whole(8, wire.bodies[-1])
    assert 16 == len(one.history())
    # After half a minute, a minute, two minutes: not on every call.
    assert {'summary': 3} == dict(one.driver.failures)


@pytest.mark.parametrize('fault', [{'status': 500}, {'malformed_sse': True}])
def test_the_summarisers_provider_may_fail(chat, wire, sim, claude, fault) -> None:
    haiku = claude(model='claude-haiku-4-5', max_retries=0)
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=haiku))
    one.say(question(0), question(1))
    sim.fault()
    sim.fault(**fault)
    one.say(question(2), question(3), question(4))

    assert 1 == one.driver.failures['summary']
    assert whole(5, asked(wire)[-1])


def test_after_a_failure_the_next_summary_is_taken(chat, wire, sim, claude) -> None:
    haiku = claude(model='claude-haiku-4-5', max_retries=0)
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=haiku))
    one.say(question(0), question(1))
    sim.fault()
    sim.fault(status=500)
    one.say(question(2))
    assert {'summary': 1} == dict(one.driver.failures)

    sim.clock.advance(60)
    one.say(question(3), question(4))

    assert texts(asked(wire)[-1])[1].startswith(SUMMARY)


def test_nothing_of_a_summary_reaches_the_users_stream(chat, claude) -> None:
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=claude(model='claude-haiku-4-5')))
    one.say(*map(question, range(2)))

    streamed = []
    for n in range(2, 6):
        given = {'messages': [('user', question(n))]}
        for piece, told in one.agent.stream(given, one.config, stream_mode='messages'):
            streamed.append((piece.text, told.get('langgraph_node')))
        one.driver.flush()

    assert {'model'} == {node for _, node in streamed}
    answers = [message.text for message in one.history()[5::2]]
    assert ''.join(answers) == ''.join(text for text, _ in streamed)


async def test_nothing_of_a_summary_is_among_the_users_events(chat, claude, wire) -> None:
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=claude(model='claude-haiku-4-5')))
    await one.asay(*map(question, range(2)))

    started = 0
    for n in range(2, 6):
        given = {'messages': [('user', question(n))]}
        async for event in one.agent.astream_events(given, one.config, version='v2'):
            started += event['event'] == 'on_chat_model_start'
        await one.driver.aflush()

    assert 4 == started
    assert summaries(wire)


def test_a_damaged_store_is_counted_and_the_call_goes_out_whole(chat, wire) -> None:
    saver = InMemorySaver()
    one = chat(Window(keep_turns=1, every=1), saver=saver)
    one.say(*map(question, range(4)))
    one.driver.states.sessions.path.write_bytes(b'no database' * 1_000)

    again = chat(Window(keep_turns=1, every=1), saver=saver)
    again.say(question(4))

    assert 1 == again.driver.failures['failed']
    assert whole(5, wire.bodies[-1])


def test_where_the_store_cannot_be_written_nothing_new_is_decided(chat, wire) -> None:
    one = chat(Window(keep_turns=1, every=1))
    one.say(*map(question, range(2)))
    with closing(sqlite3.connect(one.driver.states.sessions.path, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        one.say(question(2), question(3))

    # It would be decided anew, and rewritten, on every call.
    assert whole(4, wire.bodies[-1])
    assert 2 == one.driver.failures['unsaved']


def test_two_processes_on_one_session_both_go_on(chat, wire) -> None:
    saver = InMemorySaver()
    both = [chat(Window(keep_turns=1, every=1), saver=saver) for _ in range(2)]
    both[0].say(question(0))
    threads = [
        threading.Thread(target=one.say, args=[question(n) for n in range(1, 5)]) for one in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 9 == len(wire.bodies)
    assert not both[0].driver.failures + both[1].driver.failures
    assert all(question(0) == texts(body)[0] for body in wire.bodies)


def test_what_is_stored_is_for_its_owner_alone(chat, claude, tmp_path) -> None:
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=claude(model='claude-haiku-4-5')))
    one.say(*map(question, range(6)))

    files = [*tmp_path.glob('*.context.db*')]
    assert ['farthing.db.context.db'] == [file.name for file in files]
    assert [0o600] == [stat.S_IMODE(file.stat().st_mode) for file in files]


async def test_a_loop_that_closes_leaves_the_old_view(chat, claude, wire, sim) -> None:
    haiku = claude(model='claude-haiku-4-5')
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=haiku))
    await one.asay(*map(question, range(2)))
    sim.fault()
    sim.fault(delay_s=30)
    given = {'messages': [('user', question(2))]}
    await one.agent.ainvoke(given, one.config)
    tasks = [*one.driver.background._tasks]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert 1 == len(tasks)
    assert {'summary': 1} == dict(one.driver.failures)
    await one.asay(question(3))
    assert whole(4, asked(wire)[-1])
