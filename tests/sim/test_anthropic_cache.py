"""The prompt cache of the simulated Messages API, through the real SDK.

Three tokens of framing follow the content of each message, so that a mark on the last block
leaves three tokens that no cache has.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec

import anthropic
import pytest

import farthing_sim

from .prompts import EPHEMERAL, HOUR, MODEL, assistant, text, told, user

PATIENCE_S = 20.0
# The HTTP client's own error, of httpx or httpx2.
BROKEN_OFF = tuple(
    import_module(name).RemoteProtocolError for name in ('httpx', 'httpx2') if find_spec(name)
)


# --- life -------------------------------------------------------------------------------------


def test_a_request_without_marks_is_never_cached(ask):
    long = user(text(5_000))

    assert [(5_003, 0, 0, 0)] * 2 == [ask(long), ask(long)]


@pytest.mark.parametrize(('mark', 'life_s', 'write'), [
    (EPHEMERAL, 300, (2_000, 0)),
    (EPHEMERAL | {'ttl': '5m'}, 300, (2_000, 0)),
    (HOUR, 3_600, (0, 2_000)),
])  # fmt: skip
def test_an_entry_lives_from_the_start_of_its_last_use(ask, clock, mark, life_s, write):
    long = user(text(2_000, mark=mark))
    seen = []
    for pause_s in (0, life_s - 1, life_s - 1, life_s):
        clock.advance(pause_s)
        seen.append(ask(long))

    written, read = (3, *write, 0), (3, 0, 0, 2_000)
    assert [written, read, read, written] == seen


def test_the_time_that_an_answer_takes_counts_against_the_life_of_its_entry(ask, sim, clock):
    long = user(text(2_000, mark=EPHEMERAL))
    sim.fault(delay_s=0.5)
    with ThreadPoolExecutor() as pool:
        answered = pool.submit(ask, long)
        until(sim.log)
        clock.advance(200)
        assert (3, 2_000, 0, 0) == answered.result()

    clock.advance(100)
    assert (3, 2_000, 0, 0) == ask(long)


def test_a_read_keeps_the_marked_prefixes_inside_of_it_alive(ask, clock):
    system = [text(2_000, mark=EPHEMERAL)]
    turn = user(text(100, mark=EPHEMERAL))
    ask(turn, system=system)
    clock.advance(200)
    ask(turn, system=system)
    clock.advance(200)

    assert (53, 0, 0, 2_000) == ask(user(text(50, 'other')), system=system)


# --- place ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings('ignore:The model .* is deprecated:DeprecationWarning')
@pytest.mark.parametrize(('model', 'minimum'), [
    ('claude-opus-5-5', 512), ('claude-opus-5', 512), ('claude-fable-5-1', 512),
    ('claude-mythos-5-1', 512),
    ('claude-opus-4-8', 1_024), ('claude-sonnet-5', 1_024), ('claude-sonnet-4-6', 1_024),
    ('claude-sonnet-4-5-20250929', 1_024), ('claude-opus-4-1', 1_024),
    ('claude-opus-4-20250514', 1_024), ('claude-sonnet-4-0', 1_024),
    ('claude-3-5-sonnet-20240620', 1_024),
    ('claude-opus-4-7', 2_048), ('claude-mythos-preview', 2_048),
    ('claude-3-5-haiku-latest', 2_048),
    ('claude-opus-4-6', 4_096), ('claude-opus-4-5', 4_096), ('claude-haiku-4-5', 4_096),
])  # fmt: skip
def test_prefixes_shorter_than_the_models_minimum_are_silently_not_cached(ask, model, minimum):
    short = user(text(minimum - 1, mark=EPHEMERAL))
    long = user(text(minimum, mark=EPHEMERAL))

    assert (minimum + 2, 0, 0, 0) == ask(short, model=model)
    assert (3, minimum, 0, 0) == ask(long, model=model)


def test_the_minimum_is_that_of_the_prefix_and_not_of_the_marked_block(ask):
    # As recorded: 2056 tokens for an hour, then 14 more for five minutes.
    system = [text(2_056, mark=HOUR)]

    assert (3, 14, 2_056, 0) == ask(user(text(14, mark=EPHEMERAL)), system=system)


def test_a_mark_that_moves_reads_what_the_earlier_one_wrote(ask):
    first, second = text(1_108), text(400, 'beta')
    said = assistant(text(10, 'gamma'))

    assert (3, 1_108, 0, 0) == ask(user(first | {'cache_control': EPHEMERAL}))
    # Three tokens of framing, the answer, three more, and the new question.
    assert (3, 416, 0, 1_108) == ask(user(first), said, user(second | {'cache_control': EPHEMERAL}))


def test_another_question_after_a_shared_prefix_reads_only_the_prefix(ask):
    system = [text(2_240, mark=EPHEMERAL)]
    question = text(329, 'beta')
    marked = question | {'cache_control': EPHEMERAL}
    longer = [user(question), assistant(text(10)), user(text(60, mark=EPHEMERAL))]

    assert (3, 2_569, 0, 0) == ask(user(marked), system=system)
    assert (3, 76, 0, 2_569) == ask(*longer, system=system)
    assert (3, 329, 0, 2_240) == ask(user(text(329, 'other', mark=EPHEMERAL)), system=system)


@pytest.mark.parametrize(('rules', 'added', 'read'), [
    ({}, 19, True), ({}, 20, False), ({'lookback': 22}, 21, True), ({'lookback': 22}, 22, False),
])  # fmt: skip
def test_a_mark_looks_back_over_twenty_positions(ask, sim, rules, added, read):
    sim.reset(rules=farthing_sim.CacheRules(**rules))
    blocks = [text(100) for _ in range(15 + added)]
    blocks[14]['cache_control'] = EPHEMERAL
    ask(user(*blocks[:15]))
    del blocks[14]['cache_control']
    blocks[-1]['cache_control'] = EPHEMERAL

    expected = (3, 100 * added, 0, 1_500) if read else (3, 1_500 + 100 * added, 0, 0)
    assert expected == ask(user(*blocks))


def test_a_mark_in_between_carries_the_lookback_on(ask):
    blocks = [text(100) for _ in range(45)]
    ask(user(*blocks[:14], text(100, mark=EPHEMERAL)))
    for at in (29, 44):
        blocks[at]['cache_control'] = EPHEMERAL

    assert (3, 3_000, 0, 1_500) == ask(user(*blocks))


@pytest.mark.parametrize('collapse', [False, True])
def test_runs_of_tool_calls_are_one_position_only_where_the_rules_say_so(ask, sim, collapse):
    sim.reset(rules=farthing_sim.CacheRules(collapse_tool_runs=collapse))
    question = text(1_500)
    ids = [f'toolu_{i}' for i in range(18)]
    calls = [{'type': 'tool_use', 'id': i, 'name': 'f', 'input': {}} for i in ids]
    results = [{'type': 'tool_result', 'tool_use_id': i, 'content': 'x'} for i in ids]
    ask(user(question | {'cache_control': EPHEMERAL}))
    results[-1]['cache_control'] = EPHEMERAL

    (_, _, _, read) = ask(user(question), assistant(*calls), user(*results))
    assert (1_500 if collapse else 0) == read


def test_a_string_and_its_one_block_are_the_same_prompt(ask):
    ask(user(text(2_000, mark=EPHEMERAL)))
    later = user(text(5, mark=EPHEMERAL))
    plain = {'role': 'user', 'content': text(2_000)['text']}

    assert 2_000 == ask(plain, assistant(text(5)), later)[3]


# --- who --------------------------------------------------------------------------------------


def test_another_key_or_model_finds_nothing(ask, sim):
    long = user(text(2_000, mark=EPHEMERAL))
    ask(long)
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='other') as other:
        assert (3, 2_000, 0, 0) == ask(long, through=other)

    assert (3, 2_000, 0, 0) == ask(long, model='claude-sonnet-5')
    assert (3, 0, 0, 2_000) == ask(long)


def test_equal_requests_that_start_together_all_write(ask, sim):
    long = user(text(2_000, mark=EPHEMERAL))
    for _ in range(2):
        sim.fault(delay_s=0.5)
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(ask, long) for _ in range(2)]
        assert [(3, 2_000, 0, 0)] * 2 == [one.result() for one in both]

    assert (3, 0, 0, 2_000) == ask(long)


def test_a_prefix_is_found_from_the_first_token_of_its_writer_on(client, ask, sim):
    long = user(text(2_000, mark=EPHEMERAL))
    sim.fault(event_delay_s=0.05)
    with client.messages.create(
        model=MODEL, max_tokens=500, messages=[long], stream=True
    ) as stream:
        next(iter(stream))
        assert (3, 0, 0, 2_000) == ask(long)
        assert not sim.log()[0]['delivered']


@pytest.mark.parametrize('fault', [{'status': 500}, {'drop_after_events': 0}])
def test_a_request_without_a_first_token_stores_nothing(client, ask, sim, fault):
    long = user(text(2_000, mark=EPHEMERAL))
    sim.fault(**fault)
    with pytest.raises((anthropic.InternalServerError, *BROKEN_OFF)):
        list(client.messages.create(model=MODEL, max_tokens=9, messages=[long], stream=True))

    assert (3, 2_000, 0, 0) == ask(long)


# --- the same everywhere ----------------------------------------------------------------------


async def test_plain_streamed_and_awaited_answers_and_the_log_tell_the_same(sim, client):
    asked = {'model': MODEL, 'max_tokens': 20}
    answers = []
    async with anthropic.AsyncAnthropic(base_url=sim.anthropic_url, api_key='any') as aclient:
        for _ in range(2):
            answers.append(client.messages.create(**asked, messages=twice_marked('plain')))
            answers.append(await aclient.messages.create(**asked, messages=twice_marked('await')))
            with client.messages.stream(**asked, messages=twice_marked('stream')) as stream:
                answers.append(stream.get_final_message())
            async with aclient.messages.stream(**asked, messages=twice_marked('both')) as stream:
                answers.append(await stream.get_final_message())

    assert [*[(3, 100, 2_000, 0)] * 4, *[(3, 0, 0, 2_100)] * 4] == [told(one) for one in answers]
    logged = [one['usage'] for one in sim.log()]
    assert logged == [one.usage.model_dump(exclude_unset=True) for one in answers]


def twice_marked(word):
    """A prompt that no other word shares."""
    return [user(text(2_000, word, HOUR), text(100, word, EPHEMERAL))]


def test_a_server_may_go_without_caches(ask, sim):
    sim.reset(rules=farthing_sim.CacheRules(enabled=False))
    long = user(text(2_000, mark=EPHEMERAL))

    assert [(2_003, 0, 0, 0)] * 2 == [ask(long), ask(long)]


def until(happened):
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
