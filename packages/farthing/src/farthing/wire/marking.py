"""Which module reads and marks the payloads of an API; see `farthing.caching.plan` for its use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from farthing.caching.block import Prompt
from farthing.caching.plan import Plan
from farthing.wire import anthropic_marks, openai_marks

Words = Mapping[str, Any]


class Reads(Protocol):
    """Reads a payload."""

    def __call__(self, payload: Words, *, provider: str = ..., model: str | None = None) -> Prompt:
        """The payload as a prompt cache sees it; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """How the payloads of one API are read and marked.

    Attributes:
        prompt: The payload as blocks.
        marked: A copy with a plan's marks and options, without those of other providers.
        stripped: A copy without those of other providers.
    """

    prompt: Reads
    marked: Callable[[Words, Plan], dict[str, Any]]
    stripped: Callable[[Words], dict[str, Any]]


_ANTHROPIC = Marking(
    prompt=anthropic_marks.prompt,
    marked=anthropic_marks.marked,
    stripped=anthropic_marks.stripped,
)
_OPENAI = Marking(
    prompt=openai_marks.prompt, marked=openai_marks.marked, stripped=openai_marks.stripped
)
MARKINGS: Mapping[str, Marking] = MappingProxyType(
    {
        'anthropic_messages': _ANTHROPIC,
        'openai_chat': _OPENAI,
        'openai_responses': _OPENAI,
    }
)
