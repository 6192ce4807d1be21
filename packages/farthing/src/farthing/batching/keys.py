"""How requests are known again: a keyed digest for the journal, a `custom_id` for the provider.

Anthropic has no label for a batch, so that the `custom_id` of each line carries the submission's:
the first line of a result proves whose it is.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from farthing.errors import InputError

_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'  # Crockford's base 32: no i, l, o, u
_WIDTH = 10
LABEL_BITS = 5 * _WIDTH
_FORM = re.compile(
    rf'f(?P<label>[{_ALPHABET}]{{{_WIDTH}}})-(?P<item>[{_ALPHABET}]{{{_WIDTH}}})-(?P<attempt>\d+)'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomId:
    """The name of one line of one batch.

    Attributes:
        label: The submission's label.
        item: The item's number in the ledger.
        attempt: Which attempt at the item, from 1.
    """

    label: str
    item: int
    attempt: int

    def __str__(self) -> str:
        return f'f{self.label}-{_digits(self.item)}-{self.attempt}'

    @classmethod
    def read(cls, text: str) -> 'CustomId | None':
        """The inverse; `None` where `text` is none of ours."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        item = 0
        for digit in found['item']:
            item = item * 32 + _ALPHABET.index(digit)
        return cls(label=found['label'], item=item, attempt=int(found['attempt']))


def label(number: int) -> str:
    """The label of a submission, from a random number of `LABEL_BITS` bits."""
    return _digits(number)


def digest(
    key: bytes,
    *,
    provider: str,
    base: str,
    path: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> str:
    """What equal requests have in common: an HMAC-SHA256, as 64 hexadecimal digits.

    Keyed by the ledger's secret, so that nobody finds a prompt by trying.

    Args:
        key: The ledger's key.
        provider: Who bills.
        base: The address up to the API's version, such as `https://api.anthropic.com/v1`.
        path: The path behind it.
        headers: The headers that change an answer: API version and betas.
        body: The JSON body.

    Raises:
        InputError: The body is no JSON.
    """
    facts = [provider, base, path, sorted(headers.items()), body]
    try:
        canonical = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InputError(
            f'a request to {path} cannot be written as JSON ({error}): it cannot be batched'
        ) from error
    return hmac.digest(key, canonical, 'sha256').hex()


def owns(label: str, custom_id: str) -> bool:
    """Whether a line is of the submission with that label."""
    read = CustomId.read(custom_id)
    return read is not None and read.label == label


def item_key(digest: str, *, owner: int | None, nth: int) -> str:
    """What an item of a job is known by.

    Args:
        digest: Of its request.
        owner: Number of the input that sent it; `None` where equal requests are merged.
        nth: How many equal requests the same input sent before.
    """
    return f'{digest}.{"" if owner is None else owner}.{nth}'


def _digits(number: int) -> str:
    if not 0 <= number < 32**_WIDTH:
        raise InputError(f'{number} does not fit into {_WIDTH} digits of a `custom_id`')
    digits = ''
    for _ in range(_WIDTH):
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
    return digits
