"""Marks are set on a copy, change nothing else, and stay where the provider takes them.

Each of the peers' defects that users ran into is a test here.
"""

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import PriceBook
from farthing.caching.block import SECONDS, prefixes
from farthing.caching.place import MOST_MARKS, Mark
from farthing.caching.plan import Plan, plan
from farthing.caching.rates import rates
from farthing.caching.state import InMemory
from farthing.context.writing import RECALLED
from farthing.wire import anthropic_marks, openai_marks
from farthing.wire.marking import MARKINGS

from .shapes import DAY

LONG = 'word ' * 3_000
SONNET = rates(PriceBook.load(), 'anthropic', 'claude-sonnet-4-5', DAY)
SOL = rates(PriceBook.load(), 'openai', 'gpt-5.6-sol', DAY)


def anthropic(**changes):
    return {
        'model': 'claude-sonnet-4-5',
        'max_tokens': 100,
        'tools': [{'name': 'find', 'input_schema': {'type': 'object'}}],
        'system': LONG,
        'messages': [{'role': 'user', 'content': 'Where is it?'}],
    } | changes


def openai(**changes):
    return {
        'model': 'gpt-5.6-sol',
        'tools': [{'type': 'function', 'function': {'name': 'find'}}],
        'messages': [
            {'role': 'system', 'content': LONG},
            {'role': 'user', 'content': 'Where is it?'},
        ],
    } | changes


def planned(payload, memory=None, at=0.0):
    family = anthropic_marks if payload['model'].startswith('claude') else openai_marks
    found = SONNET if family is anthropic_marks else SOL
    memory = memory or InMemory()
    made = plan(family.prompt(payload), found, memory, at)
    memory.learn(made.learned)
    return family.marked(payload, made), made


def marks_in(value):
    """Every mark in a payload, in order."""
    if isinstance(value, dict):
        own = [
            value[name] for name in ('cache_control', 'prompt_cache_breakpoint') if name in value
        ]
        return own + [mark for one in value.values() for mark in marks_in(one)]
    return [mark for one in value for mark in marks_in(one)] if isinstance(value, list) else []


def test_text_is_kept_where_a_system_list_ends_in_a_plain_string():
    payload = anthropic(system=[{'type': 'text', 'text': 'Rules.'}, LONG])

    sent, _ = planned(payload)

    mark = {'cache_control': {'type': 'ephemeral'}}
    assert [{'type': 'text', 'text': 'Rules.'}, {'type': 'text', 'text': LONG} | mark] == (
        sent['system']
    )


def test_a_tool_that_is_a_dict_can_be_marked():
    made = Plan(marks=(Mark(path=('tools', 0), position=0, lifetime='1h', saving=0, reason=''),))

    sent = anthropic_marks.marked(anthropic(), made)

    assert {'type': 'ephemeral', 'ttl': '1h'} == sent['tools'][0]['cache_control']


def test_the_callers_objects_are_not_touched():
    for payload in (anthropic(), openai()):
        before = deepcopy(payload)
        sent, made = planned(payload)
        assert before == payload
        assert sent != payload
        assert made.marks or made.key


def test_what_is_cached_already_is_marked_again():
    memory = InMemory()
    first, _ = planned(anthropic(), memory)
    again, _ = planned(anthropic(), memory, at=20)

    assert len(marks_in(again)) >= 1
    assert marks_in(first)


def test_openai_never_gets_a_mark_of_anthropics():
    text = {'type': 'text', 'text': 'Where?', 'cache_control': {'type': 'ephemeral'}}
    payload = openai(messages=[{'role': 'user', 'content': [text], 'cache_control': {}}])

    sent, _ = planned(payload)

    assert 'cache_control' not in json.dumps(sent)
    assert 'Where?' in json.dumps(sent)


def test_anthropic_never_gets_a_mark_of_openais():
    text = {'type': 'text', 'text': 'Where?', 'prompt_cache_breakpoint': {'mode': 'explicit'}}
    payload = anthropic(messages=[{'role': 'user', 'content': [text]}], prompt_cache_key='k')

    sent, _ = planned(payload)

    assert 'prompt_cache' not in json.dumps(sent)


