"""OpenAI Embeddings: deterministic unit vectors, near each other for texts that share words.

https://platform.openai.com/docs/api-reference/embeddings.
"""

import base64
import hashlib
import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from farthing_sim import tokens
from farthing_sim.caches import Caches
from farthing_sim.openai_common import REQUEST_ID, check_model, failure
from farthing_sim.surface import Event, Input, Json, Refusal, Stamp, Visit, require

__all__ = [
    'API',
    'REQUEST_ID',
    'answer',
    'check',
    'check_model',
    'events',
    'failure',
    'vector',
    'visit',
]

API = 'openai_embeddings'
_DIMENSIONS = 1536
_DIMENSIONS_LARGE = 3072
_DIRECTIONS = 16
"""Each word points into so many dimensions; two words rarely share one."""


def check(body: Json) -> None:
    """Raise a `Refusal` where OpenAI would."""
    require(body, 'model', str)
    given = require(body, 'input', (str, list))
    if not given:
        raise Refusal(400, "'$.input' is invalid: it is empty.", param='input')
    if body.get('encoding_format') not in {None, 'float', 'base64'}:
        raise Refusal(400, "'encoding_format' must be float or base64.", param='encoding_format')
    dimensions = body.get('dimensions')
    if dimensions is not None and dimensions < 1:
        raise Refusal(
            400, f"'dimensions' must be at least 1, not {dimensions}.", param='dimensions'
        )


def visit(body: Json, stamp: Stamp, caches: Caches) -> Visit:  # noqa: ARG001 - nothing is cached
    """Count a checked request."""
    return Visit(given=Input(total=sum(map(len, _inputs(body['input'])))))


def answer(body: Json, stamp: Stamp, given: Input) -> Json:  # noqa: ARG001 - there is no id
    """The list of embeddings that answers a checked request."""
    size = body.get('dimensions') or (
        _DIMENSIONS_LARGE if 'large' in body['model'] else _DIMENSIONS
    )
    written = _base64 if body.get('encoding_format') == 'base64' else list
    inputs = _inputs(body['input'])
    return {
        'object': 'list',
        'data': [
            {'object': 'embedding', 'index': i, 'embedding': written(vector(words, size))}
            for i, words in enumerate(inputs)
        ],
        'model': body['model'],
        'usage': {'prompt_tokens': given.total, 'total_tokens': given.total},
    }


def events(body: Json, answer: Json) -> Iterator[Event]:  # noqa: ARG001 - as every surface
    """Embeddings are never streamed.

    Raises:
        Refusal: 400, always.
    """
    raise Refusal(400, "Unrecognized request argument supplied: 'stream'.", param='stream')


def vector(words: tuple[str, ...], size: int) -> list[float]:
    """A unit vector of the words of a text; word order does not matter."""
    sums = [0.0] * size
    for word in words:
        for at, sign in _directions(word.strip().lower()):
            sums[at % size] += sign
    length = math.sqrt(math.fsum(x * x for x in sums))
    if length == 0:
        return [1.0, *([0.0] * (size - 1))]
    return [x / length for x in sums]


@lru_cache(maxsize=10_000)
def _directions(word: str) -> tuple[tuple[int, float], ...]:
    digest = hashlib.shake_256(word.encode('utf-8', 'replace')).digest(4 * _DIRECTIONS)
    numbers = struct.unpack(f'<{_DIRECTIONS}I', digest)
    return tuple((n >> 1, 1.0 if n & 1 else -1.0) for n in numbers)


def _inputs(given: Any) -> list[tuple[str, ...]]:
    """The texts of a request as tokens; a text may come as a list of token numbers."""
    if isinstance(given, str):
        return [tuple(tokens.pieces(given))]
    if isinstance(given[0], int):
        return [tuple(map(str, given))]
    return [words for part in given for words in _inputs(part)]


def _base64(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f'<{len(numbers)}f', *numbers)).decode()
