"""The simulated prompt caches beside recorded ones: the same requests read and write alike.

Token counts differ, because the simulator counts in its own way, so what is compared is the
pattern of each answer: whether it read, what it wrote for how long, and whether its read goes on
exactly where the request before it had stored. The minimum is a number of the providers' tokens:
each conversation gets it scaled by what it counts here and there.
"""

import functools
import importlib
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import farthing_sim
from farthing_sim.anthropic_models import minimum

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
CASSETTES = SHARED / 'data' / 'cassettes'
APIS = ('messages', 'chat/completions', 'responses')

pytestmark = [
    pytest.mark.skipif(not CASSETTES.is_dir(), reason=f'no recorded traffic at {CASSETTES}'),
    pytest.mark.xdist_group('recordings'),
]

# Another recording of the same session had sent the first request minutes before, so that even
# the first recorded answer reads. Here it is sent once more than it was recorded.
WARM = (
    'anthropic-pydantic-ai-test_anthropic_cache_count_tokens-4813e0',
    'anthropic-pydantic-ai-test_anthropic_cache_real_api-47a3d6',
)

MADE_UP = 'written by hand, not recorded: no provider caches a prompt of 20 or of 100 tokens'
BEST_EFFORT = 'OpenAI did not find a prefix that it had just been sent; here it always finds it'
SAME_PIXELS = (
    'OpenAI reads an image alike whether it comes as bytes or as an address; here it differs'
)
OWN_ROUNDS = (
    'a tool of the provider ran: later rounds inside of the answer read what earlier ones had'
)
SEARCHED = 'almost all of its input is what a search found, which the request does not show'
PRODUCED = 'the answer before was cached as it was produced, with reasoning that has no tokens here'

DEVIATIONS = {
    'anthropic-openinference-TestTokenCounts.test_anthropic-4daa2b-0': MADE_UP,
    'openai-langchain-TestChatOpenAICodexStandard.test_image_inputs-a3a6dc-1': BEST_EFFORT,
    'openai-langchain-TestChatOpenAICodexStandard.test_image_inputs-a3a6dc-2': SAME_PIXELS,
    'openai-langchain-test_file_search-400e41-1': SEARCHED,
    'openai-openinference-test_token_counts-1ac37c-0': MADE_UP,
    'openai-openllmetry-test_openai_prompt_caching-94f756-2': BEST_EFFORT,
    'openai-openllmetry-test_openai_prompt_caching-94f756-3': BEST_EFFORT,
    'openai-openllmetry-test_openai_prompt_caching_async-587b24-2': BEST_EFFORT,
    'openai-openllmetry-test_openai_prompt_caching_async-587b24-3': BEST_EFFORT,
    'openai-pydantic-ai-test_openai_responses_code_execution_return_image-52fbf7-0': OWN_ROUNDS,
    'openai-pydantic-ai-test_openai_responses_code_execution_return_image-52fbf7-1': OWN_ROUNDS,
    'openai-pydantic-ai-test_openai_responses_model_web_search_tool_with_user_location-edb2d3-0': (
        OWN_ROUNDS
    ),
    'openai-pydantic-ai-test_openai_responses_thinking_with_code_execution_tool_stream-eb30dc-0': (
        OWN_ROUNDS
    ),
    'openai-pydantic-ai-test_openai_responses_thinking_with_tool_calls-1438ab-1': PRODUCED,
    'openai-pydantic-ai-test_run-bd8505-0': OWN_ROUNDS,
    'openai-pydantic-ai-test_thinking_with_native_tool_wire_contract_openai-responses_-00e9ac-0': (
        OWN_ROUNDS
    ),
    'openai-pydantic-ai-test_web_search_agent_run_in_workflow-b9b620-0': OWN_ROUNDS,
}


def test_the_simulated_caches_follow_the_recorded_pattern(record_property):
    seen = replayed()
    deviating = {name for name, recorded, simulated in seen if recorded != simulated}
    cached = {name for name, recorded, _ in seen if any(recorded)}
    record_property(
        'summary',
        f'recorded prompt caching: {len(seen) - len(deviating)} of {len(seen)} answers follow '
        f'the recorded pattern, {len(cached - deviating)} of {len(cached)} of those that were '
        f'cached; {len(DEVIATIONS)} deviations are explained by name',
    )

    assert set(DEVIATIONS) == deviating


