"""What is marked, for how long, and what is left alone."""

from dataclasses import replace

import pytest

from farthing import PriceBook, Usage
from farthing.caching.block import prefixes
from farthing.caching.plan import plan, usage_lesson
from farthing.caching.rates import rates
from farthing.caching.state import InMemory
from farthing.wire import anthropic_marks, openai_marks

from .shapes import DAY

RULES = 'word ' * 3_000
SONNET = rates(PriceBook.load(), 'anthropic', 'claude-sonnet-4-5', DAY)
SOL = rates(PriceBook.load(), 'openai', 'gpt-5.6-sol', DAY)
TOOLS = [{'name': 'find', 'input_schema': {'type': 'object'}}]


def anthropic(*contents, system=RULES, tools=TOOLS, **changes):
    """A conversation of these contents, the user first."""
    payload = {
        'model': 'claude-sonnet-4-5',
        'system': system,
        'tools': tools,
        'messages': [
            {'role': 'assistant' if at % 2 else 'user', 'content': content}
            for at, content in enumerate(contents)
        ],
    }
    return anthropic_marks.prompt(payload | changes)


def sent(memory, prompt, at, found=SONNET, **options):
    made = plan(prompt, found, memory, at, **options)
    memory.learn(made.learned)
    return made


def paths(made):
    return [(mark.path, mark.lifetime) for mark in made.marks]


def test_rates_come_from_the_price_book():
    assert (3_000_000, 300_000, {'5m': 3_750_000, '1h': 6_000_000}) == (
        SONNET.input,
        SONNET.read,
        SONNET.writes,
    )
    fable = rates(PriceBook.load(), 'anthropic', 'claude-fable-5-2', DAY)
    assert 0.025 == fable.read / fable.input
    assert {'30m': 5_000_000} == SOL.writes
    assert {} == rates(PriceBook.load(), 'openai', 'gpt-4o', DAY).writes
    assert rates(PriceBook.load(), 'openai', 'gpt-x', DAY) is None


def test_an_agents_first_request_is_marked_and_says_that_it_is_a_default():
    made = sent(InMemory(), anthropic('Find it. ' * 200), 0)

    assert [(('system', 0), '5m'), (('messages', 0, 'content', 0), '5m')] == paths(made)
    assert made.cold
    assert made.saving > 0


def test_a_first_question_without_tools_is_left_alone_until_its_rules_are_seen_again():
    memory = InMemory()
    first = sent(memory, anthropic('Who? ' * 500, tools=[]), 0)
    second = sent(memory, anthropic('Why? ' * 500, tools=[]), 30)

    assert ('not_worth_it', []) == (first.unmarked, paths(first))
    assert [(('system', 0), '5m')] == paths(second)


def test_what_is_shared_is_found_in_the_messages_too():
    memory = InMemory()
    for at, question in enumerate(('Who? ', 'Why? ', 'When? ')):
        content = [
            {'type': 'text', 'text': RULES},
            {'type': 'text', 'text': question * 500},
        ]
        made = sent(memory, anthropic(content, tools=[], system=None), 30 * at)

    assert [(('messages', 0, 'content', 0), '5m')] == paths(made)


def test_gaps_of_eight_minutes_make_an_hour_of_five_minutes():
    memory, contents = InMemory(), ['Find it. ' * 100]
    for turn in range(6):
        made = sent(memory, anthropic(*contents), 480 * turn)
        contents += ['Found. ' * 100, 'Go on. ' * 100]

    assert {'1h'} == {mark.lifetime for mark in made.marks}
    assert ('messages', 10, 'content', 0) == made.marks[-1].path


def test_gaps_of_ninety_minutes_leave_no_mark():
    memory, contents = InMemory(), ['Find it. ' * 100]
    for turn in range(6):
        made = sent(memory, anthropic(*contents), 5_400 * turn)
        contents += ['Found. ' * 100, 'Go on. ' * 100]

    assert ('not_worth_it', ()) == (made.unmarked, made.marks)


