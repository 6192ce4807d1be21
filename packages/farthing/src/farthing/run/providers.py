"""What driving a batch needs of a provider. `farthing.io.batch_http` does it over HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from farthing.batching.chunking import Target
from farthing.wire.batches import Remote


class Refused(Exception):  # noqa: N818 - it is an answer of the provider
    """The provider has refused, and nothing was created.

    Attributes:
        status: HTTP status; 0 where no byte of the request has left.
        kind: The provider's type of the error.
    """

    def __init__(self, status: int, kind: str | None, message: str) -> None:
        super().__init__(f'HTTP {status}: {message}' if status else message)
        self.status = status
        self.kind = kind


class InDoubt(Exception):  # noqa: N818 - it is the state of our knowledge
    """A request left, and its answer did not come: nobody knows what it did."""


class Provider(Protocol):
    """One provider at one address, with one account's credentials.

    Every method raises `Refused` or `InDoubt`. None of them tries twice by itself.
    """

    def uploaded(self, name: str, size: int) -> str | None:
        """The id of the file that was uploaded under that name, with so many bytes."""

    def upload(self, name: str, content: Path) -> str:
        """Upload a file, and its id; nothing is billed for it."""

    def create(self, target: Target, label: str, *, content: Path, file: str | None) -> Remote:
        """Create a batch: of an uploaded file, else of the content."""

    def get(self, target: Target, batch: str) -> Remote:
        """A batch as it is now."""

    def listed(self, target: Target, since_s: float) -> list[Remote]:
        """The batches that were created since a time."""

    def results(self, target: Target, output: str) -> Iterator[bytes]:
        """The lines of one of its results."""

    def cancel(self, target: Target, batch: str) -> None:
        """Ask a batch to stop; what is under way may still be answered."""

    def ask(self, target: Target, body: bytes) -> tuple[int, bytes]:
        """Ask one request at once: the HTTP status and the body of the answer."""


Providers = Callable[[Target], Provider | None]
"""The provider of a target; `None` where no credentials for it are known."""
