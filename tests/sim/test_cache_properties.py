"""What holds of both prompt caches, whatever is sent in whatever order."""

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from farthing_sim import CacheRules, anthropic, openai_chat
from farthing_sim.caches import Caches
from farthing_sim.surface import Stamp

from .prompts import EPHEMERAL, HOUR, words

FRAMING = 3

# A conversation of parts that are few and alike, so that prefixes are often shared.
parts = st.lists(st.sampled_from(['ab', 'cd', 'ef']), min_size=1, max_size=6)
pauses_s = st.sampled_from([0, 1, 200, 400, 4_000])
requests = st.lists(st.tuples(parts, st.sets(st.integers(0, 5), max_size=4), pauses_s), max_size=8)
SIZE = 400


def common(left, right):
    """How many parts at the beginning are the same."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    )


def seen_by(api, requests, body_of):
    """(parts, marks, what was counted) of each request, one after the other."""
    caches, now_s, seen = Caches(CacheRules(min_tokens=1_000)), 0.0, []
    for said, marks, pause_s in requests:
        now_s += pause_s
        body = body_of(said, marks)
        api.check(body)
        visit = api.visit(body, Stamp(serial='1', time_s=now_s), caches)
        visit.begin()
        seen.append((said, {i for i in marks if i < len(said)}, visit.given))
    return seen


def marked_message(said, marks):
    blocks = [{'type': 'text', 'text': words(SIZE, word)} for word in said]
    for order, i in enumerate(sorted(i for i in marks if i < len(said))):
        blocks[i]['cache_control'] = EPHEMERAL if order else HOUR
    return {
        'model': 'claude-sonnet-4-6',
        'max_tokens': 10,
        'messages': [{'role': 'user', 'content': blocks}],
    }


@given(requests)
def test_anthropic_caches_up_to_the_last_mark_and_reads_what_was_sent_before(requests):
    seen = seen_by(anthropic, requests, marked_message)
    for number, (said, marks, counted) in enumerate(seen):
        ends = [SIZE * (i + 1) for i in marks if SIZE * (i + 1) >= 1_000]

        assert len(said) * SIZE + FRAMING == counted.total
        assert counted.read + counted.write == max(ends, default=0)
        assert counted.read <= SIZE * max(
            (common(said, earlier) for earlier, *_ in seen[:number]), default=0
        )


@given(requests)
def test_what_was_written_just_now_is_read_in_full(requests):
    doubled = [same for said, marks, pause_s in requests for same in
               ((said, marks, pause_s), (said, marks, 0))]  # fmt: skip
    seen = seen_by(anthropic, doubled, marked_message)
    for (_, _, first), (_, _, second) in zip(seen[::2], seen[1::2], strict=True):
        assert (first.read + first.write, 0) == (second.read, second.write)


def parts_of_chat(said, marks):
    content = [{'type': 'text', 'text': words(SIZE, word)} for word in said]
    for i in marks:
        if i < len(said):
            content[i]['prompt_cache_breakpoint'] = {'mode': 'explicit'}
    return {'model': 'gpt-5.6', 'messages': [{'role': 'user', 'content': content}]}


@given(requests)
def test_openai_reads_nothing_that_was_not_sent_before_and_writes_to_the_end(requests):
    seen = seen_by(openai_chat, requests, parts_of_chat)
    for number, (said, _, counted) in enumerate(seen):
        # One token of framing stands before the content, two behind it.
        end = len(said) * SIZE + 1
        shared = max((common(said, earlier) for earlier, *_ in seen[:number]), default=0)

        assert end + 2 == counted.total
        assert counted.read + counted.write == (end if end >= 1_000 else 0)
        assert counted.read <= shared * SIZE + 1
