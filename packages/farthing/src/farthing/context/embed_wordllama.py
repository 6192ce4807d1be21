"""Embeddings of words, averaged: quick, from the weights in wordllama's wheel (an extra)."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import wordllama
from numpy.typing import ArrayLike


def embed(texts: Sequence[str]) -> ArrayLike:
    """One vector of 256 a text."""
    vectors: ArrayLike = _model().embed(list(texts))
    return vectors


@lru_cache(maxsize=1)
def _model() -> wordllama.WordLlamaInference:
    # Its wheel holds weights and tokenizer; without the folder's name it would fetch them.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
