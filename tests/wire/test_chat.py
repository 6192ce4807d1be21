"""Recorded conversations in OpenAI's chat format."""

import pytest

from farthing.context import Part
from farthing.errors import InputError
from farthing.wire import chat


def test_all_that_is_sent_is_read_tool_arguments_and_thoughts_included() -> None:
    call = {'id': 'c1', 'type': 'function', 'function': {'name': 'look', 'arguments': '{"n":1}'}}
    messages = [
        {'role': 'developer', 'content': 'Be brief.'},
        {'role': 'user', 'content': [{'type': 'text', 'text': 'Look '}, 'it up.']},
        {'role': 'assistant', 'reasoning_content': 'Hm. ', 'content': None, 'tool_calls': [call]},
        {'role': 'tool', 'tool_call_id': 'c1', 'content': 'found'},
        {'role': 'assistant', 'content': [{'type': 'refusal', 'refusal': 'No.'}]},
    ]

    assert [
        Part(kind='system', text='Be brief.'),
        Part(kind='user', text='Look it up.'),
        Part(kind='tool_call', text='Hm. look{"n":1}', call_ids=('c1',)),
        Part(kind='tool_result', text='found', call_ids=('c1',)),
        Part(kind='assistant', text='No.'),
    ] == list(chat.parts(messages))


def test_the_older_format_has_calls_and_results_without_ids() -> None:
    messages = [
        {'role': 'assistant', 'function_call': {'name': 'look', 'arguments': '{}'}},
        {'role': 'function', 'name': 'look', 'content': 'found'},
    ]

    assert [
        Part(kind='tool_call', text='look{}'),
        Part(kind='tool_result', text='found'),
    ] == list(chat.parts(messages))


@pytest.mark.parametrize(
    ('messages', 'said'),
    [
        ('hello', '`messages` is a str'),
        ([{'role': 'clown'}], "message 1: the role is 'clown': expected one of system"),
        ([{'role': 'user', 'content': 'a'}, 7], 'message 2: the role is 7'),
        (
            [{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'x'}}]}],
            "content of the type 'image_url' cannot be counted",
        ),
        ([{'role': 'user', 'content': 7}], "content of the type 'int' cannot be counted"),
    ],
)
def test_what_cannot_be_counted_is_refused_and_not_taken_for_nothing(messages, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(chat.parts(messages))
