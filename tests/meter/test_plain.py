"""The short way from a framework's answer to the ledger writes what the long way writes."""

from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.attribution import Attribution
from farthing.entry import Entry
from farthing.ledger import record
from farthing.meter import Account, Meter, Run, Spend
from farthing.meter.unseen import observed, post_answer
from farthing.prices import PriceBook
from farthing.prices.quote import Terms
from farthing.usage import Usage
from farthing.wire.reading import Part, Reading

BOOK = PriceBook.load()
API = 'langchain_usage_metadata'


class Written:
    """A ledger that keeps the lines that it would spool."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.losses: list[str] = []

    def post(self, entry: Entry) -> None:
        self.lines.append(record.entry_line(entry))

    def post_plain(self, *answer) -> None:
        self.lines.append(record.plain_line(*answer))

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


@given(
    who=WHO,
    reading=READINGS,
    provider=st.sampled_from([None, 'anthropic', 'openai', 'somebody']),
    model=MODELS,
    call_type=st.sampled_from(['chat', 'embeddings']),
    estimated=st.booleans(),
)
def test_both_ways_write_the_same_line_and_count_the_same(
    who, reading, provider, model, call_type, estimated
) -> None:
    ledger = Written()
    run = run_of(ledger, who=who, provider=provider, model=model, call_type=call_type)
    account = run.accounts[0]

    post_answer(run, reading, api=API, estimated=estimated)
    short = account.spend
    entries = account.meter.post(observed(run, reading, api=API, estimated=estimated))
    long = Spend()
    for entry in entries:
        long.add(entry)

    by_short_way, by_long_way = ledger.lines
    assert by_long_way == by_short_way
    assert repr(long) == repr(short)
    assert long.usage == short.usage
    assert not ledger.losses


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
        Reading(usage=Usage(input_tokens=10**13, output_tokens=1)),
    ],
)
def test_what_is_out_of_the_ordinary_does_not_take_the_short_way(reading) -> None:
    ledger = Written()
    run = run_of(ledger, provider='anthropic', model='claude-sonnet-4-6')

    assert run.accounts[0].meter.post_plain(run, reading, API, 'reported') is None
    assert not ledger.lines


def test_an_overlay_has_two_prices_and_takes_the_long_way() -> None:
    ledger = Written()
    book = BOOK.extend(provider='anthropic', model='claude-sonnet-4-6', rates={'input': '1'})
    run = run_of(ledger, book, provider='anthropic', model='claude-sonnet-4-6')
    reading = Reading(usage=Usage(input_tokens=1, output_tokens=0))

    assert run.accounts[0].meter.post_plain(run, reading, API, 'reported') is None