def test_requests_that_start_together_write_once():
    memory = InMemory()
    starts = [sent(memory, anthropic(f'Part {n}. ' * 10), 0) for n in range(4)]

    assert [True, False, False, False] == [bool(made.marks) for made in starts]


def test_a_wide_fan_out_is_bridged_from_the_end_of_the_last_request():
    memory = InMemory()
    sent(memory, anthropic('Find all. ' * 100), 0)
    calls = [{'type': 'tool_use', 'id': f't{n}', 'name': 'find', 'input': {}} for n in range(18)]
    results = [
        {'type': 'tool_result', 'tool_use_id': f't{n}', 'content': 'Found. ' * 20}
        for n in range(18)
    ]
    made = sent(memory, anthropic('Find all. ' * 100, calls, results), 20)

    assert ('messages', 0, 'content', 0) in [path for path, _ in paths(made)]
    assert ('messages', 2, 'content', 17) == made.marks[-1].path


def test_below_the_minimum_nothing_is_marked():
    made = sent(InMemory(), anthropic('Hi', system='Be brief.'), 0)

    assert ('below_minimum', ()) == (made.unmarked, made.marks)


def test_usage_corrects_the_minimum_and_the_characters_of_a_token():
    memory, prompt = InMemory(), anthropic('Find it.')
    made = sent(memory, prompt, 0)
    nothing = Usage(input_tokens=5_000, output_tokens=1)
    memory.learn(usage_lesson(prompt, made, nothing, model=SONNET.model))

    # The mark on the last block holds all of the prompt's characters.
    assert 5_000 == memory.facts('claude-sonnet-4-5').uncached
    assert 'below_minimum' == sent(memory, prompt, 20).unmarked

    cached = Usage(input_tokens=5_000, output_tokens=1, cache_write_tokens=4_000)
    memory.learn(usage_lesson(prompt, made, cached, model=SONNET.model))
    assert sent(memory, prompt, 40).marks


def test_the_users_marks_come_first_and_no_longer_lifetime_follows_them():
    own = {'type': 'text', 'text': RULES, 'cache_control': {'type': 'ephemeral'}}
    memory, contents = InMemory(), ['Find it. ' * 100]
    for turn in range(6):
        made = sent(memory, anthropic(*contents, system=[own]), 480 * turn)
        contents += ['Found. ' * 100, 'Go on. ' * 100]

    assert ('system', 0) not in [path for path, _ in paths(made)]
    assert {'5m'} >= {life for _, life in paths(made)}


def test_four_marks_of_the_users_leave_no_slot():
    mark = {'cache_control': {'type': 'ephemeral'}}
    own = [{'type': 'text', 'text': RULES, **mark} for _ in range(4)]

    made = sent(InMemory(), anthropic('Find it.', system=own), 0)

    assert ('no_slot', ()) == (made.unmarked, made.marks)


def test_automatic_caching_of_the_users_holds_one_of_the_four():
    mark = {'cache_control': {'type': 'ephemeral'}}
    own = [{'type': 'text', 'text': RULES, **mark} for _ in range(3)]

    made = sent(InMemory(), anthropic('Find it.', system=own, **mark), 0)

    assert 'no_slot' == made.unmarked


def test_a_key_hides_what_the_digests_are_of():
    prompt = anthropic('Find it.')

    assert prefixes(prompt) != prefixes(prompt, key=b'secret')


def test_a_task_has_gaps_of_its_own():
    memory = InMemory()
    for number in range(6):
        sent(memory, anthropic(f'Classify {number}. ' * 400), 5_400 * number, task='once')
    once = sent(memory, anthropic('Classify. ' * 400), 90_000, task='once')

    assert 'not_worth_it' == once.unmarked


def openai(*contents, rules=RULES, **changes):
    messages = [{'role': 'system', 'content': rules}]
    messages += [{'role': 'user', 'content': content} for content in contents]
    return openai_marks.prompt({'model': 'gpt-5.6-sol', 'messages': messages} | changes)


