"""Old texts of one session, to be found again within a budget of tokens.

Rankers order all texts by how much they bear on a query; several are joined by reciprocal rank
fusion (Cormack, Clarke and Buettcher, SIGIR 2009, with its constant 60), which needs no scores.
"""

from collections.abc import Sequence
from typing import Protocol

from farthing.context.bm25 import Bm25

_RANK = 60


class Ranker(Protocol):
    """Orders the texts of one session."""

    def add(self, text: str) -> None:
        """Take the next text; its number is how many came before."""

    def rank(self, query: str) -> Sequence[int]:
        """Numbers of texts that bear on a query, best first; it may leave out those that do not."""


class Memory:
    """The texts of one session and of no other; kept in memory by who has the session.

    Its numbers are positions of blocks where each block's text is added in turn. Changed by `add`
    alone: one thread adds, many may look.
    """

    def __init__(self, rankers: Sequence[Ranker] | None = None) -> None:
        """Start empty; by default texts are ranked by BM25."""
        self._rankers = (Bm25(),) if rankers is None else tuple(rankers)
        self._tokens: list[int] = []

    def add(self, text: str, tokens: int) -> None:
        """Take the next text and its length."""
        for ranker in self._rankers:
            ranker.add(text)
        self._tokens.append(tokens)

    def __len__(self) -> int:
        """How many texts it holds."""
        return len(self._tokens)

    def find(self, query: str, among: range, budget: int) -> tuple[int, ...]:
        """The best texts that together fit into a budget, in their own order.

        Args:
            query: What is asked now.
            among: Numbers of the texts that may be found.
            budget: Tokens; a text that does not fit is passed over.
        """
        found, left = [], budget
        for number in fused([ranker.rank(query) for ranker in self._rankers]):
            if number in among and self._tokens[number] <= left:
                found.append(number)
                left -= self._tokens[number]
        return tuple(sorted(found))


def fused(ranks: Sequence[Sequence[int]]) -> list[int]:
    """One order of several: who stands high in many stands high."""
    if len(ranks) == 1:
        return list(ranks[0])
    scores: dict[int, float] = {}
    for order in ranks:
        for place, number in enumerate(order, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (_RANK + place)
    return sorted(scores, key=lambda number: (-scores[number], -number))
