"""Marks of the simulated Messages API, what breaks the prefix before one, and warming."""

import anthropic
import pytest

from .prompts import EPHEMERAL, HOUR, MODEL, assistant, text, told, user

# --- what breaks a prefix ---------------------------------------------------------------------

TOOL = {'name': 'lookup', 'description': text(1_500)['text'], 'input_schema': {'type': 'object'}}
SEARCH = {'type': 'web_search_20250305', 'name': 'web_search'}
IMAGE = {'type': 'base64', 'media_type': 'image/png', 'data': 'iVBORw0KGgo='}


@pytest.mark.parametrize(('change', 'survivors'), [
    ({}, 3),
    ({'tool_choice': {'type': 'auto'}}, 3),
    ({'output_config': {'effort': 'high'}}, 3),
    ({'thinking': {'type': 'disabled'}}, 3),
    ({'metadata': {'user_id': 'someone'}}, 3),
    ({'extra_body': {'temperature': 0.5}}, 3),
    ({'tool_choice': {'type': 'none'}}, 2),
    ({'output_config': {'effort': 'low'}}, 2),
    ({'thinking': {'type': 'enabled', 'budget_tokens': 1_024}, 'max_tokens': 2_000}, 2),
    ({'messages': [user(text(600, 'other', mark=EPHEMERAL))]}, 2),
    ({'messages': [user(text(600, mark=EPHEMERAL), {'type': 'image', 'source': IMAGE})]}, 2),
    ({'system': [text(1_000, 'other', mark=EPHEMERAL)]}, 1),
    ({'extra_body': {'speed': 'fast'}}, 1),
    ({'tools': [TOOL | {'cache_control': EPHEMERAL}, SEARCH]}, 1),
    ({'tools': [TOOL | {'description': 'Another.', 'cache_control': EPHEMERAL}]}, 0),
])  # fmt: skip
def test_a_change_breaks_its_tier_and_those_behind_it(client, change, survivors):
    asked = {
        'model': MODEL,
        'max_tokens': 20,
        'tools': [TOOL | {'cache_control': EPHEMERAL}],
        'system': [text(1_000, mark=EPHEMERAL)],
        'messages': [user(text(600, mark=EPHEMERAL))],
    }
    client.messages.create(**asked)
    ends = [0, tools_end(client, asked)]
    ends += [ends[1] + 1_000, ends[1] + 1_600]

    assert ends[survivors] == client.messages.create(**asked | change).usage.cache_read_input_tokens


def tools_end(client, asked):
    """Tokens of the tools alone: a message of one word counts one, and three of framing."""
    counted = client.messages.count_tokens(
        model=MODEL, tools=asked['tools'], messages=[user(text(1))]
    )
    return counted.input_tokens - 4


@pytest.mark.filterwarnings('ignore:The model .* is deprecated:DeprecationWarning')
@pytest.mark.parametrize(('model', 'kept'), [
    ('claude-haiku-4-5', False), ('claude-sonnet-4-5', False), ('claude-opus-4-1', False),
    ('claude-opus-4-5', True), ('claude-sonnet-4-6', True), ('claude-opus-5-5', True),
])  # fmt: skip
def test_older_models_forget_their_thinking_when_the_user_speaks_again(ask, model, kept):
    thinking = {'type': 'thinking', 'thinking': text(500)['text'], 'signature': 'any'}
    call = {'type': 'tool_use', 'id': 'toolu_1', 'name': 'f', 'input': {}}
    result = {'type': 'tool_result', 'tool_use_id': 'toolu_1', 'content': 'Nothing.'}
    loop = [user(text(4_200, mark=EPHEMERAL)), assistant(thinking, call)]
    written = ask(*loop, user(result | {'cache_control': EPHEMERAL}), model=model)[1]
    again = [*loop, user(result), assistant(text(5)), user(text(5, 'more', mark=EPHEMERAL))]

    # What stands before the first block that is forgotten stays.
    rest, _, _, read = ask(*again, model=model)
    assert (3, written if kept else 4_200) == (rest, read)


# --- marks ------------------------------------------------------------------------------------


def test_the_automatic_mark_follows_the_conversation(ask):
    first = user(text(2_000))

    assert (3, 2_000, 0, 0) == ask(first, cache_control=EPHEMERAL)
    longer = [first, assistant(text(10)), user(text(100, 'beta'))]
    assert (3, 116, 0, 2_000) == ask(*longer, cache_control=EPHEMERAL)
    assert (3, 0, 116, 2_000) == ask(
        first, assistant(text(10)), user(text(100, 'gamma')), cache_control=HOUR
    )


