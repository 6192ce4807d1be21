"""Context control under LlamaIndex: memories, blocks, agents, against the simulated providers."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatResponse, MockLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool

import llama_index_farthing
from farthing.attribution import attributed
from farthing.context import ClearToolResults, Rates, Select
from farthing.errors import InputError
from farthing.run.context_policies import ContextOptions
from llama_index_farthing import MemorySummarizer, PeriodicSummary, SummaryMemoryBlock, Window
from llama_index_farthing.conversation import part_of

# LlamaIndex's own: its agents look at every attribute.
pytestmark = pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning')
START_S = 1_800_000_000
SUMMARY = '[Summary of what was said before]\n'
HAIKU = Rates(input=1_000_000, read=100_000, write=1_250_000, output=5_000_000)


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def memory(ledger, sim):
    def made(*policy, session='one', **options) -> MemorySummarizer:
        kept = ContextOptions(now=sim.clock)
        return MemorySummarizer(
            session_id=session, policy=policy, ledger=ledger, options=kept, **options
        )

    return made


@pytest.fixture
def block(ledger, sim):
    def made(llm, session='one', **options) -> SummaryMemoryBlock:
        kept = ContextOptions(now=sim.clock)
        return SummaryMemoryBlock(
            session_id=session, llm=llm, ledger=ledger, options=kept, **options
        )

    return made


@pytest.fixture
async def closed() -> AsyncIterator[Callable[[Memory], Memory]]:
    """Memories whose stores are closed with the test."""
    memories: list[Memory] = []

    def made(memory: Memory) -> Memory:
        memories.append(memory)
        return memory

    yield made
    for memory in memories:
        if memory.sql_store._async_engine is not None:
            await memory.sql_store._async_engine.dispose()


def question(number: int) -> str:
    return f'Question {number}: ' + 'and what about the other parcels? ' * 20


def turn(number: int) -> list[ChatMessage]:
    return [ChatMessage(question(number)), ChatMessage(f'Answer {number}', role='assistant')]


def texts(messages: list[ChatMessage]) -> list[str]:
    return [message.content or '' for message in messages]


def said(body) -> list[str]:
    blocks = [
        block
        for message in body['messages']
        for block in (
            message['content']
            if isinstance(message['content'], list)
            else [{'text': message['content']}]
        )
    ]
    return [str(one.get('text') or one.get('content') or one.get('input')) for one in blocks]


def test_a_memory_shows_a_view_and_keeps_everything(memory) -> None:
    one = memory(Window(keep_turns=1, every=1))

    for n in range(5):
        one.put_messages(turn(n))
        shown = texts(one.get())

    assert [question(0), question(3), 'Answer 3', question(4), 'Answer 4'] == shown
    assert 10 == len(one.get_all())
    one.reset()
    assert [] == one.get()


async def test_an_awaited_memory_shows_the_same(memory) -> None:
    one, other = (
        memory(Window(keep_turns=1, every=1)),
        memory(Window(keep_turns=1, every=1), session='two'),
    )

    for n in range(5):
        one.put_messages(turn(n))
        await other.aput_messages(turn(n))
        assert texts(one.get()) == texts(await other.aget())


def test_a_session_is_needed(memory) -> None:
    with pytest.raises(InputError, match='session_id'):
        memory(session='')


def test_tool_calls_pictures_and_thoughts_are_counted() -> None:
    call = ToolCallBlock(tool_call_id='a', tool_name='track', tool_kwargs={'parcel': 'x' * 400})
    message = ChatMessage(
        role='assistant', blocks=[ThinkingBlock(content='hm ' * 100), TextBlock(text='So.'), call]
    )
    result = ChatMessage('There', role='tool', additional_kwargs={'tool_call_id': 'a'})
    picture = ChatMessage(role='user', blocks=[ImageBlock(url='http://localhost/a.png')])

    part = part_of(message)
    assert ('tool_call', ('a',)) == (part.kind, part.call_ids)
    assert 'x' * 400 in part.text
    assert 'hm ' * 100 in part.text
    assert ('tool_result', ('a',)) == (part_of(result).kind, part_of(result).call_ids)
    assert part_of(picture).other_tokens > 1_000


def test_tool_messages_are_never_orphaned(memory) -> None:
    one = memory(Window(keep_turns=1, every=1))
    for n in range(6):
        call = ToolCallBlock(tool_call_id=f'{n}', tool_name='track', tool_kwargs={'parcel': n})
        result = ChatMessage('There', role='tool', additional_kwargs={'tool_call_id': f'{n}'})
        one.put_messages(
            [
                ChatMessage(question(n)),
                ChatMessage(role='assistant', blocks=[call]),
                result,
                ChatMessage(f'Answer {n}', role='assistant'),
            ]
        )
        shown = one.get()
        calls = [m.blocks[0].tool_call_id for m in shown if isinstance(m.blocks[0], ToolCallBlock)]
        results = [m.additional_kwargs['tool_call_id'] for m in shown if m.role == MessageRole.TOOL]
        assert calls == results
        assert question(0) == shown[0].content


def test_cleared_results_stay_cleared(memory) -> None:
    one = memory(ClearToolResults(keep=1, at_least=1))
    for n in range(4):
        call = ToolCallBlock(tool_call_id=f'{n}', tool_name='track', tool_kwargs={'parcel': n})
        extra = {'tool_call_id': f'{n}'}
        one.put_messages(
            [
                ChatMessage(question(n)),
                ChatMessage(role='assistant', blocks=[call]),
                ChatMessage('There it is. ' * 30, role='tool', additional_kwargs=extra),
            ]
        )
        shown = texts(one.get())

    assert 3 == sum('cleared' in text for text in shown)
    assert not any('cleared' in text for text in texts(one.get_all()))


def test_a_summary_takes_the_place_of_old_turns_and_its_cost_is_booked(
    memory, installed, anthropic, posted, wire
) -> None:
    haiku = anthropic('claude-haiku-4-5')
    one = memory(PeriodicSummary(every=2, keep_turns=1, model=haiku))
    engine = SimpleChatEngine.from_defaults(llm=anthropic(), memory=one)

    for n in range(6):
        engine.chat(question(n))
        assert one.driver.flush()

    assert not one.driver.failures
    sent = [said(body) for body in wire.bodies if body['model'] == 'claude-sonnet-4-6'][-1]
    assert question(0) == sent[0]
    assert sent[1].startswith(SUMMARY)
    assert 12 == len(one.get_all())
    made = [entry for entry in posted() if entry.attribution.purpose == 'summary']
    assert made
    assert {'one'} == {entry.attribution.session for entry in made}


def test_what_is_reported_as_saved_is_what_was_saved_though_the_system_text_is_not_seen(
    memory, installed, anthropic, ledger
) -> None:
    rules = [ChatMessage('You are brief. ' * 1_000, role='system')]
    kept = {'whole': ChatMemoryBuffer.from_defaults(token_limit=10**6)}
    kept['window'] = memory(Window(keep_turns=1, every=2))
    for name, one in kept.items():
        engine = SimpleChatEngine.from_defaults(llm=anthropic(), memory=one, prefix_messages=rules)
        with attributed(task=name):
            for n in range(8):
                engine.chat(question(n))

    cost = {row.keys['task']: row.cost for row in ledger.report(by='task').rows}
    (saved,) = [
        row.saved
        for row in ledger.report(by='context_policy').rows
        if row.keys['context_policy'] is not None
    ]
    # Our count of a text is not the provider's: the saving is known by a tenth.
    assert saved == pytest.approx(cost['whole'] - cost['window'], rel=0.1)


def test_without_the_tap_decisions_hang_on_what_llama_index_tells(
    memory, ledger, anthropic
) -> None:
    installed = llama_index_farthing.install(ledger, http_tap=False)
    try:
        one, model = memory(Window(keep_turns=1, every=1)), anthropic()
        for n in range(4):
            one.put(ChatMessage(question(n)))
            one.put(model.chat(one.get()).message)
    finally:
        installed.uninstall()

    rows = {row.keys['context_policy']: row for row in ledger.report(by='context_policy').rows}
    assert ['Window(keep_turns=1, every=1)'] == [*rows]
    assert 4 == rows['Window(keep_turns=1, every=1)'].calls
    assert rows['Window(keep_turns=1, every=1)'].saved > 0


def test_a_summary_is_made_where_nobody_says_that_the_answer_has_come(
    memory, installed, anthropic
) -> None:
    # An engine that looks before it adds the question, so that the request is not recognised.
    haiku = anthropic('claude-haiku-4-5')
    one = memory(PeriodicSummary(every=1, keep_turns=1, summary_tokens=60, model=haiku))

    for n in range(6):
        shown = one.get()
        one.driver.flush()
        one.put_messages(turn(n))

    assert shown[1].content.startswith(SUMMARY)
    assert not one.driver.failures


async def test_an_agent_with_a_memory_sends_valid_prompts_and_books_its_decisions(
    memory, installed, anthropic, wire, ledger
) -> None:
    def track(parcel: int) -> str:
        """Track a parcel."""
        return f'Parcel {parcel} left the depot. ' * 30

    one = memory(Window(keep_turns=1, every=1))
    agent = FunctionAgent(
        llm=anthropic(), tools=[FunctionTool.from_defaults(track)], system_prompt='You are brief.'
    )

    for n in range(5):
        await agent.run(f'Track parcel {n}, please', memory=one)

    assert not one.driver.failures
    assert 10 == len(wire.bodies)
    assert 'Track parcel 0, please' == said(wire.bodies[-1])[0]
    rows = {
        row.keys['context_policy']: row.calls for row in ledger.report(by='context_policy').rows
    }
    assert {'Window(keep_turns=1, every=1)': 10} == rows


@pytest.mark.parametrize('answers', ['', 'ok'])
def test_a_summary_that_fails_loses_no_message(memory, answers) -> None:
    class Silent(MockLLM):
        def chat(self, messages, **_):
            return ChatResponse(message=ChatMessage(answers, role='assistant'))

    one = memory(PeriodicSummary(every=1, keep_turns=1, model=Silent(), rates=HAIKU))
    for n in range(5):
        one.put_messages(turn(n))
        shown = one.get()
        one.driver.flush()

    assert [text for n in range(5) for text in texts(turn(n))] == texts(shown)
    assert {'summary': 1} == dict(one.driver.failures)


def test_what_is_retrieved_stands_at_the_end(memory) -> None:
    one = memory(Window(keep_turns=1, every=1), Select(budget=200))
    one.put_messages(
        [
            ChatMessage('I am Ann.'),
            ChatMessage('Hello', role='assistant'),
            ChatMessage('My dog is called Rex.'),
            ChatMessage('Good', role='assistant'),
        ]
    )
    one.put_messages([*turn(1), *turn(2), ChatMessage('What is the name of my dog?')])

    shown = one.get()

    assert 'called Rex' in shown[-1].content
    assert 'user' == shown[-1].role
    assert 'What is the name of my dog?' == shown[-2].content


def test_a_call_that_repeats_old_messages_has_its_decision(
    memory, installed, anthropic, ledger
) -> None:
    one, llm = memory(Window(keep_turns=1, every=1), Select(budget=200)), anthropic()

    for n in range(4):
        one.put(ChatMessage(question(n)))
        one.put(llm.chat(one.get()).message)

    assert [4] == [row.calls for row in ledger.report(by='context_policy').rows]


async def test_a_block_keeps_what_a_memory_lets_go_until_a_summary_stands_for_it(
    block, closed, installed, anthropic, posted, wire
) -> None:
    one = block(anthropic('claude-haiku-4-5'), every_tokens=600)
    kept = closed(one.in_memory(token_limit=1_200, token_flush_size=300))

    seen = []
    for n in range(12):
        await kept.aput_messages(turn(n))
        assert await one.aflush()
        shown = '\n'.join(texts(await kept.aget()))
        seen.append(shown)
        letters = ''.join(text for body in wire.bodies for text in said(body))
        for number in range(n + 1):
            assert question(number) in shown + letters

    assert {} == one.failures
    assert SUMMARY in seen[-1]
    shown = await kept.aget()
    assert SUMMARY in shown[-2].content  # the last message of the user
    assert {'summary'} == {entry.attribution.purpose for entry in posted()}


async def test_a_block_whose_model_fails_loses_nothing(
    block, closed, sim, installed, anthropic
) -> None:
    one = block(anthropic('claude-haiku-4-5', max_retries=0), every_tokens=200)
    kept = closed(one.in_memory(token_limit=1_200, token_flush_size=300))
    for _ in range(20):
        sim.fault(status=500)

    for n in range(10):
        await kept.aput_messages(turn(n))
        assert await one.aflush()

    shown = '\n'.join(texts(await kept.aget()))
    assert all(question(n) in shown for n in range(10))
    assert {'summary': 1} == one.failures


async def test_a_block_that_two_sessions_share_keeps_them_apart(block, closed) -> None:
    one = block(MockLLM(), every_tokens=10**6)
    memories = [
        closed(
            Memory.from_defaults(
                session_id=name, memory_blocks=[one], insert_method='user', token_limit=600
            )
        )
        for name in ('ann', 'bob')
    ]
    for name, kept in zip(('ann', 'bob'), memories, strict=True):
        for n in range(8):
            await kept.aput_messages([ChatMessage(f'{name} {question(n)}')])

    for name, other, kept in zip(('ann', 'bob'), ('bob', 'ann'), memories, strict=True):
        shown = '\n'.join(texts(await kept.aget()))
        assert f'{name} {question(0)}' in shown
        assert f'{other} Question' not in shown


async def test_tenants_whose_sessions_have_one_name_share_no_text(block) -> None:
    one = block(MockLLM())

    with attributed(tenant='acme'):
        await one._aput(turn(1))
        assert question(1) in await one._aget()
    with attributed(tenant='globex'):
        assert '' == await one._aget()


async def test_a_block_goes_on_in_another_process(block) -> None:
    await block(MockLLM()).aput(turn(0))

    assert question(0) in await block(MockLLM()).aget()
    assert '' == await block(MockLLM(), session='two').aget()


async def test_a_damaged_store_is_counted_and_nothing_is_lost(block, ledger) -> None:
    one = block(MockLLM())
    path = one._running._sessions.path
    await one.aput(turn(0))
    path.write_bytes(b'no database' * 1_000)

    await one.aput(turn(1))
    assert question(1) in await one.aget()
    assert one.failures['unsaved'] == 1

    await asyncio.to_thread(path.unlink)
    await one.aput(turn(2))
    shown = await one.aget()
    assert shown.index(question(1)) < shown.index(question(2))
