"""What a provider's answer says about itself, in one form for every provider.

Each file beside this one knows one provider's words and turns its answers into a `Reading`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from farthing.caching.fingerprint import Piece
from farthing.frozen import quick
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
class CacheMiss:
    """Why the provider says that its prompt cache missed.

    Attributes:
        reason: In the provider's words, such as `system_changed`.
        tokens: How many tokens were missed; `None` where it does not say.
    """

    reason: str
    tokens: int | None = None


@quick
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
        iterations: The counts of each prompt behind `usage` where the provider ran several and
            says so; they sum to `usage`. A context band belongs to one prompt, not to their sum.
        purpose: `compaction` where the whole answer is one, else `user`.
        doubts: What the answer leaves open about its own bill, such as `web_search`: a price
            made from it is assumed, not exact.
        output_chars: Characters of visible output, for an estimate where usage is missing. In a
            stream they are the bytes of the JSON strings, which are never fewer.
        cache_miss: Why the provider says that its cache missed; `None` where it does not.
    """

    usage: Usage | None
    model: str | None = None
    response_id: str | None = None
    terms: Terms = UNSAID
    finish: str | None = None
    complete: bool = True
    parts: tuple[Part, ...] = ()
    iterations: tuple[Usage, ...] = ()
    purpose: str = 'user'
    doubts: tuple[str, ...] = ()
    output_chars: int = 0
    cache_miss: CacheMiss | None = None

    @property
    def plain(self) -> bool:
        """Whether it is one prompt of the user's own, with nothing left open about its bill."""
        return self.purpose == 'user' and not (self.parts or self.iterations or self.doubts)

    @property
    def prompts(self) -> tuple[Usage, ...]:
        """What is priced by itself: the counts of each prompt, and the tools with the first."""
        if self.usage is None:
            return ()
        if not self.iterations:
            return (self.usage,)
        first, *others = self.iterations
        return (
            replace(first, tool_uses=self.usage.tool_uses),
            *(replace(one, tool_uses={}) for one in others),
        )


NOTHING = Reading(usage=None)
"""Of an answer that says nothing about its bill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request says about itself; its texts stay where they are.

    Attributes:
        model: The model asked for; `None` where the address names it.
        stream: Whether a stream was asked for.
        terms: The conditions asked for. The served ones may differ: bill by the answer's.
        max_tokens: The most output that was allowed; `None` where the request does not say.
        tools: Names of the user's tools and kinds of the provider's own, in order.
        betas: Beta features named in the body.
    """

    model: str | None
    stream: bool = False
    terms: Terms = UNSAID
    max_tokens: int | None = None
    tools: tuple[str, ...] = ()
    betas: tuple[str, ...] = ()


class Stream(Protocol):
    """Reads a streamed answer while it passes by.

    `feed` takes the bytes as they arrive, in any split; `reading` may be asked at any time, also
    after an early end, and then says `complete=False`.
    """

    malformed: int

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; never raises."""

    def reading(self) -> Reading:
        """What the stream has said so far.

        Raises:
            UsageError: Its counts contradict each other.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How one API of one provider is read; every function is pure.

    Attributes:
        answer: Reads the JSON body of an answer that was not streamed.
        usage: Reads the usage object alone, as the provider sent it.
        stream: Makes a reader of one streamed answer.
        request: Reads the JSON body of a request.
        refine: Adds to a reading what only its request knows.
        blocks: The request's content blocks in the order in which a prompt cache sees them, for
            fingerprints: canonical bytes without cache marks, and each one's place.
        chars: Characters of all texts in the request, for an estimate.
        last_text: The text of the request's last user message; empty where there is none.
    """

    answer: Callable[[Mapping[str, Any]], Reading]
    usage: Callable[[Mapping[str, Any]], Reading]
    stream: Callable[[], Stream]
    request: Callable[[Mapping[str, Any]], Request]
    refine: Callable[[Reading, Mapping[str, Any]], Reading]
    blocks: Callable[[Mapping[str, Any]], Iterator[Piece]]
    chars: Callable[[Mapping[str, Any]], int]
    last_text: Callable[[Mapping[str, Any]], str]
