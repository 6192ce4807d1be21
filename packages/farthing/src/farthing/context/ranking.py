"""Orders of texts by how much they bear on a query, and how several become one."""

from collections.abc import Sequence
from typing import Protocol

_RANK = 60


class Ranker(Protocol):
    """Orders the texts of one session."""

    def add(self, text: str) -> None:
        """Take the next text; its number is how many came before."""

    def rank(self, query: str) -> Sequence[int]:
        """Numbers of texts that bear on a query, best first; it may leave out those that do not."""


def best_first(scores: Sequence[float]) -> list[int]:
    """Numbers of the texts by falling score; of equal ones the newer first."""
    order = list(range(len(scores) - 1, -1, -1))
    order.sort(key=scores.__getitem__, reverse=True)
    return order


def fused(orders: Sequence[Sequence[int]]) -> list[int]:
    """One order of several: who stands high in many stands high.

    Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009, with its constant 60): it
    needs no scores, which would not compare.
    """
    if len(orders) == 1:
        return list(orders[0])
    scores: dict[int, float] = {}
    for order in orders:
        for place, number in enumerate(order, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (_RANK + place)
    return sorted(scores, key=lambda number: (-scores[number], -number))