@pytest.mark.parametrize(
    ('name', 'patterns'),
    [
        ('anthropic-openllmetry-test_anthropic_prompt_caching_async_legacy-eef323', 'W5 R'),
        ('anthropic-openllmetry-test_anthropic_prompt_caching_stream_legacy-318b73', 'W5 R'),
        ('anthropic-pydantic-ai-test_anthropic_cache_real_api-47a3d6', 'R RW5'),
        (
            'anthropic-pydantic-ai-test_anthropic_to_google_deferred_capability_history_replay-ac014d',
            '- W5 RW5',
        ),
        ('anthropic-pydantic-ai-test_inline_system_prompt_cache_prefix_is_reused-242212', 'W5 R'),
        (
            'anthropic-pydantic-ai-test_leading_cache_point_survives_the_instruction_moving_out_of_the_user_turn-4ab33c',
            '-',
        ),
        ('openai-pydantic-ai-test_openai_responses_prompt_cache_e2e-37dc52', 'W30 R'),
    ],
)
def test_conversations_that_pin_the_caches_are_replayed_turn_by_turn(name, patterns):
    """`R` reads what the turn before has stored, `W5` writes for five minutes, `-` neither."""
    turns = [
        ''.join([*['R'] * reads, *(f'W{life.removesuffix("m")}' for life in writes)]) or '-'
        for turn, _, (reads, writes, _) in replayed()
        if turn.rpartition('-')[0] == name
    ]

    assert patterns.split() == turns


@functools.cache
def replayed():
    """(name, recorded pattern, simulated pattern) of each exchange whose answer has usage."""
    found = []
    with (
        farthing_sim.serving(seed='cached') as sim,
        httpx.Client(base_url=sim.openai_url, headers={'authorization': 'Bearer any'}) as client,
    ):
        for file in sorted(CASSETTES.rglob('*.yaml*')):
            name = file.name.partition('.yaml')[0]
            exchanges = [e for e in _cassettes().load(file) if _api(e) in APIS]
            exchanges = [e for e in exchanges if e['method'] == 'POST' and e['status'] == 200]
            counted = _answers(sim, client, exchanges)
            recorded = [_recorded_usage(one) for one in exchanges]
            both = [(a, b) for a, b in zip(recorded, counted, strict=True) if a and b]
            if not both:
                continue
            # 1024 for all of OpenAI's models, as for a model that Anthropic does not have.
            real = minimum(json.loads(exchanges[0]['req'])['model'])
            scale = sum(_total(b) for _, b in both) / sum(_total(a) for a, _ in both)
            sim.reset(rules=farthing_sim.CacheRules(min_tokens=round(real * scale)))
            if name in WARM:
                _answers(sim, client, exchanges[:1])
            simulated = _answers(sim, client, exchanges)
            rows = zip(_patterns(recorded), _patterns(simulated), strict=True)
            found += [
                (f'{name}-{i}', a, b)
                for i, (a, b) in enumerate(rows)
                if recorded[i] and simulated[i]
            ]
            sim.reset()
    return found


def _answers(sim, client, exchanges):
    """The usage of each request's simulated answer; `None` where it is refused."""
    ids, usages = {}, []
    for exchange in exchanges:
        request = json.loads(exchange['req'])
        # Answers to go on from have other ids here.
        if earlier := request.get('previous_response_id'):
            request['previous_response_id'] = ids.get(earlier, earlier)
        client.post(f'/{_api(exchange)}', json=request)
        entry = sim.log()[-1]
        ids[_id(exchange['res'])] = entry['id']
        usages.append(entry['usage'])
    return usages


def _patterns(usages):
    """Of each answer: (reads, writes, goes on exactly where the one before had stored)."""
    patterns, stored = [], None
    for usage in usages:
        if not usage:
            patterns.append(None)
            continue
        read, writes = _read(usage), _writes(usage)
        patterns.append((read > 0, tuple(k for k, n in writes.items() if n), 0 < read == stored))
        stored = read + sum(writes.values())
    return patterns


def _details(usage):
    return usage.get('prompt_tokens_details') or usage.get('input_tokens_details') or {}


def _read(usage):
    read = usage.get('cache_read_input_tokens') or _details(usage).get('cached_tokens')
    return read or 0


def _writes(usage):
    """Tokens written, by their life; answers that do not tell it wrote for five minutes."""
    split = usage.get('cache_creation') or {}
    written = usage.get('cache_creation_input_tokens') or 0
    hour = split.get('ephemeral_1h_input_tokens') or 0
    return {
        '5m': written - hour,
        '1h': hour,
        '30m': _details(usage).get('cache_write_tokens') or 0,
    }


def _total(usage):
    disjoint = 'cache_read_input_tokens' in usage
    own = usage.get('input_tokens', usage.get('prompt_tokens'))
    return own + (_read(usage) + sum(_writes(usage).values()) if disjoint else 0)


def _api(exchange):
    return urlsplit(exchange['uri']).path.partition('/v1/')[2]


def _recorded_usage(exchange):
    return _cassettes().usage_of(exchange['res'])


def _id(body):
    try:
        first = json.loads(body)
    except ValueError:
        first = next(iter(_cassettes().sse(body)), {})
    return first.get('response', first).get('id')


@functools.cache
def _cassettes():
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        return importlib.import_module('cassette_lib')
    finally:
        sys.path.pop(0)
