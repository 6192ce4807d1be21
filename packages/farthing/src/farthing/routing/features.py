"""What a trained router sees of a query: its shape, and its words as anonymous buckets.

Words, whole or cut to a stem, are counted in buckets by a keyed hash, so that what is
learned holds weights of buckets and no vocabulary. A user's own embedding can stand beside them.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log1p
from types import MappingProxyType
from typing import Literal
from zlib import crc32

from farthing.routing.numeric import Array, np
from farthing.routing.policy import Embed

SHAPES = (
    'characters',
    'words',
    'word length',
    'digit share',
    'lines a word',
    'lines',
    'digits',
    'questions',
    'symbol share',
    'capital share',
    'different words',
    'non-ASCII share',
)
BUCKETS = 512
Bag = Literal['words', 'stems']
STEMS: Mapping[Bag, int] = MappingProxyType({'words': 8, 'stems': 4})
"""How many characters of a word count. Code and commands want whole words, and prose, of which
there are never enough labels, wants what its words have in common."""
_TOKEN = re.compile(r'[^\W\d_]+|\d+|[^\w\s]|_')
_TIE = 1e-9  # far below any difference of scores that means something
_MOST_CHARACTERS = 20_000  # a decision stays quick on a prompt of megabytes


def shape(text: str) -> list[float]:
    """Numbers that describe the text's form, in the order of `SHAPES`."""
    text = text[:_MOST_CHARACTERS]
    words = text.split()
    size, count = max(len(text), 1), max(len(words), 1)
    lines, digits = text.count('\n'), sum(map(str.isdigit, text))
    letters = sum(map(str.isalnum, text)) + sum(map(str.isspace, text))
    return [
        log1p(len(text)),
        log1p(len(words)),
        len(text) / count,
        digits / size,
        lines / count,
        log1p(lines),
        log1p(digits),
        log1p(text.count('?')),
        1 - letters / size,
        sum(map(str.isupper, text)) / size,
        log1p(len(set(words))),
        0.0 if text.isascii() else sum(one > '\x7f' for one in text) / size,
    ]


def buckets(text: str, stem: int, salt: int) -> tuple[list[int], list[float]]:
    """The buckets of the text's words, cut to `stem` characters, and their signed weights."""
    found: Counter[int] = Counter()
    for token in _TOKEN.findall(text[:_MOST_CHARACTERS].lower()):
        word = f'#{len(token)}' if token[0].isdigit() else token
        found[crc32(word[:stem].encode('utf-8', 'surrogatepass'), salt)] += 1
    return (
        [code % BUCKETS for code in found],
        [log1p(times) if code >> 31 else -log1p(times) for code, times in found.items()],
    )


def shapes(texts: Sequence[str]) -> Array:
    """One row of `shape` a text."""
    return np.array([shape(text) for text in texts], dtype=np.float64).reshape(-1, len(SHAPES))


def bag(texts: Sequence[str], kind: Bag, salt: int) -> Array:
    """One row of summed bucket weights a text."""
    rows = np.zeros((len(texts), BUCKETS))
    for row, text in zip(rows, texts, strict=True):
        where, weights = buckets(text, STEMS[kind], salt)
        np.add.at(row, where, weights)
    return rows


def ties(texts: Sequence[str], salt: int) -> Array:
    """A tiny, fixed order among texts, so that any share of equal scores can be met."""
    codes = [crc32(text.encode('utf-8', 'surrogatepass'), salt) for text in texts]
    return np.array(codes, dtype=np.float64) * (_TIE / 2**32)


def embedded(texts: Sequence[str], embed: Embed) -> Array:
    """One row of the user's embedding a text, of length 1."""
    rows = np.asarray(embed(texts), dtype=np.float64).reshape(len(texts), -1)
    return unit(rows)


def unit(rows: Array) -> Array:
    """Each row at length 1; a row of nothing stays nothing."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)
