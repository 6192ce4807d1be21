"""Context control in chains, and under a `BaseChatMessageHistory`."""

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from tests.langchain.context import START_S, SUMMARY, asked, question, texts

from farthing.errors import InputError
from farthing.run.context_policies import ContextOptions
from langchain_farthing import (
    FarthingChatMessageHistory,
    MemorySummarizer,
    PeriodicSummary,
    Select,
    ServerCompaction,
    Window,
)

pytestmark = pytest.mark.filterwarnings('ignore:.*ChatMessageHistory.*:DeprecationWarning')
PROMPT = ChatPromptTemplate([('system', 'You are brief.'), MessagesPlaceholder('said')])


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def memory(ledger, sim):
    def made(*policy, **options) -> MemorySummarizer:
        return MemorySummarizer(
            policy=policy,
            session=lambda config: config['configurable']['thread_id'],
            ledger=ledger,
            options=ContextOptions(now=sim.clock),
            **options,
        )

    return made


@pytest.fixture
def config(handler):
    return {'configurable': {'thread_id': 'one'}, 'callbacks': [handler]}


def test_a_chain_sends_a_view_and_its_decisions_are_booked(
    memory, claude, config, wire, ledger
) -> None:
    window = memory(Window(keep_turns=1, every=1))
    chain = PROMPT | window | claude()
    said = []

    for n in range(5):
        said += [HumanMessage(question(n))]
        said += [chain.invoke({'said': said}, config)]

    assert not window.driver.failures
    assert [question(0), question(4)] == [texts(wire.bodies[-1])[0], texts(wire.bodies[-1])[-1]]
    assert 4 == len(texts(wire.bodies[-1]))
    rows = ledger.report(by='context_policy').rows
    assert {'Window(keep_turns=1, every=1)': 5} == {
        row.keys['context_policy']: row.calls for row in rows
    }
    # Uncached, each token that is left out is a token that is not paid.
    full = sum(entry['usage']['input_tokens'] for entry in wire.sim.log())
    assert full > 0
    assert rows[0].saved > 0


def test_a_call_that_repeats_old_messages_has_its_decision(memory, claude, config, ledger) -> None:
    window = memory(Window(keep_turns=1, every=1), Select(budget=200))
    chain, said = PROMPT | window | claude(), []

    for n in range(4):
        said += [HumanMessage(question(n))]
        said += [chain.invoke({'said': said}, config)]

    assert [4] == [row.calls for row in ledger.report(by='context_policy').rows]


async def test_a_chain_that_is_awaited_has_its_summaries_made_in_the_loop(
    memory, claude, config, wire, entries
) -> None:
    window = memory(PeriodicSummary(every=2, keep_turns=1, model=claude(model='claude-haiku-4-5')))
    chain = PROMPT | window | claude()
    said = []

    for n in range(6):
        said += [HumanMessage(question(n))]
        said += [await chain.ainvoke({'said': said}, config)]
        assert await window.driver.aflush()

    assert not window.driver.failures
    assert texts(asked(wire)[-1])[1].startswith(SUMMARY)
    made = [entry for entry in entries() if entry.attribution.purpose == 'summary']
    assert made
    assert {'one'} == {entry.attribution.session for entry in made}


def test_a_summary_needs_a_model_that_makes_it(memory) -> None:
    with pytest.raises(InputError, match='model=') as refused:
        memory(PeriodicSummary())
    assert 'PeriodicSummary' in str(refused.value)
    with pytest.raises(InputError, match='ContextMiddleware'):
        memory(ServerCompaction())


def test_a_call_that_does_not_say_whose_it_is_goes_out_whole(memory, claude, wire) -> None:
    window = memory(Window(keep_turns=1, every=1))
    said = [HumanMessage(question(0)), AIMessage('So.')] * 4 + [HumanMessage(question(1))]

    (PROMPT | window | claude()).invoke({'said': said})

    assert 9 == len(texts(wire.bodies[-1]))
    assert {'unreadable_call': 1} == dict(window.driver.failures)


def test_a_history_shows_a_view_and_keeps_everything(memory) -> None:
    window = memory(Window(keep_turns=1, every=1))
    kept = InMemoryChatMessageHistory()
    history = FarthingChatMessageHistory(kept, memory=window, session='one')

    for n in range(5):
        history.add_messages([HumanMessage(question(n)), AIMessage(f'Answer {n}')])
        shown = [message.text for message in history.messages]

    assert 10 == len(kept.messages)
    assert question(0) == shown[0]
    assert [question(3), 'Answer 3', question(4), 'Answer 4'] == shown[1:]
    history.clear()
    assert [] == history.messages


async def test_a_history_that_is_awaited_shows_the_same(memory) -> None:
    window = memory(Window(keep_turns=1, every=1))
    one, other = (
        FarthingChatMessageHistory(InMemoryChatMessageHistory(), memory=window, session=name)
        for name in ('one', 'other')
    )

    for n in range(5):
        many = [HumanMessage(question(n)), AIMessage(f'Answer {n}')]
        one.add_messages(many)
        await other.aadd_messages(many)
        assert one.messages == await other.aget_messages()


def test_chains_in_a_batch_keep_their_sessions_apart(memory, claude, handler, wire, ledger) -> None:
    window = memory(Window(keep_turns=1, every=1))
    chain = PROMPT | window | claude()
    configs = [
        {
            'configurable': {'thread_id': name},
            'callbacks': [handler],
            'metadata': {'session': name},
        }
        for name in ('ann', 'bob')
    ]
    said = {name: [] for name in ('ann', 'bob')}

    for n in range(4):
        for name, many in said.items():
            many.append(HumanMessage(f'{name} {question(n)}'))
        answers = chain.batch([{'said': many} for many in said.values()], configs)
        for many, answer in zip(said.values(), answers, strict=True):
            many.append(answer)

    assert not window.driver.failures
    assert not [body for body in wire.bodies if 'ann ' in str(body) and 'bob ' in str(body)]
    assert {'ann': 4, 'bob': 4} == {
        row.keys['session']: row.calls for row in ledger.report(by='session').rows
    }
