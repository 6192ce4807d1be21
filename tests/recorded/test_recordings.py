"""What every recording says of itself, and what none may hold."""

import re
from pathlib import Path

import pytest
import yaml

RECORDINGS = sorted((Path(__file__).parent / 'cassettes').rglob('*.yaml'))
HEADERS = {'content-type', 'anthropic-beta'}


@pytest.mark.parametrize('file', RECORDINGS, ids=lambda file: f'{file.parent.name}/{file.stem}')
def test_a_recording_says_its_source_and_holds_no_key(file) -> None:
    text = file.read_text()

    assert text.startswith('# Written by `nox -s record`; do not edit.\n# Source: ')
    assert None is re.search(r'\bsk-', text)
    for one in yaml.safe_load(text)['interactions']:
        assert {*one['request']['headers'], *one['response']['headers']} <= HEADERS
