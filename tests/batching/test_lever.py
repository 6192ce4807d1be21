"""The pure lever: names, chunks, orphans, retries, deadlines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.batching.chunking import LIMITS, Limits, Target, Waiting, chunks
from farthing.batching.deadline import Deadline
from farthing.batching.keys import LABEL_BITS, CustomId, digest, item_key, label, owns
from farthing.batching.orphans import Intent, Listed, Patience, seek
from farthing.batching.retrying import Retries, verdict
from farthing.batching.states import NEXT, OPEN, WATCHED
from farthing.errors import InputError

TARGET = Target(provider='anthropic', base='https://a/v1', path='/messages', account='x')
KEY = b'k' * 32
ASKED = {'provider': 'anthropic', 'base': 'https://a/v1', 'path': '/messages', 'headers': {}}


@given(st.integers(0, 2**LABEL_BITS - 1), st.integers(0, 2**LABEL_BITS - 1), st.integers(1, 999))
def test_a_custom_id_is_read_as_it_was_written(number, item, attempt) -> None:
    name = CustomId(label=label(number), item=item, attempt=attempt)

    assert name == CustomId.read(str(name))
    assert owns(name.label, str(name))
    assert len(str(name)) <= 64


@pytest.mark.parametrize(
    'text', ['', 'mine-1', 'f0000000000-0000000001', 'f000000000u-0000000001-1']
)
def test_other_names_are_none_of_ours(text) -> None:
    assert CustomId.read(text) is None
    assert not owns('0000000000', text)


def test_equal_requests_have_one_digest_whatever_the_order_of_their_keys() -> None:
    one = digest(KEY, **ASKED, body={'model': 'm', 'messages': [], 'max_tokens': 1})

    assert one == digest(KEY, **ASKED, body={'max_tokens': 1, 'messages': [], 'model': 'm'})
    assert one != digest(KEY, **ASKED, body={'max_tokens': 2, 'messages': [], 'model': 'm'})
    assert one != digest(b'other', **ASKED, body={'model': 'm', 'messages': [], 'max_tokens': 1})
    assert item_key(one, owner=1, nth=0) != item_key(one, owner=2, nth=0)


def test_a_request_that_is_no_json_is_told() -> None:
    with pytest.raises(InputError, match='cannot be written as JSON'):
        digest(KEY, **ASKED, body={'tools': [object]})


items = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 50)), max_size=60).map(
    lambda sizes: [
        Waiting(id=number, target=TARGET, size=size, tokens=tokens)
        for number, (size, tokens) in enumerate(sizes)
    ]
)


@given(items, st.integers(1, 20), st.booleans(), st.sets(st.integers(1, 20)))
def test_chunks_hold_each_item_once_in_order_and_within_the_limits(
    waiting, most, labelled, open_sizes
) -> None:
    limits = Limits(requests=most, size=100, one_model=False, labelled=labelled)
    made = list(chunks(waiting, limits, open_sizes=open_sizes))

    assert [one.id for one in waiting] == [id_ for chunk in made for id_ in chunk.ids]
    assert sum(one.tokens for one in waiting) == sum(chunk.tokens for chunk in made)
    sizes = {one.id: one.size for one in waiting}
    for chunk in made:
        assert 0 < len(chunk.ids) <= most
        assert sum(sizes[id_] for id_ in chunk.ids) <= 95


@given(items, st.integers(0, 200))
def test_no_more_tokens_are_planned_than_there_is_room(waiting, room) -> None:
    limits = Limits(requests=10, size=1_000, one_model=True, labelled=True)

    assert sum(chunk.tokens for chunk in chunks(waiting, limits, room=room)) <= room


def test_open_batches_without_a_label_differ_in_size() -> None:
    waiting = [Waiting(id=n, target=TARGET, size=10, tokens=1) for n in range(5)]

    made = list(chunks(waiting, LIMITS['anthropic'], open_sizes={5}))
    assert [4, 1] == [len(chunk.ids) for chunk in made]


INTENT = Intent(label='a' * 10, requests=3, sent_s=1_000.0, file='file-1', looks=3)
ALIKE = Listed(id='b1', created_s=1_001.0, requests=3)


def found(listed, *, intent=INTENT, labelled=False, known=(), now_s=1_500.0):
    return seek(
        intent, listed, known=known, labelled=labelled, now_s=now_s, patience=Patience()
    )  # fmt: skip


def test_a_label_or_the_file_is_proof() -> None:
    by_label = Listed(id='b1', created_s=1_001.0, label='a' * 10)
    by_file = Listed(id='b2', created_s=1_001.0, file='file-1')

    assert ('adopt', ('b1',)) == (found([by_label], labelled=True).verdict, ('b1',))
    assert 'adopt' == found([by_file], labelled=True).verdict
    assert 'resend' == found([ALIKE], labelled=True).verdict


def test_without_a_label_a_batch_of_that_size_is_verified_before_it_is_ours() -> None:
    assert ('verify', ('b1',)) == (found([ALIKE]).verdict, found([ALIKE]).ids)
    assert 'resend' == found([ALIKE], known={'b1'}).verdict
    old = Listed(id='b1', created_s=100.0, requests=3)
    assert 'resend' == found([old]).verdict


def test_nothing_is_sent_again_before_the_provider_had_time_to_list_it() -> None:
    assert 'wait' == found([], now_s=1_100.0).verdict
    early = Intent(label='a' * 10, requests=3, sent_s=1_000.0, looks=2)
    assert 'wait' == found([], intent=early).verdict
    assert 'resend' == found([]).verdict


@pytest.mark.parametrize(
    ('expected', 'ending', 'status', 'kind', 'message', 'attempt'),
    [
        ('done', 'answered', 200, None, '', 1),
        ('retry', 'expired', 0, 'expired', '', 1),
        ('final', 'expired', 0, 'expired', '', 4),
        ('again', 'cancelled', 0, 'canceled', '', 4),
        ('retry', 'missing', 0, None, '', 1),
        ('retry', 'lost', 0, None, '', 1),
        ('retry', 'errored', 429, 'rate_limit_error', '', 1),
        ('retry', 'errored', 529, 'overloaded_error', '', 1),
        ('retry', 'errored', 0, None, '', 1),
        ('final', 'errored', 400, 'invalid_request_error', 'no such tool', 1),
        ('pause', 'errored', 400, 'invalid_request_error', 'Your credit balance is too low', 1),
        ('pause', 'errored', 429, 'insufficient_quota', '', 4),
    ],
)
def test_what_a_failure_means(expected, ending, status, kind, message, attempt) -> None:
    assert expected == verdict(
        ending, status=status, kind=kind, message=message, attempt=attempt, retries=Retries()
    )


def test_the_reserve_is_kept_before_the_deadline() -> None:
    deadline = Deadline(at_s=10_000.0, reserve_s=1_800.0)

    assert ['batch', 'sync'] == [deadline.phase(8_199.0), deadline.phase(8_200.0)]
    assert 'batch' == Deadline().phase(1e12)
    with pytest.raises(InputError, match='at least 0'):
        Deadline(reserve_s=-1)


def test_what_is_over_stays_so() -> None:
    assert all(not NEXT[state] for state in NEXT if state not in OPEN | WATCHED)
