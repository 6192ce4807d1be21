"""Whatever a provider sends: unknown never becomes zero, and no count is bent to fit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import wire
from farthing.errors import UsageError

COUNTS = st.integers(min_value=0, max_value=10**9)
# What may stand where a count belongs: a count, nothing, or anything else that JSON has.
ANYTHING = st.one_of(
    COUNTS, st.none(), st.integers(), st.booleans(), st.floats(), st.text(max_size=3), st.just([])
)
NAMES = {
    'anthropic_messages': (
        ('input_tokens', 'output_tokens'),
        ('cache_read_input_tokens', 'cache_creation_input_tokens'),
    ),
    'openai_chat': (('prompt_tokens', 'completion_tokens'), ('total_tokens',)),
    'openai_responses': (('input_tokens', 'output_tokens'), ('total_tokens',)),
    'openai_embeddings': (('prompt_tokens',), ('total_tokens',)),
    'gemini': (('promptTokenCount',), ('candidatesTokenCount', 'thoughtsTokenCount')),
    'langchain_usage_metadata': (('input_tokens', 'output_tokens'), ('total_tokens',)),
}


@given(st.sampled_from(sorted(NAMES)), st.data())
def test_a_usage_object_is_read_whole_or_refused(api, data):
    wanted, others = NAMES[api]
    words = {name: data.draw(ANYTHING, name) for name in (*wanted, *others)}
    try:
        reading = wire.usage_from(api, words)
    except UsageError:
        return
    for name in wanted:
        assert type(words[name]) is int, 'a count that is none was read as one'
    if reading.usage is None:
        assert words[wanted[0]] == 0
    else:
        assert reading.usage.input_tokens >= words[wanted[0]]


@given(st.sampled_from(sorted(NAMES)), st.data())
def test_a_missing_count_is_never_zero(api, data):
    wanted, _ = NAMES[api]
    words = {name: data.draw(COUNTS, name) for name in wanted}
    del words[data.draw(st.sampled_from(wanted))]

    with pytest.raises(UsageError):
        wire.usage_from(api, words)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_anthropics_disjoint_counts_sum_to_the_inclusive_input(fresh, read, w5m, w1h, output):
    words = {
        'input_tokens': fresh,
        'cache_read_input_tokens': read,
        'cache_creation_input_tokens': w5m + w1h,
        'cache_creation': {'ephemeral_5m_input_tokens': w5m, 'ephemeral_1h_input_tokens': w1h},
        'output_tokens': output,
    }

    usage = wire.usage_from('anthropic_messages', words).usage

    parts = (usage.uncached_input_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    assert (fresh, read, w5m + w1h) == parts
    assert usage.input_tokens == sum(parts)
    assert (w5m, w1h, 0) == (
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.cache_write_unsplit_tokens,
    )


@given(COUNTS, COUNTS, COUNTS)
def test_openais_cached_tokens_are_never_added_to_its_input(prompt, read, written):
    # https://github.com/langfuse/langfuse/issues/12306: 5 + 128,955 + 1,253 became 260,421.
    words = {
        'prompt_tokens': prompt,
        'completion_tokens': 1,
        'prompt_tokens_details': {'cached_tokens': read, 'cache_write_tokens': written},
    }
    if read + written > prompt:
        with pytest.raises(UsageError):
            wire.usage_from('openai_chat', words)
        return

    usage = wire.usage_from('openai_chat', words).usage

    assert prompt == usage.input_tokens
    assert prompt - read - written == usage.uncached_input_tokens


@pytest.mark.parametrize('value', [1.0, math.nan, '1', True, [], {}])
def test_only_whole_numbers_are_counts(value):
    with pytest.raises(UsageError):
        wire.usage_from('openai_chat', {'prompt_tokens': value, 'completion_tokens': 1})
