"""Ranks texts by embeddings, whoever makes them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from farthing.context.neighbours import best_first, with_neighbours

Embed = Callable[[Sequence[str]], ArrayLike]
"""One vector a text, in order."""


class Embedded:
    """Ranks texts by the cosine of their embedding and the query's, and by their neighbours'.

    Texts are embedded when they are first looked for, all new ones at once.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._new: list[str] = []
        self._vectors: list[np.ndarray] = []

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
        return best_first(with_neighbours(scores.tolist()))

    def _units(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.asarray(self._embed(texts), dtype=np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
