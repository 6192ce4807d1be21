"""The providers whose batches we speak."""

from collections.abc import Mapping
from types import MappingProxyType

from farthing.wire.anthropic_batches import MESSAGE_BATCHES
from farthing.wire.batches import Dialect
from farthing.wire.openai_batches import BATCHES

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {'anthropic': MESSAGE_BATCHES, 'openai': BATCHES}
)
