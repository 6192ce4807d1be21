"""Each cause on a sequence of calls that a reader can follow; sizes are four bytes a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.caching.requests import block, sent

from farthing.caching.explain import Explainer, Explanation
from farthing.caching.fingerprint import read
from farthing.caching.sent import Sent, block_ends
from farthing.usage import Usage

SYSTEM = block('system', 's0.12000*5m')  # 3,000 of 4,000 tokens
USER = block('question', 'm0.4000')
OPENAI = {
    'scope': ('openai', 'api.openai.com'),
    'provider': 'openai',
    'api': 'openai_chat',
    'model': 'gpt-4.1',
}


def last(*calls: Sent) -> Explanation:
    explainer = Explainer()
    return [explainer.explain(call) for call in calls][-1]


def test_the_first_call_has_nothing_to_read() -> None:
    found = last(sent(1, SYSTEM, USER, written=3_000))

    assert ('first', 0, 0) == (found.cause, found.expected_tokens, found.tokens_lost)


def test_a_read_of_what_was_written_is_as_expected() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_000),
        sent(2, SYSTEM, block('other', 'm0.4000'), at_s=60, read=3_000),
    )

    assert ('none', 3_000, 3_000, 0) == (
        found.cause,
        found.expected_tokens,
        found.read_tokens,
        found.tokens_lost,
    )


def test_what_the_rules_let_expect_and_the_provider_did_not_read_is_its_own() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_010),
        sent(2, SYSTEM, USER, at_s=60, written=3_010),
    )

    # The provider counted 3,010 tokens when it wrote them: the loss is no estimate.
    assert ('provider', 3_010, False) == (found.cause, found.tokens_lost, found.estimated)


def test_a_pause_longer_than_the_lifetime_is_an_expiry() -> None:
    written = sent(1, SYSTEM, USER, written=3_000)

    late = last(written, sent(2, SYSTEM, USER, at_s=301, written=3_000))
    in_time = last(written, sent(2, SYSTEM, USER, at_s=299, written=3_000))

    assert ('ttl_expired', 3_000) == (late.cause, late.tokens_lost)
    assert 'provider' == in_time.cause


def test_a_read_keeps_the_prefix_alive() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_000),
        sent(2, SYSTEM, USER, at_s=200, read=3_000),
        sent(3, SYSTEM, USER, at_s=400, written=3_000),
    )

    assert 'provider' == found.cause


def test_an_hour_is_longer_than_five_minutes() -> None:
    hour = block('system', 's0.12000*1h')

    found = last(sent(1, hour, USER, written=3_000), sent(2, hour, USER, at_s=3_599, written=3_000))

    assert 'provider' == found.cause


def test_two_first_requests_at_once_both_write() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_000, begins_s=5),
        sent(2, SYSTEM, USER, at_s=4, written=3_000),
    )

    assert ('concurrent', 3_000) == (found.cause, found.tokens_lost)


def test_a_timestamp_in_the_system_prompt_is_an_edit_there() -> None:
    found = last(
        sent(1, block('at 10:00', 's0.12000*5m'), USER, written=3_000),
        sent(2, block('at 10:01', 's0.12000*5m'), USER, at_s=60, written=3_000),
    )

    assert ('edit', 'system[0]', 'edit', 3_000, True) == (
        found.cause,
        found.path,
        found.change,
        found.tokens_lost,
        found.estimated,
    )
    assert 'call-1' == found.earlier


def test_an_edit_in_the_middle_loses_what_stands_behind_it_too() -> None:
    before = [block(f'm{n}', f'm{n}.4000') for n in range(3)]
    marked = block('m3', 'm3.4000*5m')

    found = last(
        sent(1, *before, marked, written=4_000),
        sent(2, before[0], block('M1', 'm1.4000'), before[2], marked, at_s=9, written=4_000),
    )

    assert ('edit', 'messages[1]', 4_000) == (found.cause, found.path, found.tokens_lost)


def test_what_was_put_in_could_not_have_been_read() -> None:
    whole = [block('a', 's0.4000'), block('b', 's1.4000*5m')]
    more = [whole[0], block('new', 's1.4000'), block('b', 's2.4000*5m')]

    found = last(
        sent(1, *whole, USER, input=3_000, written=2_000),
        sent(2, *more, USER, at_s=9, written=3_000),
    )

    # 1,000 tokens each: but for the new block, `a` and `b` were read as they were written.
    assert ('edit', 'insert', 'system[1]', 2_000) == (
        found.cause,
        found.change,
        found.path,
        found.tokens_lost,
    )


def test_what_was_taken_out_is_named_by_its_old_place() -> None:
    whole = [block('a', 's0.8000'), block('b', 's1.4000'), block('c', 's2.4000*5m')]

    found = last(
        sent(1, *whole, written=4_000),
        sent(2, whole[0], block('c', 's1.4000*5m'), at_s=9, input=3_000, written=3_000),
    )

    assert ('edit', 'remove', 'system[1]', 3_000) == (
        found.cause,
        found.change,
        found.path,
        found.tokens_lost,
    )


def test_the_same_tools_in_another_order_are_a_reorder() -> None:
    one, two = block('one', 't0.4000'), block('two', 't1.4000')

    found = last(
        sent(1, one, two, block('system', 's0.8000*5m'), written=4_000),
        sent(
            2,
            block('two', 't0.4000'),
            block('one', 't1.4000'),
            block('system', 's0.8000*5m'),
            at_s=9,
            written=4_000,
        ),
    )

    assert ('reorder', 'tools[0]', 4_000) == (found.cause, found.path, found.tokens_lost)


def test_a_new_tool_is_a_tool_change() -> None:
    one, two = block('one', 't0.4000'), block('two', 't1.4000')

    found = last(
        sent(1, one, block('system', 's0.12000*5m'), written=4_000),
        sent(2, one, two, block('system', 's0.12000*5m'), at_s=9, input=5_000, written=5_000),
    )

    assert ('tools', 'tools[1]', 'insert', 4_000) == (
        found.cause,
        found.path,
        found.change,
        found.tokens_lost,
    )


def test_another_model_does_not_hold_the_prefix() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_000),
        sent(2, SYSTEM, USER, at_s=9, written=3_000, model='claude-opus-4-8'),
    )

    assert ('model', 3_000) == (found.cause, found.tokens_lost)


def test_another_tool_choice_loses_the_messages() -> None:
    tail = block('question', 'm0.12000*5m')
    system = block('system', 's0.4000')

    found = last(
        sent(1, system, block('auto', 'ptool_choice'), tail, written=4_000),
        sent(2, system, block('any', 'ptool_choice'), tail, at_s=9, written=4_000),
    )

    assert ('parameters', 'tool_choice', 4_000) == (found.cause, found.path, found.tokens_lost)


def test_a_write_more_than_twenty_blocks_before_the_mark_is_not_found() -> None:
    start = [block('system', 's0.12000'), block('first', 'm0.100*5m')]
    added = [block(f'added {n}', f'm{n}.100') for n in range(1, 21)]
    first = sent(1, *start, written=3_000)
    unmarked = [start[0], block('first', 'm0.100')]

    near = last(first, sent(2, *unmarked, *added[:18], added[18] + '*5m', at_s=9, written=3_900))
    far = last(first, sent(2, *unmarked, *added[:19], added[19] + '*5m', at_s=9, written=3_900))

    # The mark's own block is the first of the twenty positions.
    assert 'provider' == near.cause
    assert ('lookback', 'messages[0]', 3_000) == (far.cause, far.path, far.tokens_lost)


def test_a_prefix_below_the_minimum_is_not_written() -> None:
    short = block('system', 's0.12000*5m')

    found = last(sent(1, short, USER, input=1_000), sent(2, short, USER, at_s=9, input=1_000))

    # 750 of the 1,024 tokens that Sonnet 4.5 needs.
    assert ('below_minimum', 'system[0]', 750) == (found.cause, found.path, found.tokens_lost)


def test_a_shared_start_without_a_mark_of_its_own_is_unmarked() -> None:
    system = block('system', 's0.12000')

    found = last(
        sent(1, system, block('one', 'm0.4000*5m'), written=4_000),
        sent(2, system, block('two', 'm0.4000*5m'), at_s=9, written=4_000),
    )

    assert ('unmarked', 'system[0]', 3_000) == (found.cause, found.path, found.tokens_lost)


def test_calls_without_any_mark_are_unmarked() -> None:
    system = block('system', 's0.12000')

    found = last(sent(1, system, USER), sent(2, system, USER, at_s=9))

    assert ('unmarked', 'messages[0]', 4_000) == (found.cause, found.path, found.tokens_lost)


def test_what_is_cached_is_not_read_without_a_mark() -> None:
    found = last(
        sent(1, SYSTEM, USER, written=3_000),
        sent(2, block('system', 's0.12000'), block('other', 'm0.4000'), at_s=9),
    )

    assert ('unmarked', 'system[0]', 3_000) == (found.cause, found.path, found.tokens_lost)


def test_an_automatic_mark_stands_on_the_last_block() -> None:
    first = [block('system', 's0.12000'), USER]

    found = last(
        sent(1, *first, '*5m', written=4_000),
        sent(2, *first, block('answer', 'm1.400'), '*5m', at_s=9, input=4_100, read=4_000),
    )

    assert ('none', 4_000) == (found.cause, found.expected_tokens)


def test_openai_writes_every_prefix_by_itself() -> None:
    system = block('system', 's0.12000')
    first = sent(1, system, USER, **OPENAI)

    read_ = last(first, sent(2, system, block('other', 'm1.4000'), at_s=9, read=2_944, **OPENAI))
    missed = last(first, sent(2, system, block('other', 'm1.4000'), at_s=9, **OPENAI))
    edited = last(first, sent(2, block('System', 's0.12000'), USER, at_s=9, **OPENAI))

    assert 'none' == read_.cause
    assert ('provider', 3_000) == (missed.cause, missed.tokens_lost)
    assert ('edit', 'system[0]', 4_000) == (edited.cause, edited.path, edited.tokens_lost)


def test_openai_from_5_6_on_writes_at_marks_and_at_the_last_block() -> None:
    new = OPENAI | {'model': 'gpt-5.6-sol'}
    system = block('system', 's0.12000')

    unmarked = last(
        sent(1, system, USER, written=4_000, **new),
        sent(2, system, block('other', 'm1.4000'), at_s=9, written=4_000, **new),
    )
    marked = last(
        sent(1, system + '*30m', USER, written=4_000, **new),
        sent(2, system + '*30m', block('other', 'm1.4000'), at_s=1_700, written=4_000, **new),
    )

    assert ('unmarked', 'system[0]') == (unmarked.cause, unmarked.path)
    assert ('provider', 3_000) == (marked.cause, marked.tokens_lost)


@pytest.mark.parametrize(
    'call',
    [
        sent(1, SYSTEM, USER, usage=None),
        sent(1, 'f0f0', 'a1a1'),
        sent(1, SYSTEM, USER, api='gemini'),
        sent(1),
    ],
)
def test_without_counts_places_or_rules_the_cause_is_unknown(call: Sent) -> None:
    found = last(call)

    assert ('unknown', None, None) == (found.cause, found.tokens_lost, found.expected_tokens)


def test_the_word_of_the_provider_stands_beside_ours() -> None:
    found = last(sent(1, SYSTEM, USER, '!system_changed.2900', written=3_000))

    assert ('first', 'system_changed', 2_900) == (found.cause, found.said, found.said_tokens)


def test_another_conversation_behind_the_same_system_prompt_loses_nothing() -> None:
    found = last(
        sent(1, SYSTEM, block('one', 'm0.4000*5m'), written=4_000),
        sent(2, SYSTEM, block('two', 'm0.4000*5m'), at_s=9, read=3_000, written=1_000),
    )

    assert 'none' == found.cause


_SIZES = st.lists(st.integers(0, 10**6), min_size=1, max_size=30)


@given(_SIZES, st.integers(0, 10**7))
def test_blocks_sum_to_the_input(sizes: list[int], tokens: int) -> None:
    ends = block_ends(read([block(str(n), f'm{n}.{s}') for n, s in enumerate(sizes)]), tokens)

    assert sorted(ends) == ends
    assert (tokens if any(sizes) else 0) == ends[-1]


_ITEMS = st.lists(
    st.tuples(
        st.sampled_from('abcd'),
        st.sampled_from('tsm'),
        st.integers(1, 9_000),
        st.sampled_from(['', '*5m', '*1h']),
    ),
    min_size=1,
    max_size=8,
)
_CALLS = st.lists(
    st.tuples(_ITEMS, st.integers(0, 2_000), st.integers(0, 9_000), st.integers(0, 100)),
    min_size=1,
    max_size=12,
)


@given(_CALLS, st.sampled_from([{}, OPENAI, OPENAI | {'model': 'gpt-5.6-sol'}]))
def test_no_call_loses_more_than_its_input(calls, api) -> None:
    explainer = Explainer()
    at = 0
    for number, (items, gap, tokens, part) in enumerate(calls):
        at += gap
        read_ = tokens * part // 200
        call = sent(
            number,
            *(block(text, f'{place}{n}.{size}{mark}') for n, (text, place, size, mark)
              in enumerate(items)),
            at_s=at,
            input=tokens,
            read=read_,
            written=(tokens - read_) // 2,
            **api,
        )  # fmt: skip
        found = explainer.explain(call)

        assert isinstance(call.usage, Usage)
        assert 0 <= (found.tokens_lost or 0) <= tokens - read_
        assert 0 <= (found.expected_tokens or 0) <= tokens
