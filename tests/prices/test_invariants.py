"""What holds for every usage, whatever the prices."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from farthing.prices import Call, PriceBook, Terms, facts
from farthing.usage import Usage

from .conftest import STONE

BOOK = PriceBook('test', (facts.read(STONE, where='stone'),))
COUNT = st.integers(0, 10**9)
MODELS = st.sampled_from(['granite', 'opal', 'slate', 'marble', 'granite-2026-02-03'])
TERMS = st.builds(
    Terms,
    tier=st.sampled_from([None, 'standard', 'flex', 'gold', 'batch', 'auto', 'reserved']),
    batch=st.sampled_from([None, True, False]),
    geo=st.sampled_from([None, 'global', 'east', 'moon']),
    region=st.sampled_from([None, 'global', 'south-1']),
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    plain, read, short, hour, unsaid, text, sound = (draw(COUNT) for _ in range(7))
    spoken = draw(st.integers(0, plain))
    return Usage(
        input_tokens=plain + read + short + hour + unsaid,
        output_tokens=text + sound,
        cache_read_tokens=read,
        cache_write_tokens=short + hour + unsaid,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=hour,
        input_audio_tokens=spoken,
        cache_read_audio_tokens=draw(st.sampled_from([None, 0])),
        output_audio_tokens=sound,
        tool_uses=draw(st.dictionaries(st.sampled_from(['search', 'fetch', 'drill']), COUNT)),
    )


CALLS = st.builds(
    Call,
    provider=st.just('quarry'),
    model=MODELS,
    at=st.integers(0, 365).map(
        lambda days: datetime(2025, 12, 1, tzinfo=UTC) + timedelta(days=days)
    ),
    terms=TERMS,
)


@given(usages(), CALLS)
def test_lines_sum_to_the_cost_and_unknown_is_never_zero(usage: Usage, call: Call) -> None:
    found = BOOK.quote(usage, call)

    if found.status == 'unpriced':
        assert found.cost is None
        assert found.reason
        assert not found.lines
        return
    assert found.cost == sum(line.amount for line in found.lines)
    assert all(line.amount == line.quantity * line.rate for line in found.lines)
    assert all(line.rules for line in found.lines)
    assert ('assumed' if found.assumed else 'exact') == found.status


@given(usages(), CALLS)
def test_every_token_stands_in_one_line(usage: Usage, call: Call) -> None:
    found = BOOK.quote(usage, call)

    if found.cost is not None:
        tokens = [line for line in found.lines if line.meter not in usage.tool_uses]
        counted = sum(line.quantity for line in tokens)
        assert usage.input_tokens + usage.output_tokens == counted


@given(usages(), CALLS)
def test_twice_the_usage_costs_twice_where_no_band_is_crossed(usage: Usage, call: Call) -> None:
    one, two = BOOK.quote(usage, call), BOOK.quote(usage + usage, call)

    if (
        one.cost is not None
        and two.cost is not None
        and [x.rate for x in one.lines] == [x.rate for x in two.lines]
    ):
        assert 2 * one.cost == two.cost
    assert (one.cost is None) == (two.cost is None)


@given(usages(), CALLS)
def test_the_same_question_has_the_same_answer(usage: Usage, call: Call) -> None:
    assert BOOK.quote(usage, call) == BOOK.quote(usage, call)
