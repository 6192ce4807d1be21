"""Context control inside `create_agent`: real agents, real models, the simulated providers."""

from itertools import pairwise

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from tests.langchain.context import (
    RECALLED,
    START_S,
    SUMMARY,
    Chat,
    asked,
    common,
    question,
    summaries,
    texts,
    track_parcel,
    unpaired,
    weigh_parcel,
)

from langchain_farthing import ClearToolResults, PeriodicSummary, Select, ServerCompaction, Window
from langchain_farthing.conversation import PICTURE_TOKENS, part_of


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def haiku(claude):
    return claude(model='claude-haiku-4-5')


@pytest.fixture
def chat(claude, ledger, handler, sim):
    def made(*policies, **options) -> Chat:
        model = options.pop('model', None) or claude()
        return Chat(model, *policies, ledger=ledger, handler=handler, sim=sim, **options)

    return made


def test_a_window_trims_what_is_sent_and_nothing_of_the_thread(chat, wire) -> None:
    one = chat(Window(keep_turns=2, every=3))

    one.say(*(f'Question {n}' for n in range(8)))

    sent = texts(wire.bodies[-1])
    assert 'Question 0' == sent[0]
    assert 'Question 7' == sent[-1]
    assert not [text for text in sent if text in ('Question 1', 'Question 2')]
    assert 16 == len(one.history())
    assert not one.driver.failures


def test_a_summary_is_made_after_the_answer_and_taken_by_a_later_call(
    chat, wire, entries, haiku
) -> None:
    one = chat(PeriodicSummary(every=3, keep_turns=2, model=haiku))

    one.say(*map(question, range(8)))

    assert not one.driver.failures
    assert {'user', 'summary'} == {entry.attribution.purpose for entry in entries()}
    assert ['one'] == list({entry.attribution.session for entry in entries()})
    sent = texts(asked(wire)[-1])
    assert question(0) == sent[0]
    assert sent[1].startswith(SUMMARY)
    assert 16 == len(one.history())


def test_tool_calls_keep_their_results_and_results_their_calls(chat, wire) -> None:
    one = chat(Window(keep_turns=1, every=1), tools=[track_parcel, weigh_parcel])

    one.say(*(f'Track and weigh parcel {n}, please' for n in range(6)))

    assert any('tool_use' in str(body) for body in wire.bodies)
    assert [[]] * len(wire.bodies) == [unpaired(body) for body in wire.bodies]
    assert 'Track and weigh parcel 0, please' == texts(wire.bodies[-1])[0]


def test_old_tool_results_are_cleared_once_and_stay_so(chat, wire) -> None:
    one = chat(ClearToolResults(keep=2, at_least=900), tools=[track_parcel])

    one.say(*(f'Track parcel {n}, please' for n in range(9)))

    prompts = [texts(body) for body in wire.bodies]
    rewrites = sum(common(a, b) < len(a) for a, b in pairwise(prompts))
    assert 'cleared' in prompts[-1][2]
    assert 'Parcel 8' in prompts[-1][-1]
    # Nine results of 360 tokens: two stay, and three at a time are cleared.
    assert rewrites in (2, 3)
    assert not [message for message in one.history() if 'cleared' in str(message.content)]


def test_a_long_run_after_one_request_is_summed_up_by_a_model_that_sees_it(
    chat, wire, haiku
) -> None:
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=haiku), tools=[track_parcel])

    one.say(*(f'Track parcel {n}, please' for n in range(8)))

    seen = ''.join(texts(body)[0] for body in summaries(wire))
    assert {f'Parcel {n} left the depot' in seen for n in range(1, 5)} == {True}
    # The earlier summary is taken up as such, and none is ever part of the conversation.
    later = [texts(body)[0] for body in summaries(wire)[1:]]
    assert later
    assert all(one.startswith('<earlier_summary>') for one in later)
    assert not [one for one in later if SUMMARY in one]


def test_each_message_is_summed_up_once(chat, wire, haiku) -> None:
    one = chat(PeriodicSummary(every=2, keep_turns=1, model=haiku))

    one.say(*map(question, range(10)))

    letters = [texts(body)[0] for body in summaries(wire)]
    for number in range(1, 7):
        assert 1 == sum(f'Question {number}: ' in one for one in letters)
    assert len(letters) <= 5


def test_what_is_retrieved_stands_at_the_end_and_never_in_the_system_text(chat, wire) -> None:
    one = chat(Window(keep_turns=1, every=1), Select(budget=300))

    one.say(
        'I am Ann.',
        'My dog is called Rex and he likes parcels.',
        'What is the weather in Graz?',
        'And in Linz?',
        'What is the name of my dog?',
    )

    last = wire.bodies[-1]
    assert texts(last)[-1].startswith(RECALLED)
    assert 'called Rex' in texts(last)[-1]
    assert 'What is the name of my dog?' == texts(last)[-2]
    assert 'Rex' not in str(last['system'])