def test_openais_key_follows_the_static_prefix():
    one = sent(InMemory(), openai('Who?'), 0, SOL)
    other = sent(InMemory(), openai('Why?'), 0, SOL)
    third = sent(InMemory(), openai('Why?', rules=RULES + 'more'), 0, SOL)

    assert one.key == other.key
    assert one.key != third.key
    assert sent(InMemory(), openai('Who?', prompt_cache_key='mine'), 0, SOL).key is None


def test_a_busy_prefix_gets_several_keys():
    memory, keys = InMemory(), set()
    for number in range(2_000):
        keys.add(sent(memory, openai(f'Question {number}'), number / 2, SOL).key)

    # 120 requests a minute fit on eight machines of fifteen.
    assert 8 == len(keys)


def test_openais_fee_for_one_shots_is_avoided():
    memory = InMemory()
    for number in range(8):
        made = sent(memory, openai(f'Question {number} ' * 2_000, rules='Brief.'), 60 * number, SOL)

    assert 'explicit' == made.mode
    assert [(('messages', 0, 'content', 0), '30m')] == paths(made)


def test_openais_shared_rules_are_written_without_the_question():
    memory = InMemory()
    for number in range(8):
        made = sent(memory, openai(f'Question {number} ' * 1_000), 60 * number, SOL)

    assert 'explicit' == made.mode
    assert [(('messages', 0, 'content', 0), '30m')] == paths(made)


def test_changing_rules_are_advised_against():
    memory = InMemory()
    for minute in range(3):
        system = [
            {'type': 'text', 'text': f'It is 12:0{minute}.'},
            {'type': 'text', 'text': RULES},
        ]
        made = sent(memory, anthropic('Who?', system=system), 60 * minute)

    assert 'system/0' in made.advice[0]


def test_a_memory_forgets_what_was_not_seen_for_longest():
    memory = InMemory(most=10)
    for number in range(50):
        sent(memory, anthropic(f'Question {number}'), number)
    digests = prefixes(anthropic('Question 0'))

    assert digests[-1] not in memory.recall(digests)
    assert digests[0] in memory.recall(digests)


@pytest.mark.parametrize('reads', [0.1, 0.05, 0.025])
def test_a_read_that_costs_less_pays_back_sooner(reads):
    cheap = replace(SONNET, read=round(SONNET.input * reads))
    made = plan(anthropic('Find it. ' * 200), cheap, InMemory(), 0)

    assert made.saving >= plan(anthropic('Find it. ' * 200), SONNET, InMemory(), 0).saving


def test_a_plain_input_of_the_responses_api_has_a_key_and_no_mark():
    payload = {'model': 'gpt-5.6-sol', 'instructions': RULES, 'input': 'Who?'}
    prompt = openai_marks.prompt(payload)
    memory = InMemory()
    for at in range(4):
        made = sent(memory, prompt, 60 * at, SOL)
        marked = openai_marks.marked(payload, made)

    assert {'prompt_cache_key'} == marked.keys() - payload.keys()
    assert 'Who?' == marked['input']


def test_outputs_of_calls_that_take_no_mark_are_cached_by_the_implicit_one():
    items = [{'role': 'user', 'content': 'Find it. ' * 200}]
    memory = InMemory()
    for turn in range(4):
        payload = {
            'model': 'gpt-5.6-sol', 'instructions': RULES, 'input': [*items],
            'tools': [{'type': 'function', 'name': 'find'}],
        }  # fmt: skip
        made = sent(memory, openai_marks.prompt(payload), 20 * turn, SOL)
        items += [
            {'type': 'function_call', 'call_id': f'{turn}', 'name': 'find', 'arguments': '{}'},
            {'type': 'function_call_output', 'call_id': f'{turn}', 'output': 'Found. ' * 100},
        ]

    assert made.mode is None
    assert len(openai_marks.prompt(payload).blocks) - 1 == made.sent[-1][0]
