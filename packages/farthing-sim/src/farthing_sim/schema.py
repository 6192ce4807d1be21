"""Values that follow a JSON schema, filled with what the user's text offers.

Numbers, quoted words, names and identifiers are taken from the text in order, so that a tool
is called with plausible arguments: `magic_function(3)` gets a 3, `the weather in Rome` a Rome.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_QUOTED = re.compile(r'(?<!\w)[\'"`“「]([^\'"`”」\n]{1,200})[\'"`”」](?!\w)')
_NAME = re.compile(r'(?<![.!?:]\s)(?<!^)\b[A-Z][\w-]+(?:,? [A-Z][\w-]*)*')
_NUMBER = re.compile(r'(?<![\w.])-?\d+(?:\.\d+)?(?!\w)')
_IDENTIFIER = re.compile(r'(?<![\w.])#?(?:[A-Za-z]{1,6}-?)?\d[\w-]*(?!\.\d|\w)')
_WORDS_OF_AN_EXCERPT = 12
_DEEPEST = 5
"""Below this depth optional parts are left out, so that recursive schemas end."""

_FORMATS = {
    'date': '2026-01-15',
    'date-time': '2026-01-15T12:00:00Z',
    'time': '12:00:00Z',
    'duration': 'P1D',
    'email': 'user@example.com',
    'hostname': 'example.com',
    'ipv4': '192.0.2.1',
    'ipv6': '2001:db8::1',
    'uri': 'https://example.com/',
    'uuid': '00000000-0000-4000-8000-000000000000',
}
# Tried in order where a schema asks for a pattern that no word of the text fits.
_PATTERN_TRIES = ('1', '0.5', 'a', 'A', 'abc', 'ABC', 'A1', '2026-01-15', '12:00', '0' * 8, 'a' * 8)


def excerpt(text: str) -> str:
    """The first words of a text, without the stop at its end."""
    words = text.split()
    return ' '.join(words[:_WORDS_OF_AN_EXCERPT]).rstrip('.!?:;,')


def example(schema: Mapping[str, Any], text: str = '') -> Any:
    """One value that the schema accepts, the same for the same schema and text."""
    return _Maker(schema, text).make(schema, name='', depth=0)


class _Maker:
    """Fills one schema; each thing found in the text is used once."""

    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self.root = root
        self.text = text
        self.quoted: Iterator[str] = iter(_QUOTED.findall(text))
        self.names: Iterator[str] = iter(n for n in _NAME.findall(text) if not re.search(r'\d', n))
        self.identifiers: Iterator[str] = iter(sorted(_IDENTIFIER.findall(text), key=str.isdigit))
        self.numbers: Iterator[str] = iter(_NUMBER.findall(text))

    def make(self, schema: Any, *, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping) or not schema:
            return excerpt(self.text)
        if '$ref' in schema:
            return self.make(self._resolve(schema['$ref']), name=name, depth=depth + 1)
        if 'const' in schema or 'enum' in schema:
            return schema['const'] if 'const' in schema else self._choose(schema['enum'])
        if 'allOf' in schema:
            return self.make(self._merge(schema), name=name, depth=depth)
        variants = schema.get('anyOf') or schema.get('oneOf')
        if variants:
            return self.make(_variant(variants, depth), name=name, depth=depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = _kind(schema, depth)
        if kind in {'integer', 'number'}:
            return self._number(schema, whole=kind == 'integer')
        match kind:
            case 'object':
                return self._object(schema, depth)
            case 'array':
                return self._array(schema, name, depth)
            case 'boolean' | 'null':
                return True if kind == 'boolean' else None
            case _:
                return self._string(schema, name)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get('required', ())
        return {
            key: self.make(part, name=key, depth=depth + 1)
            for key, part in schema.get('properties', {}).items()
            if key in required or (depth < _DEEPEST and 'default' not in part)
        }

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = schema.get('minItems', 0)
        size = min(max(least, int(depth < _DEEPEST)), schema.get('maxItems', least or 1))
        parts = list(schema.get('prefixItems', ()))
        parts += [schema.get('items', {'type': 'string'})] * (size - len(parts))
        return [self.make(part, name=name, depth=depth + 1) for part in parts]

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> Any:
        step = schema.get('multipleOf') or (1 if whole else 0)
        for found in self.numbers:
            value = float(found)
            if _fits(value, schema) and (not step or value % step == 0):
                return int(value) if value.is_integer() else value
        low = schema.get('minimum', schema.get('exclusiveMinimum'))
        high = schema.get('maximum', schema.get('exclusiveMaximum'))
        tries = [1, 0, low, high]
        tries += [low + (step or 1)] if low is not None else []
        tries += [high - (step or 1)] if high is not None else []
        tries += [(low + high) / 2] if low is not None and high is not None else []
        tries += [-(-low // step) * step, (low // step + 1) * step] if low and step else []
        for value in tries:
            if value is not None and _fits(value, schema) and not (step and value % step):
                return value
        return 1

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get('format') in _FORMATS:
            return _FORMATS[schema['format']]
        text = self._words(name)
        pattern = schema.get('pattern')
        if pattern and not re.search(pattern, text):
            tries = (*_QUOTED.findall(self.text), *self.text.split(), *_PATTERN_TRIES)
            text = next((word for word in tries if re.search(pattern, word)), text)
        text = text.ljust(schema.get('minLength', 0), '.')
        return text[: schema.get('maxLength', len(text))]

    def _words(self, name: str) -> str:
        if re.search(r'(^|_)(id|ids|number|no|code|key)$', name.lower()):
            found = next(self.identifiers, None)
            if found:
                return found.lstrip('#')
        return next(self.quoted, None) or next(self.names, None) or excerpt(self.text) or 'text'

    def _choose(self, values: list[Any]) -> Any:
        said = self.text.lower()
        return next((v for v in values if isinstance(v, str) and v.lower() in said), values[0])

    def _resolve(self, pointer: str) -> Any:
        part: Any = self.root
        for step in pointer.removeprefix('#').strip('/').split('/'):
            if step:
                part = part[step.replace('~1', '/').replace('~0', '~')]
        return part

    def _merge(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {key: part for key, part in schema.items() if key != 'allOf'}
        for part in schema['allOf']:
            whole = self._resolve(part['$ref']) if '$ref' in part else part
            properties = {**merged.get('properties', {}), **whole.get('properties', {})}
            required = [*merged.get('required', ()), *whole.get('required', ())]
            merged |= whole
            if properties:
                merged |= {'properties': properties, 'required': required}
        return merged


def _kind(schema: Mapping[str, Any], depth: int) -> str:
    kind = schema.get('type')
    if isinstance(kind, list):
        null_last = sorted(kind, key=lambda k: (k == 'null') == (depth < _DEEPEST))
        return str(null_last[0])
    if kind is None:
        return 'object' if 'properties' in schema else 'array' if 'items' in schema else 'string'
    return str(kind)


def _variant(variants: list[Any], depth: int) -> Any:
    """The first variant that says something; deep down `null` where it is allowed."""
    null = next((v for v in variants if v.get('type') == 'null'), None)
    if null is not None and depth >= _DEEPEST:
        return null
    return next((v for v in variants if v.get('type') != 'null'), variants[0])


def _fits(value: float, schema: Mapping[str, Any]) -> bool:
    return (
        schema.get('minimum', value) <= value <= schema.get('maximum', value)
        and not value <= schema.get('exclusiveMinimum', value - 1)
        and not value >= schema.get('exclusiveMaximum', value + 1)
    )
