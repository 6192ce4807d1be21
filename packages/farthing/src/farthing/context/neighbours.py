"""In a dialogue a text is read with those beside it: its score takes up a part of theirs."""

from collections.abc import Sequence

_BEFORE, _AFTER, _TWO_BEFORE = 0.5, 0.3, 0.2


def with_neighbours(scores: Sequence[float]) -> list[float]:
    """Scores of texts in a row, each with parts of the one before, the next and the second before.

    An answer's words are in the question before it, and the point of a turn often in the next.
    """
    after = [*scores[1:], 0.0]
    before = [0.0, *scores]
    two_before = [0.0, *before]
    return [
        own + _BEFORE * one + _AFTER * next_one + _TWO_BEFORE * two
        for own, one, next_one, two in zip(scores, before, after, two_before, strict=False)
    ]


def best_first(scores: Sequence[float]) -> list[int]:
    """Numbers of the texts by falling score; of equal ones the newer first."""
    order = list(range(len(scores) - 1, -1, -1))
    order.sort(key=scores.__getitem__, reverse=True)
    return order
