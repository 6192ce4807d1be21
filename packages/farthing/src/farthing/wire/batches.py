"""What providers say of batches, in one form for all of them.

A dialect is one provider's words, as pure functions; who talks to the provider is `io`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from farthing.batching.retrying import Ending
from farthing.wire.fields import text

Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A batch as its provider shows it.

    Attributes:
        id: The provider's id.
        state: `running`; `ended`, and its results can be read; `failed`: nothing was answered.
        created_s: When it was created, in seconds since 1970.
        requests: How many requests it has; `None` while they are not counted.
        label: The label of ours that it carries; `None` where it carries none.
        file: Id of its input file.
        outputs: Where its results are, behind the API's version.
        answered: How many requests it answered; `None` while it does not say.
        tokens: Tokens of all its answers together; `None` where it does not say.
        full: Whether it failed because the queue is full.
        large: Whether it failed because it holds too much, so that smaller ones may do.
        refused: Numbers, from 0, of the lines that made it fail; none where all of them did.
        reason: Why it failed, in the provider's words.
    """

    id: str
    state: Literal['running', 'ended', 'failed']
    created_s: float
    requests: int | None = None
    label: str | None = None
    file: str | None = None
    outputs: tuple[str, ...] = ()
    answered: int | None = None
    tokens: int | None = None
    full: bool = False
    large: bool = False
    refused: tuple[int, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One result.

    Attributes:
        custom_id: As it was sent; empty where the line has none.
        ending: How it ended.
        status: HTTP status of the answer; 0 where there is none.
        body: The answer, or the error in the provider's own shape; `None` where there is neither.
        kind: Type or code of the error.
        message: The provider's words about it.
        tokens: Tokens of the answer, as the provider adds them up; `None` where it does not.
    """

    custom_id: str
    ending: Ending
    status: int = 0
    body: Words | None = None
    kind: str | None = None
    message: str = ''
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of a provider's batches or files.

    Attributes:
        batches: The batches on it.
        after: Where the next page begins; `None` where there is none.
    """

    batches: tuple[Remote, ...]
    after: str | None


def page(remote: Callable[[Words], Remote], words: Words) -> Listing:
    """A page of batches, each of which `remote` reads; both providers page alike."""
    more = text(words, 'last_id') if words.get('has_more') else None
    return Listing(batches=tuple(map(remote, words.get('data') or ())), after=more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one provider speaks of batches.

    Attributes:
        paths: Paths of the requests that it takes, behind the API's version.
        headers: Names of the headers that change an answer.
        uploads: Whether the requests go up as a file before the batch is created.
        line: One line of the upload, of custom id, path and the body's JSON.
        opening: The bytes before the lines, between two and behind the last.
        batched: A request's body as a batch takes it: without what asks for a stream.
        place: Where batches of requests to a path are created and listed.
        creation: The body that creates a batch of a label, a path and an uploaded file.
        remote: Reads a batch.
        listing: Reads a page of batches; `query` asks for the one after.
        query: The query of a page.
        result: Reads one line of the results.
        failure: An error in the provider's own shape, of its kind and message.
    """

    paths: frozenset[str]
    headers: frozenset[str]
    uploads: bool
    line: Callable[[str, str, bytes], bytes]
    opening: tuple[bytes, bytes, bytes]
    batched: Callable[[Words], dict[str, Any]]
    place: Callable[[str], str]
    creation: Callable[[str, str, str], dict[str, Any]]
    remote: Callable[[Words], Remote]
    listing: Callable[[Words], Listing]
    query: Callable[[str | None], dict[str, str]]
    result: Callable[[Words], Line]
    failure: Callable[[str, str], dict[str, Any]]

    def upload(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of an upload."""
        before, between, behind = self.opening
        yield before
        for number, line in enumerate(lines):
            yield between + line if number else line
        yield behind
