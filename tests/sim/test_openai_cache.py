"""The prompt caches of the simulated OpenAI APIs, through the real SDK.

A message costs three tokens beside its content: one before it, for the role, and two behind it.
"""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

import farthing_sim

from .prompts import words

OLD, NEW = 'gpt-4o', 'gpt-5.6-sol'
POINT = {'prompt_cache_breakpoint': {'mode': 'explicit'}}


class Chat:
    """Chat Completions, as a message is sent and as usage is read there."""

    text = 'text'

    def __init__(self, client):
        self.client = client

    def create(self, messages, **asked):
        return self.client.chat.completions.create(messages=messages, **asked)

    def told(self, answer):
        """(input, written, read); older models do not tell of writes."""
        details = answer.usage.prompt_tokens_details
        return answer.usage.prompt_tokens, details.cache_write_tokens or 0, details.cached_tokens


class Responses(Chat):
    """Responses, the same way."""

    text = 'input_text'

    def create(self, messages, **asked):
        return self.client.responses.create(input=messages, **asked)

    def told(self, answer):
        """(input, written, read)."""
        details = answer.usage.input_tokens_details
        return answer.usage.input_tokens, details.cache_write_tokens, details.cached_tokens


@pytest.fixture(params=[Chat, Responses])
def api(request, sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any', max_retries=0) as client:
        yield request.param(client)


@pytest.fixture
def ask(api):
    """Sends messages of parts; returns (input, written, read)."""

    def asking(*messages, through=api, model=OLD, **asked):
        return through.told(through.create(list(messages), model=model, **asked))

    return asking


@pytest.fixture
def part(api):
    """Makes a part of so many tokens."""

    def making(number, word='alpha', point=None):
        return {'type': api.text, 'text': words(number, word)} | (point or {})

    return making


def user(*parts):
    return {'role': 'user', 'content': list(parts)}


# --- up to GPT-5.5 ----------------------------------------------------------------------------


def test_a_repeated_prompt_is_read_in_steps_of_128(ask, part):
    seen = [ask(user(part(n))) for n in (1_217, 1_217, 1_160)]

    # Nine steps of 128 tokens are 1152.
    assert [(1_220, 0, 0), (1_220, 0, 1_152), (1_163, 0, 1_152)] == seen


def test_prompts_under_1024_tokens_are_not_cached(ask, part):
    assert [(1_023, 0, 0)] * 2 == [ask(user(part(1_020)))] * 2
    assert [(1_024, 0, 0), (1_024, 0, 1_024)] == [ask(user(part(1_021))) for _ in range(2)]


def test_prompts_that_part_inside_of_a_text_share_the_steps_before(ask, part):
    ask(user(part(2_000)))
    parted = f'{words(1_300)} {words(700, "beta")}'

    assert (2_003, 0, 1_280) == ask({'role': 'user', 'content': parted})


@pytest.mark.parametrize(('asked', 'life_s'), [
    ({'model': 'gpt-4o'}, 600),
    ({'model': 'gpt-4o', 'prompt_cache_retention': '24h'}, 86_400),
    ({'model': 'gpt-4.1'}, 86_400),
    ({'model': 'gpt-5', 'prompt_cache_retention': 'in_memory'}, 600),
])  # fmt: skip
def test_an_unused_prefix_is_forgotten(ask, part, clock, asked, life_s):
    seen = []
    for pause_s in (0, life_s - 1, life_s - 1, life_s):
        clock.advance(pause_s)
        seen.append(ask(user(part(1_300)), **asked)[2])

    assert [0, 1_280, 1_280, 0] == seen


def test_more_requests_than_a_machine_takes_go_to_one_that_has_nothing(ask, part, clock):
    reads = [ask(user(part(1_300)))[2] for _ in range(32)]
    clock.advance(60)

    assert [0, *[1_280] * 14, 0, *[1_280] * 14, 0, 1_280] == reads
    assert 1_280 == ask(user(part(1_300)))[2]


def test_a_steady_overflow_leaves_the_first_machine_full(ask, part, clock):
    reads = []
    for _ in range(60):
        reads.append(ask(user(part(1_300)))[2])
        clock.advance(3)

    # Twenty a minute: fifteen go to the first machine, five to the next; each misses once.
    assert {0: 2, 1_280: 58} == {n: reads.count(n) for n in set(reads)}
    assert [0, 0] == [reads[0], reads[15]]


def test_another_key_is_another_machine(ask, part):
    reads = [ask(user(part(1_300)), prompt_cache_key=key)[2] for key in ('a', 'b', 'a', 'b')]

    assert [0, 0, 1_280, 1_280] == reads


def test_prompts_are_routed_by_their_first_256_tokens(ask, part):
    for _ in range(15):
        ask(user(part(255), part(1_000)))
    other_beginning = ask(user(part(255, 'beta'), part(1_000)))
    overflowed = ask(user(part(255), part(1_001, 'gamma')))

    assert [0, 0] == [other_beginning[2], overflowed[2]]


def test_a_cache_that_does_its_best_misses_the_same_requests_each_time(ask, part, sim):
    seen = []
    for _ in range(2):
        sim.reset(rules=farthing_sim.CacheRules(hit_probability=0.5, requests_per_min=1_000))
        seen.append([ask(user(part(1_300)))[2] > 0 for _ in range(40)])

    assert seen[0] == seen[1]
    assert 10 < sum(seen[0]) < 30


# --- GPT-5.6 and later ------------------------------------------------------------------------


def test_the_implicit_breakpoint_is_the_end_of_the_latest_message(ask, part):
    first = user(part(1_217))
    longer = [first, {'role': 'assistant', 'content': words(10)}, user(part(100, 'beta'))]

    assert [(1_220, 1_218, 0), (1_220, 0, 1_218)] == [ask(first, model=NEW) for _ in range(2)]
    # Two tokens of framing, the whole answer, one more, and the new question.
    assert (1_336, 116, 1_218) == ask(*longer, model=NEW)


def test_a_boundary_is_exact_and_nothing_is_read_inside_of_it(ask, part):
    ask(user(part(2_000)), model=NEW)

    assert (1_903, 1_901, 0) == ask(user(part(1_900)), model=NEW)


def test_an_explicit_breakpoint_is_shared_by_what_follows_it(ask, part):
    asked = {'model': NEW, 'prompt_cache_options': {'mode': 'explicit', 'ttl': '30m'}}
    shared = part(4_000, point=POINT)

    assert (4_010, 4_001, 0) == ask(user(shared, part(7, 'beta')), **asked)
    assert (4_020, 0, 4_001) == ask(user(shared, part(17, 'gamma')), **asked)


def test_with_the_implicit_breakpoint_a_unique_tail_is_written_each_time(ask, part):
    shared = part(4_000, point=POINT)

    assert (4_103, 4_101, 0) == ask(user(shared, part(100, 'beta')), model=NEW)
    assert (4_103, 100, 4_001) == ask(user(shared, part(100, 'gamma')), model=NEW)


def test_explicit_mode_without_a_breakpoint_caches_nothing(ask, part):
    asked = {'model': NEW, 'prompt_cache_options': {'mode': 'explicit'}}

    assert [(2_003, 0, 0)] * 2 == [ask(user(part(2_000)), **asked) for _ in range(2)]


@pytest.mark.parametrize(('mode', 'kept'), [('implicit', 3), ('explicit', 4)])
def test_only_the_latest_breakpoints_are_written(ask, part, mode, kept):
    asked = {'model': NEW, 'prompt_cache_options': {'mode': mode}}
    parts = [part(1_100, word) for word in ('a', 'b', 'c', 'd', 'e')]
    ask(user(*(one | POINT for one in parts)), **asked)
    reads = [
        ask(user(*parts[: n - 1], parts[n - 1] | POINT, part(9, 'other')), **asked)[2]
        for n in range(1, 6)
    ]

    lost = 5 - kept
    assert [0] * lost == reads[:lost]
    assert [1 + 1_100 * n for n in range(lost + 1, 6)] == reads[lost:]


@pytest.mark.parametrize(('between', 'read'), [(78, True), (79, False)])
def test_the_latest_80_breakpoints_are_matched(ask, part, between, read):
    shared = part(1_100, point=POINT)
    ask(user(shared), model=NEW, prompt_cache_options={'mode': 'explicit'})
    points = [part(1, 'b', POINT) for _ in range(between)]

    # One more is the implicit breakpoint, at the end of the last part.
    (*_, seen) = ask(user(shared, *points, part(1, 'c')), model=NEW)
    assert (1_101 if read else 0) == seen


def test_prefixes_of_breakpoints_have_a_minimum_too(ask, part):
    short = part(1_022, point=POINT)
    long = part(1_023, 'beta', POINT)
    asked = {'model': NEW, 'prompt_cache_options': {'mode': 'explicit'}}

    assert (1_125, 0, 0) == ask(user(short, part(100)), **asked)
    assert (1_126, 1_024, 0) == ask(user(long, part(100)), **asked)


def test_a_breakpoint_lives_for_half_an_hour_from_its_last_use(ask, part, clock):
    seen = []
    for pause_s in (0, 1_799, 1_799, 1_800):
        clock.advance(pause_s)
        seen.append(ask(user(part(2_000)), model=NEW)[1:])

    assert [(2_001, 0), (0, 2_001), (0, 2_001), (2_001, 0)] == seen


def test_requests_that_start_together_share_nothing_yet(ask, part, sim):
    for _ in range(2):
        sim.fault(delay_s=0.5)
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(ask, user(part(2_000)), model=NEW) for _ in range(2)]
        assert [(2_003, 2_001, 0)] * 2 == [one.result() for one in both]

    assert (2_003, 0, 2_001) == ask(user(part(2_000)), model=NEW)


