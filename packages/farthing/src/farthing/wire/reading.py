"""What a provider's answer says about itself, in one form for every provider.

Each file beside this one knows one provider's words and turns its answers into a `Reading`.
"""

from dataclasses import dataclass

from farthing.prices.quote import UNSAID, Terms
from farthing.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Usage inside one answer that is billed apart from the answer's own.

    Attributes:
        usage: Its inclusive counts.
        purpose: Why it was spent: `compaction`, or `user` for a model that the answer called.
        model: The model that was billed; `None` when it is the answer's own.
    """

    usage: Usage
    purpose: str
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one answer says.

    Attributes:
        usage: Inclusive counts; `None` when the answer carries none, which is not zero.
        model: The model that served, in the provider's words.
        response_id: The provider's id of the answer.
        terms: The conditions it was billed under, as far as the answer says.
        finish: Why it ended, in the provider's words; `None` while it has not.
        complete: Whether the answer ended as the protocol ends one.
        parts: Usage inside this answer that is billed apart.
        output_chars: Characters of visible output, for an estimate where usage is missing.
    """

    usage: Usage | None
    model: str | None = None
    response_id: str | None = None
    terms: Terms = UNSAID
    finish: str | None = None
    complete: bool = True
    parts: tuple[Part, ...] = ()
    output_chars: int = 0
