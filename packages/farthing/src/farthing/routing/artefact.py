"""A calibrated router as a JSON file: numbers and names, nothing that runs when it is read.

The file says what it was made from (`labels.digest`), how it was chosen and what was measured, and
carries a checksum over all of it. A file that is damaged, of another format, or that does not fit
this farthing's features is refused with an `ArtefactError`; a driver then serves its default route.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from farthing.errors import ArtefactError
from farthing.routing.calibrating import Calibrated
from farthing.routing.drift import Reference
from farthing.routing.features import SHAPES, STEMS
from farthing.routing.model import Model, Scale
from farthing.routing.numeric import Array, np

FORMAT = 'farthing-router'
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Artefact:
    """A calibrated router, as it was read.

    Attributes:
        model: It scores queries.
        threshold: Scores above it go to the strong model.
        weak: Name of the weak model's column at calibration.
        strong: Name of the strong model's column.
        embedding: Name of the embedding that it looks at; `None` without one.
        reference: How calibration queries were spread.
        labels: Number of labels that it was made from.
        digest: Names these labels.
        version: Names this artefact, as it stands in decision records.
    """

    model: Model
    threshold: float
    weak: str
    strong: str
    embedding: str | None
    reference: Reference
    labels: int
    digest: str
    version: str


def written(
    found: Calibrated,
    *,
    weak: str,
    strong: str,
    embedding: str | None,
    made: datetime,
) -> bytes:
    """The artefact's file.

    Args:
        found: What calibration found.
        weak: Name of the weak model.
        strong: Name of the strong model.
        embedding: Name of the embedding that was given; `None` without one.
        made: When, aware.
    """
    model, scale = found.model, found.model.scale
    body: dict[str, Any] = {
        'format': FORMAT,
        'version': VERSION,
        'made': made.isoformat(),
        'weak': weak,
        'strong': strong,
        'labels': {'count': found.labels, 'digest': found.digest},
        'methods': [method.name for method in found.methods],
        'apgr': found.apgr,
        'embedding': embedding,
        'threshold': found.threshold,
        'reference': {
            'count': found.reference.count,
            'strong_share': found.reference.strong_share,
            'spreads': found.reference.spreads,
        },
        'model': {
            'intercept': model.intercept,
            'tasks': model.tasks,
            'salt': model.salt,
            'shape': _listed(model.shape),
            'embedding': _listed(model.embedding),
            'bags': {kind: weights.tolist() for kind, weights in model.bags.items()},
            'shape_mean': scale.shape_mean.tolist(),
            'shape_spread': scale.shape_spread.tolist(),
            'rarity': {kind: scale.rarity[kind].tolist() for kind in model.bags},
        },
    }
    body['checksum'] = _checksum(body)
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(content: bytes) -> Artefact:
    """The artefact in a file's content.

    Raises:
        ArtefactError: It is damaged, of another version, or does not fit this farthing.
    """
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ArtefactError(f'the router is no JSON ({error}): calibrate it anew') from error
    if not isinstance(body, dict) or body.get('format') != FORMAT:
        raise ArtefactError(f'this is no router: expected a file with the format {FORMAT!r}')
    if body.get('version') != VERSION:
        raise ArtefactError(
            f'the router has the version {body.get("version")!r}, this farthing reads {VERSION}: '
            'calibrate it anew, or install the farthing that made it'
        )
    checksum = body.pop('checksum', None)
    if checksum != _checksum(body):
        raise ArtefactError('the router was changed after it was made: calibrate it anew')
    try:
        return _artefact(body, checksum)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f'the router lacks what this farthing expects ({error}): calibrate it anew'
        ) from error


def _artefact(body: Mapping[str, Any], checksum: str) -> Artefact:
    model, reference = body['model'], body['reference']
    bags = model['bags']
    missing = {'score', *SHAPES} - {*reference['spreads']}
    if missing:
        raise ArtefactError(f'the router lacks the spreads of {sorted(missing)}')
    return Artefact(
        model=Model(
            intercept=model['intercept'],
            tasks=None if model['tasks'] is None else dict(model['tasks']),
            salt=model['salt'],
            shape=_array(model['shape']),
            bags={kind: _numbers(bags[kind]) for kind in STEMS if kind in bags},
            embedding=_array(model['embedding']),
            scale=Scale(
                shape_mean=_numbers(model['shape_mean']),
                shape_spread=_numbers(model['shape_spread']),
                rarity={kind: _numbers(model['rarity'][kind]) for kind in STEMS if kind in bags},
            ),
        ),
        threshold=body['threshold'],
        weak=body['weak'],
        strong=body['strong'],
        embedding=body['embedding'],
        reference=Reference(
            count=reference['count'],
            strong_share=reference['strong_share'],
            spreads={name: tuple(steps) for name, steps in reference['spreads'].items()},
        ),
        labels=body['labels']['count'],
        digest=body['labels']['digest'],
        version=checksum[:12],
    )


def _checksum(body: Mapping[str, Any]) -> str:
    return sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _listed(values: Array | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _array(values: list[float] | None) -> Array | None:
    return None if values is None else _numbers(values)


def _numbers(values: list[float]) -> Array:
    return np.array(values, dtype=np.float64)
