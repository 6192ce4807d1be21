"""Reading a large array of JSON objects piece by piece, so that it is never in memory whole."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator

from farthing_sim.surface import Json

_DECODER = json.JSONDecoder()
_S = r'[ \t\r\n]*'
_SPACE = re.compile(_S)
_END = re.compile(rf'{_S}\}}{_S}')


class ArrayError(ValueError):
    """What was read is no such array."""


def objects(parts: Iterable[bytes], key: str) -> Iterator[tuple[str, Json]]:
    """The objects of `{"<key>": [{...}, ...]}`, each as it is written and as a value.

    Args:
        parts: The text in UTF-8, cut anywhere.
        key: The array's; there may be no other one beside it.

    Raises:
        ArrayError: This is no such array.
    """
    decode = codecs.getincrementaldecoder('utf-8')().decode
    reader = _Reader(key)
    for part in parts:
        try:
            reader.text += decode(part)
        except UnicodeDecodeError as error:
            raise ArrayError('not UTF-8') from error
        # An object in many pieces is tried again only when it has grown as large again.
        if len(reader.text) >= reader.enough:
            yield from reader.complete()
    yield from reader.complete()
    if reader.last != ']' or not _END.fullmatch(reader.text):
        raise ArrayError(f'expected an object with {key!r} alone, an array of objects')


class _Reader:
    """What is read and not yet understood, and the last mark before it."""

    def __init__(self, key: str) -> None:
        self.text = ''
        self.enough = 0
        self.last = ''
        self._head = re.compile(rf'{_S}\{{{_S}"{re.escape(key)}"{_S}:{_S}\[')

    def complete(self) -> Iterator[tuple[str, Json]]:
        """The objects that can be read by now."""
        at = 0
        if not self.last and (head := self._head.match(self.text)):
            self.last, at = '[', head.end()
        while self.last not in {'', ']'}:
            at = self._skip(at)
            mark = self.text[at : at + 1]
            if mark == '{' and self.last in '[,':
                try:
                    value, end = _DECODER.raw_decode(self.text, at)
                except json.JSONDecodeError:
                    break
                yield self.text[at:end], value
                self.last, at = '}', end
            elif (mark == ',' and self.last == '}') or (mark == ']' and self.last in '[}'):
                self.last, at = mark, at + 1
            elif mark:
                raise ArrayError(f'expected an array of objects, not {mark!r} after {self.last!r}')
            else:
                break
        self.text = self.text[at:]
        self.enough = 0 if self.last == ']' else 2 * len(self.text)

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        return at if space is None else space.end()
