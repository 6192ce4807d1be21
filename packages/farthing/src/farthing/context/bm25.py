"""Okapi BM25 over the texts of one session: plain Python, no weights, an index that grows.

Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), with the usual k1 and b. In a
dialogue an answer's words stand in the question before it, and its point often in what is said
next: a text's score takes up parts of its neighbours'. Words are compared without English endings;
other languages lose little by that.
"""

import re
from collections import Counter
from collections.abc import Sequence
from math import log

from farthing.context.ranking import best_first

_WORD = re.compile(r'\w+')
_K1, _B = 1.2, 0.75
_BEFORE, _AFTER, _TWO_BEFORE = 0.5, 0.3, 0.2
_STOP = frozenset(
    {
        'a', 'about', 'after', 'all', 'also', 'am', 'an', 'and', 'any', 'are', 'as', 'at', 'be',
        'been', 'before', 'being', 'but', 'by', 'can', 'could', 'd', 'did', 'do', 'does', 'doing',
        'for', 'from', 'get', 'got', 'had', 'has', 'have', 'having', 'he', 'her', 'here', 'hers',
        'him', 'his', 'how', 'i', 'if', 'in', 'into', 'is', 'it', 'its', 'just', 'like', 'll', 'm',
        'me', 'more', 'most', 'my', 'no', 'not', 'now', 'of', 'off', 'on', 'one', 'only', 'or',
        'other', 'our', 'out', 'over', 'own', 're', 's', 'same', 'she', 'should', 'so', 'some',
        'such', 't', 'than', 'that', 'the', 'their', 'them', 'then', 'there', 'these', 'they',
        'this', 'those', 'through', 'to', 'too', 'under', 'until', 'up', 've', 'very', 'was', 'we',
        'were', 'what', 'when', 'where', 'which', 'while', 'who', 'whom', 'why', 'will', 'with',
        'would', 'you', 'your', 'yours',
    }
)  # fmt: skip
_ENDINGS = (('ies', 'y'), ('ing', ''), ('ed', ''), ('es', ''), ('s', ''))
_LEAST_STEM = 3


class Bm25:
    """Ranks texts by the words that they and their neighbours share with a query."""

    def __init__(self) -> None:
        self._postings: dict[str, list[tuple[int, int]]] = {}
        self._lengths: list[int] = []
        self._norms: list[float] = []

    def add(self, text: str) -> None:
        """Take the next text; its number is how many came before."""
        words = Counter(_words(text))
        for word, times in words.items():
            self._postings.setdefault(word, []).append((len(self._lengths), times))
        self._lengths.append(words.total())
        self._norms = []

    def rank(self, query: str) -> list[int]:
        """Numbers of the texts that bear on a query, best first; of equal ones the newer first."""
        near = _with_neighbours(self._scores(query))
        return [number for number in best_first(near) if near[number]]

    def _scores(self, query: str) -> list[float]:
        count = len(self._lengths)
        scores = [0.0] * count
        norms = self._norms or self._measured()
        for word in dict.fromkeys(_words(query)):
            found = self._postings.get(word, ())
            weight = (_K1 + 1) * log(1 + (count - len(found) + 0.5) / (len(found) + 0.5))
            for number, times in found:
                scores[number] += weight * times / (times + norms[number])
        return scores

    def _measured(self) -> list[float]:
        """What long texts lose, by number."""
        mean = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        self._norms = [_K1 * (1 - _B + _B * length / mean) for length in self._lengths]
        return self._norms


def _with_neighbours(scores: Sequence[float]) -> list[float]:
    """Scores of texts in a row, with parts of the one before, the next and the second before."""
    after = [*scores[1:], 0.0]
    before = [0.0, *scores]
    two_before = [0.0, *before]
    return [
        own + _BEFORE * one + _AFTER * next_one + _TWO_BEFORE * two
        for own, one, next_one, two in zip(scores, before, after, two_before, strict=False)
    ]


def _words(text: str) -> list[str]:
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP]


def _stem(word: str) -> str:
    """The word without its ending: `hiking` and `hikes` are `hik`."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            word = word[: -len(ending)] + instead
            if ending in {'ing', 'ed'} and word[-1] == word[-2] and len(word) > _LEAST_STEM:
                word = word[:-1]
            break
    return word[:-1] if word.endswith('e') and len(word) > _LEAST_STEM else word
