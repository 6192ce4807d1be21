"""The static word embedding of the extra `farthing[wordllama]`: small, quick, on this machine."""

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from farthing.errors import InputError
from farthing.routing.policy import Embed

NAME = 'wordllama'
"""As it stands in an artefact."""


@lru_cache(maxsize=1)
def embedder() -> Embed:
    """Embeds texts by WordLlama's packaged vectors; reads no network.

    Raises:
        InputError: It is not installed.
    """
    found = find_spec('wordllama')
    if found is None or found.origin is None:
        raise InputError('the embedding needs WordLlama: `pip install "farthing[wordllama]"`')
    # The package looks for its own tokenizer in another folder than it ships it in, and would go
    # to the network for it: https://github.com/dleemiller/WordLlama (0.4.0.post1).
    package: Any = import_module('wordllama')
    model = package.WordLlama.load(cache_dir=Path(found.origin).parent, disable_download=True)

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors: Sequence[Sequence[float]] = model.embed(list(texts), norm=True)
        return vectors

    return embed