# --- both -------------------------------------------------------------------------------------


@pytest.mark.parametrize('model', [OLD, NEW])
def test_another_account_or_model_finds_nothing(api, ask, part, sim, model):
    long = user(part(2_000))
    ask(long, model=model)
    with openai.OpenAI(base_url=sim.openai_url, api_key='other') as other:
        assert 0 == ask(long, model=model, through=type(api)(other))[2]

    assert 0 == ask(long, model=f'{model}-mini')[2]
    assert 0 < ask(long, model=model)[2]


@pytest.mark.parametrize(('asked', 'param'), [
    ({'prompt_cache_options': {'mode': 'implicit'}}, 'prompt_cache_options'),
    ({'model': 'gpt-5.5', 'prompt_cache_options': {'ttl': '30m'}}, 'prompt_cache_options'),
    ({'model': 'o3', 'prompt_cache_options': {'ttl': '30m'}}, 'prompt_cache_options'),
    ({'model': 'gpt-5.5', 'prompt_cache_retention': 'in_memory'}, 'prompt_cache_retention'),
    ({'model': NEW, 'prompt_cache_options': {'mode': 'never'}}, 'prompt_cache_options.mode'),
    ({'model': NEW, 'prompt_cache_options': {'ttl': '1h'}}, 'prompt_cache_options.ttl'),
])  # fmt: skip
def test_parameters_that_a_model_does_not_take_are_refused(ask, part, asked, param):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(user(part(1)), **asked)

    assert param == caught.value.param


