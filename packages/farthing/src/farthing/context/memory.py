"""Old texts of one session, to be found again within a budget of tokens."""

from collections.abc import Container, Sequence

from farthing.context.bm25 import Bm25
from farthing.context.ranking import Ranker, fused


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

    def find(self, query: str, among: Container[int], budget: int) -> tuple[int, ...]:
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
