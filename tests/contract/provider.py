"""A provider on loopback that answers with recorded bytes, and remembers what it was asked."""

import json
import random
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .recordings import Exchange

_WIDEST = 700
_NOTHING_LEFT = 599


class Provider:
    """Answers each request with the next exchange in line, whatever is asked.

    Attributes:
        url: Its address.
        host: Host and port.
        line: The exchanges to answer with.
        requests: JSON bodies of what came in, oldest first.
    """

    def __init__(self, port: int) -> None:
        self.host = f'127.0.0.1:{port}'
        self.url = f'http://{self.host}'
        self.line: deque[Exchange] = deque()
        self.requests: list[dict[str, Any]] = []

    def expect(self, exchange: Exchange) -> None:
        """Answer with this one, and with those before it that it needs; with nothing else."""
        self.line = deque((*exchange.earlier, exchange))
        self.requests = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    provider: Provider

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers['content-length']))
        self.provider.requests.append(json.loads(body))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if not self.provider.line:
            self._head(_NOTHING_LEFT, 'application/json', 'content-length', '0')
            return
        exchange = self.provider.line.popleft()
        answer = exchange.answer
        if not exchange.streamed:
            self._head(200, exchange.content_type, 'content-length', str(len(answer)))
            self.wfile.write(answer)
            return
        self._head(200, exchange.content_type, 'transfer-encoding', 'chunked')
        for piece in _pieces(answer):
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        self.wfile.write(b'0\r\n\r\n')

    def _head(self, status: int, content_type: str, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header('content-type', content_type)
        self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client has closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _pieces(answer: bytes) -> Iterator[bytes]:
    """The answer in small pieces that end anywhere; the same ones for the same answer."""
    chance = random.Random(len(answer))  # noqa: S311 - a fixed seed, no secret
    start = 0
    while start < len(answer):
        end = start + chance.randint(1, _WIDEST)
        yield answer[start:end]
        start = end


@contextmanager
def serving() -> Iterator[Provider]:
    """A running provider; its thread ends with the block."""
    handler = type('Handler', (_Handler,), {})
    server = _Server(('127.0.0.1', 0), handler)
    handler.provider = Provider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05})
    thread.start()
    try:
        yield handler.provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
