"""Which waiting requests go into which batch.

One batch takes requests of one address and one API version, and of one model where the provider
wants that. Requests keep the order of their numbers, so that planning again gives the same plan.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_FILL = 0.95  # of the bytes: a batch is measured by us without what the provider wraps around it


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one batch of a provider takes at most.

    Attributes:
        requests: Number of requests.
        size: Bytes of the whole upload.
        one_model: Whether all must ask for the same model.
        labelled: Whether a batch carries a label of ours that its listing shows. Without one, a
            lost batch is found by its number of requests, so that numbers of open ones differ.
    """

    requests: int
    size: int
    one_model: bool
    labelled: bool

    def takes(self, size: int) -> bool:
        """Whether a request of that many bytes fits into a batch at all."""
        return size <= self.size * _FILL


# Anthropic: 100,000 requests or 256 MB; we stop at 64 MB, as the whole is one request of HTTP.
# OpenAI: 50,000 requests and 200 MB in one file, one model in a file.
LIMITS: Mapping[str, Limits] = MappingProxyType(
    {
        'anthropic': Limits(requests=100_000, size=64 << 20, one_model=False, labelled=False),
        'openai': Limits(requests=50_000, size=200_000_000, one_model=True, labelled=True),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go that may share a batch.

    Attributes:
        provider: Who bills.
        base: The address up to the API's version, such as `https://api.anthropic.com/v1`.
        path: The path of the synchronous API behind it.
        account: Fingerprint of the credentials that pay.
        headers: Names and values of what changes an answer: API version and betas.
        model: The model; `None` where a batch may mix them.
    """

    provider: str
    base: str
    path: str
    account: str
    headers: tuple[tuple[str, str], ...] = ()
    model: str | None = None

    @classmethod
    def of(
        cls,
        *,
        provider: str,
        base: str,
        path: str,
        account: str,
        headers: Mapping[str, str],
        model: str,
    ) -> 'Target':
        """Where a request goes that asks for that model."""
        return cls(
            provider=provider,
            base=base,
            path=path,
            account=account,
            headers=tuple(sorted(headers.items())),
            model=model if LIMITS[provider].one_model else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An item that waits for a batch.

    Attributes:
        id: Its number.
        target: Where it goes.
        size: Bytes of its line in the upload.
        tokens: Its estimated input tokens.
    """

    id: int
    target: Target
    size: int
    tokens: int


@dataclass(slots=True, kw_only=True)
class Chunk:
    """The items of one batch to be."""

    target: Target
    ids: list[int] = field(default_factory=list)
    size: int = 0
    tokens: int = 0

    def add(self, item: Waiting) -> None:
        """Take one more."""
        self.ids.append(item.id)
        self.size += item.size
        self.tokens += item.tokens


def chunks(
    items: Iterable[Waiting],
    limits: Limits,
    *,
    room: int | None = None,
    open_sizes: Collection[int] = (),
) -> Iterator[Chunk]:
    """The batches that the items of one target make, in order.

    Args:
        items: Of one target, by number.
        limits: The provider's.
        room: Estimated input tokens that may still be enqueued; `None` is unlimited. What comes
            behind the first item that does not fit is left out.
        open_sizes: Numbers of requests of the open batches at the same address.
    """
    taken = set(open_sizes)
    chunk: Chunk | None = None
    for item in items:
        if room is not None and item.tokens > room:
            break
        if chunk is not None and not _fits(chunk, item, limits):
            yield from _distinct(chunk, taken, limits)
            chunk = None
        chunk = chunk or Chunk(target=item.target)
        chunk.add(item)
        room = None if room is None else room - item.tokens
    if chunk is not None:
        yield from _distinct(chunk, taken, limits)


def _fits(chunk: Chunk, item: Waiting, limits: Limits) -> bool:
    return len(chunk.ids) < limits.requests and limits.takes(chunk.size + item.size)


def _distinct(chunk: Chunk, taken: set[int], limits: Limits) -> Iterator[Chunk]:
    """The chunk, cut in two where another open batch has as many requests."""
    first, rest = chunk, None
    count = len(chunk.ids)
    if not limits.labelled and count in taken and count > 1:
        cut = next((n for n in range(count - 1, count // 2, -1) if n not in taken), None)
        if cut is not None:
            share = chunk.size // count, chunk.tokens // count
            tail = count - cut
            rest = Chunk(
                target=chunk.target,
                ids=chunk.ids[cut:],
                size=share[0] * tail,
                tokens=share[1] * tail,
            )
            first = Chunk(
                target=chunk.target,
                ids=chunk.ids[:cut],
                size=chunk.size - rest.size,
                tokens=chunk.tokens - rest.tokens,
            )
    taken.add(len(first.ids))
    yield first
    if rest is not None:
        taken.add(len(rest.ids))
        yield rest
