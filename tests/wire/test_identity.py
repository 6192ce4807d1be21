"""Requests that differ in what they say about caches are one, and others are not."""

from farthing.wire.identity import identity

MARK = {'cache_control': {'type': 'ephemeral', 'ttl': '1h'}}


def test_marks_make_no_difference() -> None:
    plain = {
        'model': 'm',
        'system': 'rules',
        'tools': [{'name': 'find', 'input_schema': {'properties': {'cache_control': {}}}}],
        'messages': [
            {'role': 'user', 'content': 'one'},
            {'role': 'user', 'content': [{'type': 'tool_result', 'content': 'found'}]},
        ],
    }
    marked = plain | MARK | {
        'diagnostics': {'previous_message_id': 'msg_1'},
        'system': [{'type': 'text', 'text': 'rules'} | MARK],
        'tools': [plain['tools'][0] | MARK],
        'messages': [
            {'role': 'user', 'content': [{'type': 'text', 'text': 'one'} | MARK]},
            {
                'role': 'user',
                'content': [
                    {'type': 'tool_result', 'content': [{'type': 'text', 'text': 'found'} | MARK]}
                ],
            },
        ],
    }  # fmt: skip

    assert plain == identity(plain) == identity(marked)


def test_marks_of_openai_make_none_either() -> None:
    part = {'type': 'input_text', 'text': 'one', 'prompt_cache_breakpoint': {'mode': 'explicit'}}
    marked = {
        'input': [{'role': 'user', 'content': [part]}],
        'prompt_cache_key': 'k',
        'prompt_cache_options': {'mode': 'explicit'},
    }

    assert {'input': [{'role': 'user', 'content': 'one'}]} == identity(marked)


def test_what_changes_an_answer_makes_one() -> None:
    image = {'role': 'user', 'content': [{'type': 'image', 'text': 'one'}]}
    bodies = [
        {'messages': [{'role': 'user', 'content': 'one'}]},
        {'messages': [{'role': 'user', 'content': ['one', 'two']}]},
        {'messages': [image]},
        {'messages': [{'role': 'assistant', 'content': 'one'}]},
        {'messages': [], 'temperature': 0},
        {'messages': []},
    ]

    assert len(bodies) == len({repr(identity(body)) for body in bodies})