@pytest.mark.parametrize(
    'block',
    [
        {'type': 'thinking', 'thinking': 'hm', 'signature': 's'},
        {'type': 'redacted_thinking', 'data': 'x'},
        {'type': 'text', 'text': ''},
        {'type': 'text', 'text': '  '},
        {'type': 'text', 'text': f'{RECALLED} The dog is called Rex.'},
        {'type': 'server_tool_use', 'id': '1', 'name': 'code_execution', 'input': {}},
        {'type': 'code_execution_tool_result', 'tool_use_id': '1', 'content': {}},
        {
            'type': 'tool_use', 'id': '1', 'name': 'find', 'input': {},
            'caller': {'type': 'code_execution_20250825', 'tool_id': 't'},
        },
    ],
)  # fmt: skip
def test_a_block_that_refuses_marks_gets_none(block):
    prompt = anthropic_marks.prompt(anthropic(messages=[{'role': 'user', 'content': [block]}]))

    assert not prompt.blocks[-1].markable


def test_a_text_that_no_later_prompt_holds_gets_no_mark():
    said = [{'role': 'user', 'content': f'{RECALLED} The dog is called Rex.'}]

    assert not anthropic_marks.prompt(anthropic(messages=said)).blocks[-1].markable


def test_deferred_tools_and_later_system_messages_get_no_mark():
    tools = [{'name': 'find', 'input_schema': {}, 'defer_loading': True}]
    later = [{'role': 'user', 'content': 'Hi'}, {'role': 'system', 'content': 'Be brief.'}]

    blocks = anthropic_marks.prompt(anthropic(tools=tools, messages=later)).blocks

    assert [False, True, True, False] == [block.markable for block in blocks]


def test_a_string_and_a_list_of_one_text_block_are_the_same_prefix():
    for family, listed, plain in (
        (anthropic_marks, anthropic(system=[{'type': 'text', 'text': LONG}]), anthropic()),
        (
            openai_marks,
            openai(messages=[{'role': 'user', 'content': [{'type': 'text', 'text': 'Hi'}]}]),
            openai(messages=[{'role': 'user', 'content': 'Hi'}]),
        ),
    ):
        assert prefixes(family.prompt(plain)) == prefixes(family.prompt(listed))


def test_a_message_that_was_changed_in_place_is_another_prefix():
    payload = anthropic()
    before = prefixes(anthropic_marks.prompt(payload))
    payload['messages'][0]['content'] = 'Where is it now?'
    after = prefixes(anthropic_marks.prompt(payload))

    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_the_choice_of_tools_breaks_the_messages_only():
    plain = prefixes(anthropic_marks.prompt(anthropic()))
    chosen = prefixes(anthropic_marks.prompt(anthropic(tool_choice={'type': 'any'})))

    assert [True, True, False] == [a == b for a, b in zip(plain, chosen, strict=True)]


@pytest.mark.parametrize(
    'changes',
    [{'messages': 'x'}, {'messages': [1]}, {'tools': 'x'}, {'system': 5}, {'system': [object()]}],
)
def test_what_cannot_be_read_goes_out_as_it_is_with_a_reason(changes):
    sent, made = planned(anthropic(**changes))

    assert 'malformed' == made.unmarked
    assert made.reason
    assert anthropic(**changes).keys() == sent.keys()
    assert not made.marks


def test_an_unknown_model_goes_out_unmarked():
    made = plan(anthropic_marks.prompt(anthropic(model='claude-x')), None, InMemory(), 0)

    assert ('unknown_model', ()) == (made.unmarked, made.marks)


def test_a_model_before_gpt_5_6_gets_a_key_and_nothing_else():
    payload = openai(model='gpt-4o')
    found = rates(PriceBook.load(), 'openai', 'gpt-4o', DAY)
    made = plan(openai_marks.prompt(payload), found, InMemory(), 0)

    sent = openai_marks.marked(payload, made)

    assert {'prompt_cache_key'} == sent.keys() - payload.keys()
    assert [] == marks_in(sent)


