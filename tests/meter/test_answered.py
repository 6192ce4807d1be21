"""An answer that is priced when it is drained makes the entry that it would have made at once."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from farthing import Ledger
from farthing.attribution import Attribution
from farthing.entry import Entry
from farthing.errors import UsageError
from farthing.ledger import record
from farthing.ledger.answered import KIND, Answered, answered_line, entry_record
from farthing.meter import Account, Meter, Run, Spend, choices
from farthing.meter.unseen import observed, post_answer, post_told
from farthing.prices import PriceBook
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire import langchain
from farthing.wire.reading import NOTHING, Part, Reading

BOOK = PriceBook.load()
API = 'langchain_usage_metadata'


@pytest.fixture(scope='module', autouse=True)
def nothing_offered() -> Iterator[None]:
    """No choice that another test has offered, and whose call was never made, waits here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choices, '_offered', OrderedDict())
        yield


class Written:
    """A ledger that keeps the lines that it would spool."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.losses: list[str] = []

    def post(self, entry: Entry) -> None:
        self.lines.append(record.entry_line(entry))

    def post_answered(self, book, *answer) -> Answered:
        self.lines.append(answered_line(*answer))
        return Answered(self.lines[-1], book)

    def lose(self, reason: str) -> None:
        self.losses.append(reason)

    def key(self) -> bytes:
        return b'key'


class Timed(Run):
    """A run that took a second."""

    def age_us(self) -> int:
        return 1_000_000


def run_of(ledger: Written, book: PriceBook = BOOK, **facts) -> Run:
    account = Account(Meter(ledger, book), Spend())
    run = Timed('r', **{'parent_id': None, 'who': Attribution(), **facts}, account=account)
    run.time = datetime(2026, 11, 1, tzinfo=UTC)
    return run


NAMES = st.none() | st.sampled_from(['acme', 'triage', 'é', 'a"b', 'x\ud800'])
WHO = st.builds(
    Attribution,
    tenant=NAMES,
    task=NAMES,
    session=NAMES,
    purpose=st.sampled_from(['user', 'summary']),
    tags=st.dictionaries(st.sampled_from(['node', 'agent']), st.text(max_size=3)).map(
        MappingProxyType
    ),
)
USAGES = st.builds(
    lambda rest, read, w5, w1, unsplit, output, searches: Usage(
        input_tokens=rest + read + w5 + w1 + unsplit,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=w5 + w1 + unsplit,
        cache_write_5m_tokens=w5,
        cache_write_1h_tokens=w1,
        tool_uses=searches,
    ),
    *[st.integers(0, 300_000)] * 6,
    st.sampled_from([{}, {'web_search': 2}, {'unheard_of': 1}]),
)
MODELS = st.none() | st.sampled_from(
    ['claude-sonnet-4-6', 'claude-haiku-4-5', 'gpt-5-mini', 'gpt-5.6-sol', 'nobody-s-model']
)
READINGS = st.builds(
    Reading,
    usage=USAGES,
    model=MODELS,
    terms=st.builds(Terms, tier=st.sampled_from([None, 'standard', 'flex', 'unheard-of'])),
)


WORDS = st.builds(
    lambda rest, read, w5, total, output, reasoning: {
        'input_tokens': rest + read + w5,
        'output_tokens': output,
        'total_tokens': rest + read + w5 + output + total,
        'input_token_details': {'cache_read': read, 'ephemeral_5m_input_tokens': w5},
        'output_token_details': {'reasoning': reasoning},
    },
    st.integers(1, 300_000),
    *[st.integers(0, 300_000)] * 2,
    st.sampled_from([0, 0, 7]),
    *[st.integers(0, 300_000)] * 2,
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        'model_name': MODELS,
        'model_provider': st.sampled_from(['anthropic', 'openai']),
        'service_tier': st.sampled_from(['default', 'flex', 'unheard-of']),
    },
)
CALLS = {
    'who': WHO,
    'provider': st.sampled_from([None, 'anthropic', 'openai', 'somebody']),
    'model': MODELS,
    'call_type': st.sampled_from(['chat', 'embeddings']),
}


def drained(line: bytes) -> list:
    """The record that a drain stores, as it is after its way through JSON."""
    found = orjson.loads(line)
    return orjson.loads(orjson.dumps(entry_record(found, BOOK))) if found[0] == KIND else found


@given(**CALLS, reading=READINGS, estimated=st.booleans())
def test_both_ways_make_the_same_entry_and_count_the_same(reading, estimated, **call) -> None:
    ledger = Written()
    run = run_of(ledger, **call)
    account = run.accounts[0]

    post_answer(run, reading, api=API, estimated=estimated)
    short = account.spend
    entries = account.meter.post(observed(run, reading, api=API, estimated=estimated))
    long = Spend()
    for entry in entries:
        long.add(entry)

    by_short_way, by_long_way = map(drained, ledger.lines)
    assert by_long_way == by_short_way
    assert repr(long) == repr(short)
    assert long.usage == short.usage
    assert not ledger.losses


@given(**CALLS, words=WORDS, metadata=METADATA)
def test_what_langchain_tells_makes_the_same_entry_read_now_or_later(
    words, metadata, **call
) -> None:
    ledger = Written()
    run = run_of(ledger, **call)
    account = run.accounts[0]

    assert post_told(run, API, words, langchain.plainly(words, metadata))
    try:
        seen = observed(run, langchain.answer(words, metadata), api=API)
    except UsageError:
        seen = observed(run, NOTHING, api=API, error='UsageError')
    long = Spend()
    for entry in account.meter.post(seen):
        long.add(entry)

    by_short_way, by_long_way = map(drained, ledger.lines)
    assert by_long_way == by_short_way
    assert repr(long) == repr(account.spend)
    assert long.usage == account.spend.usage


@pytest.mark.parametrize(
    ('words', 'metadata'),
    [
        ({'input_tokens': 0, 'output_tokens': 1, 'total_tokens': 1}, {}),
        ({'input_tokens': 1.0, 'output_tokens': 1, 'total_tokens': 2}, {}),
        ({'input_tokens': 10**13, 'output_tokens': 1, 'total_tokens': 1}, {}),
        ({'output_tokens': 1}, {}),
        ({'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2, 'total_cost': 0}, {}),
        ({'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2}, {'token_usage': {}}),
        ({'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2}, {'usage': {}}),
    ],
)
def test_what_cannot_be_read_later_is_read_at_once(words, metadata) -> None:
    assert langchain.plainly(words, metadata) is None


def test_of_the_metadata_only_what_the_bill_needs_is_written() -> None:
    words = {'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2}
    metadata = {'model_name': 'm', 'logprobs': {'content': [{'token': 'secret'}]}}

    assert {'model_name': 'm'} == langchain.plainly(words, metadata)


@pytest.mark.parametrize(
    'reading',
    [
        Reading(usage=None),
        Reading(usage=Usage(input_tokens=1, output_tokens=1), doubts=('web_search',)),
        Reading(usage=Usage(input_tokens=1, output_tokens=1), purpose='compaction'),
        Reading(
            usage=Usage(input_tokens=1, output_tokens=1),
            parts=(Part(usage=Usage(input_tokens=5, output_tokens=1), purpose='compaction'),),
        ),
        Reading(usage=Usage(input_tokens=1, output_tokens=1, tool_uses={'web_search': 1})),
    ],
)
def test_what_is_out_of_the_ordinary_is_an_entry_at_once(reading) -> None:
    ledger = Written()
    run = run_of(ledger, provider='anthropic', model='claude-sonnet-4-6')

    post_answer(run, reading, api=API)

    assert all(orjson.loads(line)[0] == 'e1' for line in ledger.lines)


def test_an_overlay_has_two_prices_and_makes_an_entry_at_once() -> None:
    ledger = Written()
    book = BOOK.extend(provider='anthropic', model='claude-sonnet-4-6', rates={'input': '1'})
    run = run_of(ledger, book, provider='anthropic', model='claude-sonnet-4-6')

    post_answer(run, Reading(usage=Usage(input_tokens=1, output_tokens=0)), api=API)

    assert ['e1'] == [orjson.loads(line)[0] for line in ledger.lines]


def test_the_dead_leave_answers_that_whoever_comes_next_prices(tmp_path) -> None:
    path = tmp_path / 'farthing.db'
    words = {'input_tokens': 1_000, 'output_tokens': 100, 'total_tokens': 1_100}
    run = run_of(Written(), provider='anthropic', model='claude-sonnet-4-6')
    told = langchain.plainly(words, {'model_name': 'claude-sonnet-4-6'})
    line = answered_line(run, API, 'reported', words, told)
    folder = tmp_path / 'farthing.db.spool'
    folder.mkdir()
    damaged = orjson.dumps([KIND, 'x', 1, None]) + b'\n'
    (folder / '1-dead.spool').write_bytes(line + line + damaged)

    with Ledger.open(path) as ledger:
        report = ledger.report()
        verdict = ledger.verify()

    assert 1 == report.total.calls
    assert Decimal('0.0045') == report.total.cost_usd
    assert 1 == report.lost
    assert verdict.ok


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=3),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=4,
)
SOUND = ['r', 1, None, None, 'anthropic', 'claude-haiku-4-5', API, 'chat', 'user']
SOUND += ['acme', None, None, 'reported', 1, None]
SOUND += [{'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2}, {}]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(at=len(SOUND) - 1, damage=None)
@example(at=4, damage=5)
@given(at=st.integers(0, len(SOUND) - 1), damage=ANYTHING)
def test_a_damaged_answer_is_stored_or_lost_and_stops_no_other(tmp_path, at, damage) -> None:
    folder = tmp_path / f'{uuid4()}.db.spool'
    folder.mkdir()
    lines = [[*SOUND[:at], damage, *SOUND[at + 1 :]], ['s', *SOUND[1:]]]
    (folder / '1-dead.spool').write_bytes(
        b''.join(orjson.dumps([KIND, *line], option=orjson.OPT_APPEND_NEWLINE) for line in lines)
    )

    with Ledger.open(folder.with_suffix('')) as ledger:
        report = ledger.report()

    assert 2 == report.total.calls + report.lost
    assert report.total.calls >= 1
