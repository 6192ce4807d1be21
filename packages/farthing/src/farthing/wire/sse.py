"""Server-sent events out of bytes in any split, cheap enough to sit in a user's stream.

The common chunk (whole events, one data line each) is cut with two searches; everything else that
the standard allows takes the slow path. Nothing is parsed here: who reads the events looks at
their bytes first. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Mapping
from typing import Any

from farthing.errors import UsageError
from farthing.wire.fields import loads

Event = tuple[bytes, bytes]


class Events:
    """Cuts a byte stream into events of a name (may be empty) and data."""

    __slots__ = ('_rest',)

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        if b'\n' not in chunk and b'\r' not in chunk:
            # Joined once at the next line end: a large event in many pieces stays linear.
            self._rest.append(chunk)
            return []
        if self._rest:
            self._rest.append(chunk)
            chunk = b''.join(self._rest)
        held = b''
        if b'\r' in chunk:
            if chunk.endswith(b'\r'):
                # Its line feed may be the first byte of the next chunk.
                chunk, held = chunk[:-1], b'\r'
            chunk = chunk.replace(b'\r\n', b'\n').replace(b'\r', b'\n')
        *blocks, rest = chunk.split(b'\n\n')
        self._rest = [rest + held] if rest or held else []
        return [_event(block) for block in blocks if block]

    def end(self) -> list[Event]:
        """The event that the stream's end completes: some servers leave out the last blank line."""
        return self.feed(b'\n\n') if self._rest else []


def _event(block: bytes) -> Event:
    if block.startswith(b'data: ') and b'\n' not in block:
        return b'', block[6:]
    name = b''
    lines: list[bytes] = []
    for line in block.split(b'\n'):
        field, _, value = line.partition(b':')
        if field == b'data':
            lines.append(value.removeprefix(b' '))
        elif field == b'event':
            name = value.removeprefix(b' ')
    return name, b'\n'.join(lines)


class EventStream:
    """What the readers of streamed answers share; each of them says what an event means.

    Attributes:
        malformed: Events that were to be read and held no JSON object, or not the expected one.
    """

    __slots__ = ('_events', 'malformed')

    def __init__(self) -> None:
        self._events = Events()
        self.malformed = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; never raises."""
        self._take(self._events.feed(chunk))

    def end(self) -> None:
        """Take what the stream's end completes."""
        self._take(self._events.end())

    def _take(self, events: list[Event]) -> None:
        for name, data in events:
            try:
                self.event(name, data)
            except UsageError:
                self.malformed += 1

    def event(self, name: bytes, data: bytes) -> None:
        """Take one event."""
        raise NotImplementedError

    def parse(self, data: bytes) -> Mapping[str, Any]:
        """The JSON object of an event, empty and counted where it holds none."""
        words = loads(data)
        if words is None:
            self.malformed += 1
            return {}
        return words


def strings(*keys: str) -> re.Pattern[bytes]:
    """A pattern for a JSON string under one of `keys`, for `string_bytes`."""
    named = '|'.join(keys)
    return re.compile(rf'"(?:{named})"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)'.encode())


def string_bytes(data: bytes, pattern: re.Pattern[bytes]) -> int:
    """Bytes of the first string that `pattern` finds in `data`, unparsed: cheap, not exact."""
    found = pattern.search(data)
    return 0 if found is None else found.end(1) - found.start(1)