async def test_async_calls_send_what_sync_calls_send(chat, wire, haiku) -> None:
    policy = PeriodicSummary(every=2, keep_turns=1, model=haiku)
    sync, awaited = chat(policy, thread='sync'), chat(policy, thread='async')

    sync.say(*map(question, range(7)))
    first = [texts(body) for body in wire.bodies]
    wire.bodies.clear()
    await awaited.asay(*map(question, range(7)))

    assert first == [texts(body) for body in wire.bodies]
    assert not sync.driver.failures + awaited.driver.failures


def test_another_process_goes_on_where_this_one_stopped(chat, wire, haiku) -> None:
    policy, saver = PeriodicSummary(every=2, keep_turns=1, model=haiku), InMemorySaver()
    chat(policy, saver=saver).say(*map(question, range(6)))
    before = texts(asked(wire)[-1])

    chat(policy, saver=saver).say('And now?')

    after = texts(asked(wire)[-1])
    assert after[1].startswith(SUMMARY)
    assert common(before, after) >= 2


def test_sessions_and_tenants_never_share_text(chat, wire, haiku) -> None:
    policy = PeriodicSummary(every=2, keep_turns=1, model=haiku)
    ann = chat(policy, metadata={'tenant': 'acme'})
    bob = chat(policy, metadata={'tenant': 'globex'})

    for n in range(6):
        ann.say(f'Ann {n}: ' + question(n) if n else question(0))
        bob.say(f'Bob {n}: ' + question(n) if n else question(0))

    assert not [body for body in wire.bodies if 'Ann ' in str(body) and 'Bob ' in str(body)]
    assert 2 <= len(summaries(wire))


def test_agents_without_a_thread_are_known_by_how_they_began(chat, wire) -> None:
    one = chat(Window(keep_turns=1, every=2))
    del one.config['configurable']['thread_id']
    one.agent.checkpointer = None
    said = []
    for n in range(7):
        asked_now = [*said, ('user', f'Question {n}')]
        said = one.agent.invoke({'messages': asked_now}, one.config)['messages']

    lengths = [len(texts(body)) for body in wire.bodies]
    # It trims two turns at a time, as it does where it has a thread.
    assert [1, 3, 5, 4, 6, 4, 6] == lengths


def test_the_hard_limit_holds_within_one_turn(chat, wire, sim) -> None:
    one = chat(Window(), tools=[track_parcel, weigh_parcel], limit=1_500)

    one.say(*(f'Track and weigh parcel {n}, please' for n in range(4)))

    used = [entry['usage'] for entry in sim.log()]
    assert not one.driver.failures
    assert [[]] * len(wire.bodies) == [unpaired(body) for body in wire.bodies]
    # Our own counts are estimates, and 15 percent high for this provider's tokenizer.
    assert max(one['input_tokens'] + one['cache_read_input_tokens'] for one in used) <= 1_500


def test_the_providers_own_compaction_is_switched_on(chat, wire) -> None:
    one = chat(ServerCompaction(at_tokens=60_000))

    one.say('Hello')

    trigger = {'type': 'input_tokens', 'value': 60_000}
    edits = [{'type': 'compact_20260112', 'trigger': trigger}]
    assert {'edits': edits} == wire.bodies[-1]['context_management']


def test_the_responses_api_is_asked_to_compact_and_no_other_of_openai(chat, wire, gpt) -> None:
    for number, responses in enumerate((True, False)):
        model = gpt(use_responses_api=responses)
        chat(ServerCompaction(), model=model, thread=f'{number}', marks=False).say('Hello')

    compaction = {'type': 'compaction', 'compact_threshold': 150_000}
    assert [[compaction], None] == [body.get('context_management') for body in wire.bodies]


def test_a_history_that_the_provider_keeps_is_left_to_it(chat, gpt, wire) -> None:
    model = gpt(use_responses_api=True, use_previous_response_id=True)
    one = chat(Window(keep_turns=1, every=1), model=model, marks=False)

    one.say('One', 'Two', 'Three')

    assert {'unreadable_call': 3} == dict(one.driver.failures)


def test_arguments_thoughts_and_pictures_are_counted() -> None:
    call = {'name': 'track', 'args': {'parcel': 'x' * 400}, 'id': 'a'}
    thought = {'type': 'thinking', 'thinking': 'hm ' * 100, 'signature': 's'}
    picture = {'type': 'image', 'source': {'type': 'base64', 'data': 'x' * 9_000}}
    made = part_of(AIMessage([thought, 'So.'], tool_calls=[call]))
    answered = part_of(ToolMessage('There', tool_call_id='a'))

    assert ('tool_call', ('a',)) == (made.kind, made.call_ids)
    assert ('tool_result', ('a',)) == (answered.kind, answered.call_ids)
    assert 'x' * 400 in made.text
    assert 'hm ' * 100 in made.text
    seen = part_of(HumanMessage([picture, {'type': 'text', 'text': 'What is it?'}]))
    assert ('What is it?', PICTURE_TOKENS) == (seen.text, seen.other_tokens)
