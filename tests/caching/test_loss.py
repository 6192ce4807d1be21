import pytest

from farthing.caching.loss import cost_lost, with_reads
from farthing.errors import UsageError
from farthing.usage import Usage


def price(usage: Usage) -> int:
    """Input 10, read 1, writes 12 and 20 a token."""
    plain = usage.uncached_input_tokens + usage.cache_write_unsplit_tokens
    return (
        10 * plain
        + usage.cache_read_tokens
        + 12 * usage.cache_write_5m_tokens
        + 20 * usage.cache_write_1h_tokens
    )


USAGE = Usage(
    input_tokens=1_000,
    output_tokens=5,
    cache_read_tokens=100,
    cache_write_tokens=500,
    cache_write_5m_tokens=300,
    cache_write_1h_tokens=200,
)


def test_what_was_written_would_have_been_read_first() -> None:
    better = with_reads(USAGE, 600)

    assert (700, 0, 300) == (
        better.cache_read_tokens,
        better.cache_write_tokens,
        better.uncached_input_tokens,
    )
    # 200 at 20, 300 at 12 and 100 at 10, less 600 at 1.
    assert 8_000 == cost_lost(USAGE, 600, price)


def test_a_dear_read_is_a_loss_below_zero() -> None:
    assert -990 == cost_lost(
        Usage(input_tokens=10, output_tokens=0), 10, lambda one: 99 * one.cache_read_tokens
    )


def test_what_has_no_price_has_no_loss() -> None:
    assert cost_lost(USAGE, 600, lambda _: None) is None


def test_more_than_there_was_cannot_be_lost() -> None:
    with pytest.raises(UsageError):
        with_reads(USAGE, 901)
