"""What every simulated API has in common: pure functions from a request to its answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from farthing_sim.caches import Caches

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What an answer holds that its request does not determine.

    `serial` is unique per server and request (ids are built from it), `time_s` is Unix time;
    `history` are the earlier items that a stateful API was asked to go on from; `scope` stands
    for who asks (caches are isolated by it).
    """

    serial: str
    time_s: float
    history: tuple[Json, ...] = ()
    scope: str = ''


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Tokens of a request, and which of them a prompt cache served or stored.

    `total` includes the rest; `write_30m` is OpenAI's, the other two are Anthropic's.
    """

    total: int
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    write_30m: int = 0

    @property
    def write(self) -> int:
        """Tokens stored, for whatever time."""
        return self.write_5m + self.write_1h + self.write_30m


def nothing() -> None:
    """A request that stores nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request's visit to its provider's prompt cache.

    `begin` is called when the first token of the answer leaves: only then can others read what
    this request has stored.
    """

    given: Input
    begin: Callable[[], None] = nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event; `body` is JSON, or text that is sent as it stands."""

    body: Json | str
    name: str | None = None


class Refusal(Exception):  # noqa: N818 - it is an answer of the provider, not a failure of ours
    """A request that the provider answers with an error.

    `kind`, `code` and `param` are the provider's own fields; unset ones follow from the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param


class Surface(Protocol):
    """One API of a provider. The modules of this package that are named for an API are such.

    `events` writes the same answer as a stream, so that plain and streamed calls cannot differ.
    """

    API: str
    REQUEST_ID: str

    def check(self, body: Json) -> None:
        """Raise a `Refusal` where the provider would."""
        ...

    def check_model(self, body: Json, models: Mapping[str, int]) -> None:
        """Raise a `Refusal` for a model that is none of these, or for more output than it gives.

        Args:
            body: A checked request.
            models: The most output tokens, by model.
        """
        ...

    def visit(self, body: Json, stamp: Stamp, caches: 'Caches') -> Visit:
        """Count a checked request's input and look it up in the provider's prompt cache."""
        ...

    def answer(self, body: Json, stamp: Stamp, given: Input) -> Json:
        """The whole answer to a checked request."""
        ...

    def events(self, body: Json, answer: Json) -> Iterator[Event]:
        """The same answer, streamed."""
        ...

    def failure(self, refusal: Refusal, request_id: str) -> Json:
        """An error in the provider's shape."""
        ...


def require(body: Mapping[str, Any], key: str, kinds: type | tuple[type, ...]) -> Any:
    """The value of a field that must be there.

    Raises:
        Refusal: 400, naming the field, if it is missing or of another type.
    """
    if key not in body:
        raise Refusal(400, f'{key}: Field required', param=key)
    value = body[key]
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise Refusal(400, f'{key}: Input has the wrong type', param=key)
    return value


def as_list(value: Any) -> list[Any]:
    """A content that may be a string, as the blocks or items that it stands for."""
    if value is None:
        return []
    return [{'type': 'text', 'text': value}] if isinstance(value, str) else list(value)
