"""Calls written by hand: blocks with their sizes, and what the provider reported."""

from typing import Any

from farthing.caching.fingerprint import read
from farthing.caching.sent import Sent
from farthing.usage import Usage

SECOND = 1_000_000


def digest(text: str) -> str:
    """A stand-in of a keyed digest: hexadecimal, equal for equal texts."""
    return text.encode().hex()


def block(text: str, place: str) -> str:
    """The fingerprint of a block: `block('you are kind', 's0.4000*5m')`."""
    return digest(text) + place


def sent(number: int, *items: str, at_s: float = 0, **changes: Any) -> Sent:
    """A call of 4,000 tokens to Sonnet 4.5, whose answer begins after a second."""
    usage = {
        name: changes.pop(name, default)
        for name, default in (('input', 4_000), ('read', 0), ('written', 0))
    }
    at = int(at_s * SECOND)
    fields = {
        'id': f'call-{number}',
        'at_us': at,
        'begun_us': at + changes.pop('begins_s', 1) * SECOND,
        'scope': ('anthropic', 'api.anthropic.com'),
        'chain': (('acme', 'triage'),),
        'provider': 'anthropic',
        'api': 'anthropic_messages',
        'model': 'claude-sonnet-4-5',
        'usage': Usage(
            input_tokens=usage['input'],
            output_tokens=10,
            cache_read_tokens=usage['read'],
            cache_write_tokens=usage['written'],
        ),
        'prefix': read(items),
    }
    return Sent(**(fields | changes))
