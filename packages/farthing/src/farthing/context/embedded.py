"""Ranks texts by embeddings, whoever makes them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from farthing.context.ranking import best_first

Embed = Callable[[Sequence[str]], ArrayLike]
"""One vector a text, in order."""


class Embedded:
    """Ranks texts by the cosine of their embedding and the query's.

    Texts are embedded when they are first looked for, all new ones at once.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._new: list[str] = []
        self._vectors: list[NDArray[np.float32]] = []

    def add(self, text: str) -> None:
        """Take the next text; its number is how many came before."""
        self._new.append(text)

    def rank(self, query: str) -> list[int]:
        """Numbers of all texts, best first."""
        if self._new:
            self._vectors.append(self._units(self._new))
            self._new = []
        if not self._vectors:
            return []
        self._vectors = [np.concatenate(self._vectors)]
        scores = self._vectors[0] @ self._units([query])[0]
        return best_first(scores.tolist())

    def _units(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.asarray(self._embed(texts), dtype=np.float32)
        lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A text without a word that the model knows has a vector of zeros: it bears on nothing.
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
