"""Estimates of tokens: where they come from, and what they learn."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.context import Counter, Ratio, encodings
from farthing.errors import ContextError

ENCODED = pytest.mark.skipif(
    encodings.o200k() is None, reason='no encoding is installed in this cell'
)
TEXTS = st.text(max_size=300)
REPORTS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=30)


@ENCODED
def test_openais_models_are_counted_in_their_own_encoding() -> None:
    counter = Counter('openai', 'gpt-4o')

    assert 'o200k_base' == counter.method
    assert [0, 2, 3] == [counter.tokens(text) for text in ('', 'hello world', 'Tokens are money')]


@ENCODED
@pytest.mark.parametrize(
    ('model', 'tokens'),
    [
        ('claude-sonnet-4-6', 115),
        ('claude-3-5-haiku-20241022', 115),
        ('claude-sonnet-4-20250514', 115),
        ('claude-opus-4-7', 140),
        ('claude-sonnet-5', 140),
        ('anthropic/claude-fable-5-1', 140),
        ('claude-of-tomorrow', 140),
    ],
)
def test_claudes_tokens_are_more_than_openais(model: str, tokens: int) -> None:
    hundred = ' token' * 100

    assert tokens == Counter('anthropic', model).tokens(hundred)


def test_without_an_encoding_characters_are_counted_and_the_method_says_so(monkeypatch) -> None:
    monkeypatch.setattr('farthing.context.counting.o200k', lambda: None)
    counter = Counter('anthropic', 'claude-sonnet-4-6')
    count = counter.count('a' * 26)

    assert 'characters' == count.method
    assert 10 == count.tokens
    assert count.low < 10 < count.high
    # Scripts of several bytes a letter take more tokens a letter.
    assert Counter('openai', 'gpt-4o').tokens('あ' * 20) == 10 == 2 * 20 / 4


def test_no_encoding_is_ever_fetched(monkeypatch, tmp_path: Path) -> None:
    """A file that is not there, or that is another one, would be downloaded."""
    (tmp_path / encodings._FILE).write_bytes(b'other')
    monkeypatch.setattr(encodings, '_folders', lambda: [tmp_path, tmp_path / 'none'])
    monkeypatch.setitem(sys.modules, 'bpe_openai', None)
    monkeypatch.delenv('TIKTOKEN_CACHE_DIR', raising=False)

    assert encodings.o200k.__wrapped__() is None
    assert b'other' == (tmp_path / encodings._FILE).read_bytes()


def test_the_extra_counts_what_tiktoken_counts() -> None:
    pytest.importorskip('bpe_openai', reason='the extra `tokens` is not installed')
    count = encodings._bpe()

    assert [0, 2, 3] == [count(text) for text in ('', 'hello world', 'Tokens are money')]
    assert 600_000 <= count('hello world ' * 300_000) <= 600_100


def test_a_ratio_learns_from_what_calls_report() -> None:
    ratio = Ratio(milli=1_150, low=1_030, high=1_220)
    for _ in range(12):
        ratio = ratio.learn(counted=1_000, reported=1_300)

    assert (1_300, 12, 0) == (ratio.milli, ratio.reports, ratio.refused)
    assert 1_300 == Counter('anthropic', 'claude-sonnet-4-6', ratio).ratio.milli


def test_a_report_of_something_else_teaches_nothing_but_is_counted() -> None:
    ratio = Ratio(milli=1_150, low=1_030, high=1_220)
    lost = ratio.learn(counted=1_000, reported=0)
    compacted = lost.learn(counted=1_000, reported=56_000)

    assert Ratio(milli=1_150, low=1_030, high=1_220, refused=2) == compacted
    assert ratio == ratio.learn(counted=0, reported=5)


@given(REPORTS)
def test_the_bounds_always_hold_the_ratio_and_the_newest_report(reports) -> None:
    ratio = Ratio(milli=1_150, low=1_030, high=1_220)
    for counted, reported in reports:
        before, ratio = ratio, ratio.learn(counted=counted, reported=reported)

        assert 0 < ratio.low <= ratio.milli <= ratio.high
        if ratio.reports > before.reports:
            assert ratio.low <= reported * 1_000 // counted <= ratio.high


@given(TEXTS, TEXTS)
def test_more_text_is_never_fewer_tokens_and_bounds_are_in_order(one: str, two: str) -> None:
    counter = Counter('google', 'gemini-2.5-pro')
    count = counter.count(one + two)

    assert count.low <= count.tokens <= count.high
    assert count.tokens == counter.tokens(one + two)
    assert (count.tokens == 0) == (one + two == '')


def test_a_ratio_outside_its_bounds_is_refused() -> None:
    with pytest.raises(ContextError, match='expected it in between'):
        Ratio(milli=900, low=1_000, high=1_100)