@pytest.mark.parametrize(('model', 'point'), [(OLD, 'explicit'), (NEW, 'implicit')])
def test_breakpoints_that_a_model_does_not_take_are_refused(ask, part, model, point):
    marked = part(1, point={'prompt_cache_breakpoint': {'mode': point}})
    with pytest.raises(openai.BadRequestError, match=r'prompt_cache_breakpoint|Invalid value'):
        ask(user(marked), model=model)


@pytest.mark.parametrize('model', [OLD, NEW])
async def test_plain_streamed_and_awaited_answers_and_the_log_tell_the_same(sim, clock, model):
    asked = {'model': model, 'messages': [{'role': 'user', 'content': words(2_000)}]}
    streamed = {'stream': True, 'stream_options': {'include_usage': True}}
    with openai.OpenAI(base_url=sim.openai_url, api_key='any') as client:
        client.chat.completions.create(**asked)
        plain = client.chat.completions.create(**asked).usage
        *_, last = client.chat.completions.create(**asked, **streamed)
    async with openai.AsyncOpenAI(base_url=sim.openai_url, api_key='any') as client:
        awaited = (await client.chat.completions.create(**asked)).usage

    assert plain == last.usage == awaited
    assert [plain.model_dump(exclude_unset=True)] * 3 == [one['usage'] for one in sim.log()[1:]]
    assert 0 < plain.prompt_tokens_details.cached_tokens


def test_a_continued_response_reads_the_conversation(sim, clock):
    with openai.OpenAI(base_url=sim.openai_url, api_key='any') as client:
        first = client.responses.create(model=NEW, input=words(2_000))
        second = client.responses.create(model=NEW, input='Go on.', previous_response_id=first.id)
        with client.responses.stream(
            model=NEW, input='And on.', previous_response_id=second.id
        ) as stream:
            third = stream.get_final_response()

    reads = [one.usage.input_tokens_details.cached_tokens for one in (first, second, third)]
    written = second.usage.input_tokens_details.cache_write_tokens
    assert [0, 2_001, 2_001 + written] == reads
