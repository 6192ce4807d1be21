"""What the frameworks send is valid by the providers' OpenAPI documents.

The requests are those of our own recordings (`tests/recorded`); the documents lie beside the
repository. No false alarm is known among them, except for Responses: there the document flags every
fourth real request too, so these are only reported.
"""

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from .recordings import SHARED

RECORDED = Path(__file__).resolve().parents[1] / 'recorded' / 'cassettes'
SPECS = SHARED / 'data' / 'specs'

pytestmark = [
    pytest.mark.skipif(not SPECS.is_dir(), reason=f'no OpenAPI documents at {SPECS}'),
    pytest.mark.xdist_group('openapi'),
]


@functools.cache
def judge() -> Any:
    pytest.importorskip('jsonschema', reason='jsonschema is not installed')
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        return importlib.import_module('schema_judge')
    finally:
        sys.path.pop(0)


def requests(path: str) -> Iterator[tuple[str, list[str]]]:
    """Each recorded request to `path`, by file, with what the document says against it."""
    for file in sorted(RECORDED.rglob('*.yaml')):
        for one in yaml.safe_load(file.read_text())['interactions']:
            address = urlsplit(one['request']['uri'])
            if address.path == path:
                body = json.loads(one['request']['body'])
                yield file.stem, judge().check(address.path, body, 'beta=true' in address.query)


@pytest.mark.parametrize('path', ['/v1/messages', '/v1/chat/completions', '/v1/embeddings'])
def test_requests_are_valid(path) -> None:
    sent = list(requests(path))

    assert sent
    assert [] == [(file, reasons) for file, reasons in sent if reasons]


def test_responses_requests_are_reported(record_property) -> None:
    sent = list(requests('/v1/responses'))
    flagged = [file for file, reasons in sent if reasons]
    record_property(
        'summary', f'openapi /v1/responses: {len(flagged)} of {len(sent)} requests flagged'
    )

    assert sent
