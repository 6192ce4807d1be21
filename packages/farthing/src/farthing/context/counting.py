"""How many tokens a text is for a model, before the provider says so. It is always an estimate.

Texts are counted in OpenAI's encoding `o200k_base`, or by characters where none is installed, and a
ratio turns that into the model's own tokens. The ratio learns from what calls report.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from farthing import estimate
from farthing.context.encodings import o200k
from farthing.errors import ContextError

_ONE = 1_000  # ratios are in thousandths, so that equal reports give equal counts everywhere
# A report outside of these is of something else: images, a provider's own tools, a lost count.
_LEAST, _MOST = 300, 4_000
_SHARE = 5  # a new report moves the ratio by a fifth
_VERSION = re.compile(r'(?<![0-9])[0-9]{1,2}(?![0-9])')
_NEW_TOKENIZER = (4, 7)
_ENCODED = frozenset({'openai', 'azure'})


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of tokens that nobody has billed.

    Attributes:
        tokens: The estimate.
        low: It is hardly less.
        high: It is hardly more.
        method: How it was found.
    """

    tokens: int
    low: int
    high: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A model's own tokens for each of ours, in thousandths; numbers only, fit to be stored.

    Attributes:
        milli: The ratio.
        low: It is hardly less.
        high: It is hardly more.
        reports: From how many reports it was learned; 0 is a start from measured texts.
        refused: How many reports could not be of the text that was counted.

    Raises:
        ContextError: The numbers are in no order.
    """

    milli: int
    low: int
    high: int
    reports: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.milli <= self.high:
            raise ContextError(
                f'the ratio is {self.milli}, of {self.low} to {self.high}: expected it in between'
            )

    def learn(self, *, counted: int, reported: int) -> 'Ratio':
        """The ratio after a call whose prompt we counted and whose provider reported.

        Args:
            counted: Tokens of the whole prompt in our encoding, without any ratio.
            reported: Input tokens of the same prompt, cached ones included.
        """
        if counted < 1:
            return self
        seen = reported * _ONE // counted
        if not _LEAST <= seen <= _MOST:
            return replace(self, refused=self.refused + 1)
        if not self.reports:
            # One report says more about this model and these texts than any start.
            around = max(seen // 20, 1)
            return replace(self, milli=seen, low=seen - around, high=seen + around, reports=1)
        milli = self.milli + (seen - self.milli) // _SHARE
        # The bounds open at once and close slowly.
        low = min(seen, milli, self.low + (milli - self.low) // (4 * _SHARE))
        high = max(seen, milli, self.high - (self.high - milli) // (4 * _SHARE))
        return replace(self, milli=milli, low=low, high=high, reports=self.reports + 1)


class Counter:
    """Counts texts for one model.

    Attributes:
        ratio: As it is now; store it to go on later.
        method: How texts are counted.
    """

    def __init__(self, provider: str, model: str, ratio: Ratio | None = None) -> None:
        encoded = o200k()
        self.method = 'o200k_base' if encoded else 'characters'
        self._base: Callable[[str], int] = encoded or (lambda text: _by_characters(text, provider))
        self.ratio = ratio or _start(provider, model, encoded=encoded is not None)
        if self.ratio.milli != _ONE or self.ratio.reports:
            self.method += f' x {self.ratio.milli / _ONE:.2f}'

    def base(self, text: str) -> int:
        """Tokens in our encoding, without the ratio: what `Ratio.learn` takes as counted."""
        return self._base(text)

    def tokens(self, text: str) -> int:
        """About how many tokens a text is, rounded up."""
        return _times(self._base(text), self.ratio.milli)

    def count(self, text: str) -> Count:
        """The same with its bounds."""
        base = self._base(text)
        return Count(
            tokens=_times(base, self.ratio.milli),
            low=base * self.ratio.low // _ONE,
            high=_times(base, self.ratio.high),
            method=self.method,
        )


def _times(base: int, milli: int) -> int:
    return -(-base * milli // _ONE)


def _by_characters(text: str, provider: str) -> int:
    """By `farthing.estimate`; scripts that take more bytes a letter take more tokens, too."""
    size = len(text.encode('utf-8', 'surrogatepass'))
    return estimate.tokens((len(text) + size) // 2, provider)


def _start(provider: str, model: str, *, encoded: bool) -> Ratio:
    """Ratios measured on one text each of Python, English, JSON, Spanish and Japanese."""
    claude = 'claude' in model or provider == 'anthropic'
    if not encoded:
        # `farthing.estimate` is right within 30 percent, Asian scripts within a half.
        return Ratio(milli=_ONE, low=650, high=1_600)
    if not claude:
        # OpenAI's own encoding since GPT-4o, though what frames messages varies; others' is not.
        spread = (900, 1_150) if provider in _ENCODED else (700, 1_500)
        return Ratio(milli=_ONE, low=spread[0], high=spread[1])
    if _version(model) >= _NEW_TOKENIZER:
        return Ratio(milli=1_400, low=1_150, high=1_640)
    return Ratio(milli=1_150, low=1_030, high=1_220)


def _version(model: str) -> tuple[int, ...]:
    """`(4, 6)` for `claude-sonnet-4-6-20260301`; a model without one is taken to be new."""
    return tuple(map(int, _VERSION.findall(model.rpartition('/')[2])[:2])) or _NEW_TOKENIZER
