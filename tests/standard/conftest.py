"""The official standard tests of LangChain's chat models, against the simulated providers.

Every option that says what a model can do is switched on as far as the API has it. The suites
fetch a picture, a document and a sound from public hosts; small ones of our own stand in, so
that no test leaves this machine. `-ra` (our default) lists each skip with its reason.
"""

import struct
import zlib
from pathlib import Path

import httpx
import pytest


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack('>I', len(content)) + checked + struct.pack('>I', zlib.crc32(checked))


_PNG = (
    b'\x89PNG\r\n\x1a\n'
    + _chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b'IDAT', zlib.compress(b'\x00\x00'))
    + _chunk(b'IEND', b'')
)
_PDF = b'%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n'
_WAV = b'RIFF' + struct.pack('<I', 36) + b'WAVEfmt ' + struct.pack(
    '<IHHIIHH', 16, 1, 1, 8000, 8000, 1, 8
) + b'data' + struct.pack('<I', 0)  # fmt: skip
_STAND_INS = {'png': _PNG, 'pdf': _PDF, 'wav': _WAV}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the one test that would pin upstream's serialised form in a snapshot of ours."""
    skip = pytest.mark.skip(reason='a snapshot of upstream models is not ours to keep')
    for item in items:
        if item.path.parent == Path(__file__).parent and item.name.startswith('test_serdes'):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer the suites' `httpx.get` of public files; any key is a key."""

    def get(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, content=_STAND_INS[url.rpartition('.')[2]])

    monkeypatch.setattr(httpx, 'get', get)
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'any')
    monkeypatch.setenv('OPENAI_API_KEY', 'any')
    monkeypatch.setenv('LANGCHAIN_TESTS_USER_AGENT', 'farthing tests')
