"""A session as an adapter lives it: texts in, positions out, the state kept in between."""

from functools import partial

from farthing.context import (
    Chain,
    ClearToolResults,
    Counter,
    History,
    Memory,
    Part,
    Select,
    State,
    Window,
    blocks,
    dump,
    load,
    plan,
)

from .conftest import SETTING

POLICY = Chain(policies=(ClearToolResults(), Window(keep_turns=2, every=3), Select(budget=60)))
KEY = b'a key of the ledger'


def test_what_was_said_long_ago_is_sent_again_when_it_is_asked_about() -> None:
    counter, memory = Counter('anthropic', 'claude-sonnet-4-6'), Memory()
    said, state, sent = [Part(kind='system', text='You help.')], State(), []
    for question in (
        'I am Ann, and my dog is called Rex.',
        'What is the weather in Graz?',
        'And in Linz?',
        'Which train goes there?',
        'Is there a later one?',
        'Book it, please.',
        'What is the name of my dog?',
    ):
        said.append(Part(kind='user', text=question))
        counted = blocks(said, counter.tokens, key=KEY)
        for part, block in zip(said[len(memory) :], counted[len(memory) :], strict=True):
            memory.add(part.text, block.tokens)
        history = History(blocks=counted, find=partial(memory.find, question), limit=10_000)
        planned = plan(POLICY, history, load(dump(state)), SETTING)
        state = planned.state
        sent = [said[at].text for at in (*planned.view.kept, *planned.view.retrieved)]
        said.append(Part(kind='assistant', text=f'About "{question}": yes.'))

    # The head, what has been said since the trim one turn ago, and what the memory finds.
    assert ['You help.', 'I am Ann, and my dog is called Rex.'] == sent[:2]
    assert 'Which train goes there?' == sent[2]
    assert 'What is the name of my dog?' == sent[8]
    assert 'About "I am Ann, and my dog is called Rex.": yes.' in sent[9:]


def test_the_state_that_is_stored_holds_no_text() -> None:
    secret = 'the patient is called Ann'
    counter = Counter('openai', 'gpt-4o')
    said = [Part(kind='user', text=f'{secret} {n}') for n in range(1)]
    for n in range(12):
        said += [Part(kind='assistant', text=secret), Part(kind='user', text=f'{secret} {n}')]
    history = History(blocks=blocks(said, counter.tokens, key=KEY))
    state = plan(Window(keep_turns=1, every=1), history, State(), SETTING).state

    assert state.cut
    assert b'Ann' not in dump(state)
    assert history.blocks[0].digest != blocks(said, counter.tokens, key=b'another')[0].digest
