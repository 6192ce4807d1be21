"""The adapters under recordings: played back without a network, written by `nox -s record`.

That one command records from the simulated providers or, where `ANTHROPIC_API_KEY` or
`OPENAI_API_KEY` is set, from that provider's real API. Each recording says at its head which it
was. In both cases the tap reads what passes, and the ledger must hold what the recording billed.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from vcr.serialize import serialize

import farthing_sim
from farthing import Entry, Ledger

ANTHROPIC, OPENAI = 'https://api.anthropic.com', 'https://api.openai.com'
# Nothing listens there: a recording is found by method, path and body.
NOWHERE = 'http://simulated.invalid'
KEPT_OF_REQUESTS = frozenset({'content-type', 'anthropic-beta'})
KEPT_OF_ANSWERS = frozenset({'content-type'})
RECORDED_AT = 1_795_392_000  # 2026-11-23: answers are stamped with it, so that they stay the same

HEAD = """\
# Written by `nox -s record`; do not edit.
# Source: {source}
# Request and answer headers are cut to a short list: no key, no account.
"""
SIMULATED = "farthing's simulated providers. No model has said this and nothing was billed."
REAL = 'the real API at {host}.'


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Where a model is reached, as the frameworks take it."""

    url: str
    key: str = 'sk-simulated'


@pytest.fixture
def addresses(record_mode: str) -> Iterator[Callable[[str, str], Provider]]:
    """The provider with a key variable: real, simulated or, when playing back, nowhere."""
    if record_mode == 'none':
        yield lambda variable, real: Provider(url=NOWHERE)
        return
    with farthing_sim.serving(seed='recorded', clock=lambda: RECORDED_AT) as sim:

        def address(variable: str, real: str) -> Provider:
            key = os.environ.get(variable)
            return Provider(url=real, key=key) if key else Provider(url=sim.url)

        yield address


@pytest.fixture
def anthropic(addresses) -> Provider:
    return addresses('ANTHROPIC_API_KEY', ANTHROPIC)


@pytest.fixture
def openai(addresses) -> Provider:
    at = addresses('OPENAI_API_KEY', OPENAI)
    return Provider(url=f'{at.url}/v1', key=at.key)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / 'farthing.db') as opened:
        yield opened


@pytest.fixture
def check(ledger: Ledger, vcr: Any) -> Callable[[], list[Entry]]:
    """Compare the ledger with the recording that was just made or played."""

    def check() -> list[Entry]:
        entries = [booked.entry for booked in ledger.entries()][::-1]
        answers = [answer['body']['string'] for answer in vcr.responses]

        assert answers
        assert sorted(map(billed, answers)) == sorted(
            (entry.usage.input_tokens, entry.usage.output_tokens) for entry in entries
        )
        assert {('ok', 'reported')} == {(entry.status, entry.usage_source) for entry in entries}
        assert {'acme'} == {entry.attribution.tenant for entry in entries}
        assert None not in {entry.run_id for entry in entries}
        assert 0 == ledger.report().lost
        return entries

    return check


def billed(answer: bytes) -> tuple[int, int]:
    """Inclusive input and output tokens of a recorded answer, plain or streamed."""
    if answer.startswith(b'{'):
        parts = [json.loads(answer)]
    else:
        lines = (line[6:] for line in answer.splitlines() if line.startswith(b'data: {'))
        parts = [json.loads(line) for line in lines]
    words: dict[str, Any] = {}
    for part in parts:
        whole = part.get('message') or part.get('response') or part
        words |= whole.get('usage') or {}
    cached = ('cache_read_input_tokens', 'cache_creation_input_tokens')
    asked = words.get('prompt_tokens') or words['input_tokens']
    answered = words.get('completion_tokens') or words.get('output_tokens') or 0
    return asked + sum(words.get(name) or 0 for name in cached), answered


# --- how recordings are kept --------------------------------------------------------------------


@pytest.fixture(scope='session')
def vcr_config() -> dict[str, Any]:
    return {
        'match_on': ['method', 'path', 'body'],
        'filter_headers': ['x-api-key', 'authorization'],
        'decode_compressed_response': True,
        'before_record_request': _kept_request,
        'before_record_response': _kept_answer,
    }


def _kept_request(request: Any) -> Any:
    """The request without what tells of a key, an account or a machine."""
    parts = urlsplit(request.uri)
    if parts.hostname == '127.0.0.1':
        request.uri = request.uri.replace(f'{parts.scheme}://{parts.netloc}', NOWHERE)
    request.headers = _kept(request.headers, KEPT_OF_REQUESTS)
    return request


def _kept_answer(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {'headers': _kept(answer['headers'], KEPT_OF_ANSWERS)}


def _kept(headers: Any, names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower() in names}


class _Headed:
    """Keeps recordings as another persister does, and says at the head where they come from."""

    def __init__(self, inner: Any) -> None:
        self.load_cassette = inner.load_cassette

    @staticmethod
    def save_cassette(path: str, cassette: dict[str, Any], serializer: Any) -> None:
        hosts = {urlsplit(request.uri).hostname for request in cassette['requests']}
        real = sorted(hosts - {urlsplit(NOWHERE).hostname})
        source = REAL.format(host=', '.join(real)) if real else SIMULATED
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(HEAD.format(source=source) + serialize(cassette, serializer))


def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    vcr.register_persister(_Headed(vcr.persister))