def test_the_automatic_mark_walks_back_to_a_block_that_can_carry_it(ask):
    asked = user(text(2_000), {'type': 'text', 'text': ''})

    assert (3, 2_000, 0, 0) == ask(asked, cache_control=EPHEMERAL)


def test_an_automatic_mark_beside_the_same_explicit_one_changes_nothing(ask):
    marked = user(text(2_000, mark=HOUR))

    assert (3, 0, 2_000, 0) == ask(marked, cache_control=HOUR)


CODE = {'type': 'tool_use', 'id': 'toolu_1', 'name': 'f', 'input': {},
        'caller': {'type': 'code_execution_20250825', 'tool_id': 'srvtoolu_1'}}  # fmt: skip
RESULT = {'type': 'tool_result', 'tool_use_id': 'toolu_1', 'content': 'x'}
THOUGHT = {'type': 'thinking', 'thinking': 'Well.', 'signature': 'any'}
MARKED = {'cache_control': EPHEMERAL}


@pytest.mark.parametrize(('asked', 'reason'), [
    ({'system': [text(1, mark=EPHEMERAL)] * 4, **MARKED}, 'Found 5.'),
    ({'system': [text(1, mark=EPHEMERAL)], 'messages': [user(text(1, mark=HOUR))]},
     r"messages\.0\.content\.0\.cache_control\.ttl: a ttl='1h' .* must not come after a ttl='5m'"),
    ({'tools': [TOOL | MARKED], 'system': [text(1, mark=HOUR)]}, "after a ttl='5m'"),
    ({'system': [text(1, mark=EPHEMERAL)], 'cache_control': HOUR}, "after a ttl='5m'"),
    ({'messages': [user(text(1, mark=HOUR))], **MARKED}, 'Top-level cache_control'),
    ({'system': [text(1, mark={'type': 'forever'})]}, 'ephemeral'),
    ({'system': [text(1, mark={'type': 'ephemeral', 'ttl': '2h'})]}, '2h'),
    ({'messages': [user(text(0, mark=EPHEMERAL))]}, r'content\.0\.text: cache_control cannot be'),
    ({'messages': [user(text(1)), assistant(THOUGHT | MARKED), user(text(1))]}, 'thinking'),
    ({'tools': [TOOL | MARKED | {'defer_loading': True}]}, 'loaded later'),
    ({'messages': [user(text(1)), assistant(CODE | MARKED), user(RESULT)]}, 'code execution'),
    ({'messages': [user(text(1)), assistant(CODE), user(RESULT | MARKED)]}, 'code execution'),
])  # fmt: skip
def test_marks_that_the_provider_refuses_are_refused(client, ask, asked, reason):
    with pytest.raises(anthropic.BadRequestError, match=reason):
        ask(**{'messages': [user(text(1))]} | asked)


# --- warming ----------------------------------------------------------------------------------


def test_no_tokens_asked_for_fills_the_cache_and_says_nothing(client, ask):
    system = [text(2_000, mark=EPHEMERAL)]
    warmed = client.messages.create(
        model=MODEL, max_tokens=0, system=system, messages=[user(text(1))]
    )

    assert ([], 'max_tokens', 0) == (warmed.content, warmed.stop_reason, warmed.usage.output_tokens)
    assert (4, 2_000, 0, 0) == told(warmed)
    assert (53, 0, 0, 2_000) == ask(user(text(50)), system=system)


def test_warming_searches_for_nothing(client):
    warmed = client.messages.create(
        model=MODEL,
        max_tokens=0,
        tools=[SEARCH],
        messages=[{'role': 'user', 'content': 'Search the web for the news.'}],
    )

    assert 0 == warmed.usage.server_tool_use.web_search_requests


@pytest.mark.parametrize('asked', [
    {'stream': True},
    {'tools': [TOOL], 'tool_choice': {'type': 'any'}},
    {'output_config': {'format': {'type': 'json_schema', 'schema': {'type': 'object'}}}},
    {'thinking': {'type': 'enabled', 'budget_tokens': 1_024}},
])  # fmt: skip
def test_warming_is_refused_where_an_answer_would_be_needed(client, asked):
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=MODEL, max_tokens=0, messages=[user(text(1))], **asked)