def test_every_api_is_marked_by_its_own_module():
    assert {'anthropic_messages', 'openai_chat', 'openai_responses'} == MARKINGS.keys()


TEXTS = st.sampled_from(['', ' ', 'Hi', 'Look at this.', LONG])
TTLS = st.sampled_from([None, '5m', '1h'])


def control(ttl):
    return {} if ttl is None else {'cache_control': {'type': 'ephemeral', 'ttl': ttl}}


BLOCKS = st.one_of(
    TEXTS,
    st.builds(lambda text: {'type': 'text', 'text': text}, TEXTS),
    st.builds(lambda text: {'type': 'tool_result', 'tool_use_id': 't', 'content': text}, TEXTS),
    st.just({'type': 'thinking', 'thinking': 'hm', 'signature': 's'}),
)
CONTENTS = st.one_of(TEXTS, st.lists(BLOCKS, max_size=30))
MESSAGES = st.lists(
    st.builds(
        lambda role, content: {'role': role, 'content': content},
        st.sampled_from(['user', 'assistant']),
        CONTENTS,
    ),
    max_size=6,
)
OWN = st.lists(TTLS, max_size=4).map(
    lambda ttls: sorted((one for one in ttls if one), key=SECONDS.__getitem__, reverse=True)
)


def without_marks(value):
    """The payload with its marks taken off and plain text written as blocks."""
    if isinstance(value, list):
        return [without_marks(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: without_marks(one)
        for key, one in value.items()
        if key not in {'cache_control', 'prompt_cache_breakpoint'}
    }
    for name in ('content', 'system'):
        if name in kept:
            listed = kept[name] if isinstance(kept[name], list) else [kept[name]]
            kept[name] = [
                {'type': 'text', 'text': one} if isinstance(one, str) else one for one in listed
            ]
    return kept


@given(CONTENTS, MESSAGES, OWN, st.lists(st.sampled_from([1, 90, 700, 4_000]), max_size=4))
def test_a_plan_changes_nothing_but_marks(system, messages, own, gaps):
    asked = [{'type': 'text', 'text': f'mine {n}', **control(ttl)} for n, ttl in enumerate(own)]
    payload = anthropic(system=[*asked, *(system if isinstance(system, list) else [system])])
    payload['messages'] = messages
    memory, at = InMemory(), 0.0
    for gap in (0, *gaps):
        at += gap
        sent, made = planned(payload, memory, at)

        assert without_marks(payload) == without_marks(sent)
        lives = [SECONDS[mark.get('ttl', '5m')] for mark in marks_in(sent)]
        assert len(lives) <= MOST_MARKS
        assert sorted(lives, reverse=True) == lives, 'a longer lifetime follows a shorter one'
        assert sent == anthropic_marks.marked(sent, made)
        blocks = anthropic_marks.prompt(payload).blocks
        assert all(blocks[mark.position].markable for mark in made.marks)
        assert all(0 <= mark.position < len(blocks) for mark in made.marks)
        own_kept = [
            block['cache_control']
            for block in sent['system']
            if 'mine' in str(block) and 'cache_control' in block
        ]
        assert len(own) <= len(own_kept)


@given(MESSAGES, st.lists(st.sampled_from([1, 90, 700, 4_000]), max_size=6))
def test_openais_plan_changes_nothing_but_marks_and_options(messages, gaps):
    payload = openai(messages=[{'role': 'system', 'content': LONG}, *messages])
    memory, at = InMemory(), 0.0
    for gap in (0, *gaps):
        at += gap
        sent, made = planned(payload, memory, at)
        bare = {key: value for key, value in sent.items() if not key.startswith('prompt_cache_')}
        assert without_marks(payload) == without_marks(bare)
        assert len(marks_in(sent)) <= MOST_MARKS
        if made.mode == 'explicit':
            assert marks_in(sent) or not made.cold
