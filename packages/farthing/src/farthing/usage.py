"""Token counts of one call, in one meaning for every provider: inclusive.

Cached tokens are part of `input_tokens`, reasoning tokens are part of `output_tokens`, as in
OpenTelemetry's `gen_ai.usage.*`. Providers that report disjoint counts are added up in `wire/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from farthing.errors import UsageError
from farthing.frozen import quick

_NO_TOOLS: Mapping[str, int] = MappingProxyType({})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens one call used, as the provider reported them.

    Attributes:
        input_tokens: All input, cached or not, of every modality.
        output_tokens: All output, reasoning included.
        cache_read_tokens: Part of the input that was read from a prompt cache.
        cache_write_tokens: Part of the input that was written to a prompt cache. What the three
            parts below leave of it was written for a time that the provider did not say.
        cache_write_5m_tokens: Written for five minutes (Anthropic).
        cache_write_1h_tokens: Written for one hour (Anthropic).
        cache_write_30m_tokens: Written for at least thirty minutes (OpenAI, GPT-5.6 and later).
        reasoning_tokens: Part of the output that was reasoning; `None` if not said.
        input_audio_tokens: Part of the input that was audio.
        input_image_tokens: Part of the input that was images.
        cache_read_audio_tokens: Part of `cache_read_tokens` that was audio; `None` if not said.
        cache_read_image_tokens: Part of `cache_read_tokens` that was images; `None` if not said.
        output_audio_tokens: Part of the output that was audio.
        output_image_tokens: Part of the output that was images.
        tool_uses: Uses of the provider's own tools by name, such as `{'web_search': 2}`.

    Raises:
        UsageError: A count is negative or no integer, or a part exceeds its whole.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_write_30m_tokens: int = 0
    reasoning_tokens: int | None = None
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cache_read_audio_tokens: int | None = None
    cache_read_image_tokens: int | None = None
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    tool_uses: Mapping[str, int] = field(default_factory=lambda: _NO_TOOLS)

    def __post_init__(self) -> None:
        if not self._is_plain():
            self._check_counts()
            self._check_parts()

    def _is_plain(self) -> bool:
        """Whether only common counts are given, and in order: true of nearly every usage.

        Each call makes one, so this looks at every field once and calls nothing but `type`.
        """
        asked, answered = self.input_tokens, self.output_tokens
        read, written = self.cache_read_tokens, self.cache_write_tokens
        for_5m, for_1h = self.cache_write_5m_tokens, self.cache_write_1h_tokens
        for_30m, thought = self.cache_write_30m_tokens, self.reasoning_tokens
        return (
            type(asked) is type(answered) is type(read) is type(written) is int
            and type(for_5m) is type(for_1h) is type(for_30m) is int
            # The sign of all of them: an `or` of whole numbers is negative where one of them is.
            and asked | answered | read | written | for_5m | for_1h | for_30m >= 0
            and read + written <= asked
            and for_5m + for_1h + for_30m <= written
            and (thought is None or (type(thought) is int and 0 <= thought <= answered))
            and self.input_audio_tokens is self.input_image_tokens is _ZERO
            and self.output_audio_tokens is self.output_image_tokens is _ZERO
            and self.cache_read_audio_tokens is self.cache_read_image_tokens is None
            and not self.tool_uses
        )

    def _check_counts(self) -> None:
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name, uses in self.tool_uses.items():
            _check_count(f'tool_uses[{name!r}]', uses)

    def _check_parts(self) -> None:
        cached = self.cache_read_tokens + self.cache_write_tokens
        if cached > self.input_tokens:
            raise _exceeds('cached tokens', cached, 'input_tokens', self.input_tokens)
        split = self.cache_write_5m_tokens + self.cache_write_1h_tokens
        split += self.cache_write_30m_tokens
        if split > self.cache_write_tokens:
            whole = 'cache_write_tokens'
            raise _exceeds('cache writes by lifetime', split, whole, self.cache_write_tokens)
        reasoning = self.reasoning_tokens or 0
        if reasoning > self.output_tokens:
            raise _exceeds('reasoning_tokens', reasoning, 'output_tokens', self.output_tokens)
        modal = self.input_audio_tokens + self.input_image_tokens
        if modal > self.input_tokens:
            raise _exceeds('audio and image input', modal, 'input_tokens', self.input_tokens)
        modal = (self.cache_read_audio_tokens or 0) + (self.cache_read_image_tokens or 0)
        if modal > self.cache_read_tokens:
            whole = 'cache_read_tokens'
            raise _exceeds('audio and image cache reads', modal, whole, self.cache_read_tokens)
        modal = self.output_audio_tokens + self.output_image_tokens
        if modal > self.output_tokens:
            raise _exceeds('audio and image output', modal, 'output_tokens', self.output_tokens)

    @property
    def uncached_input_tokens(self) -> int:
        """Input tokens billed at the full input price."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens

    @property
    def cache_write_unsplit_tokens(self) -> int:
        """Cache writes whose lifetime the provider did not say."""
        return (
            self.cache_write_tokens
            - self.cache_write_5m_tokens
            - self.cache_write_1h_tokens
            - self.cache_write_30m_tokens
        )

    def __add__(self, other: 'Usage') -> 'Usage':
        """The counts of both calls; a count that either did not say stays unsaid."""
        counts = {name: _sum(getattr(self, name), getattr(other, name)) for name in _COUNTS}
        tools = {
            name: self.tool_uses.get(name, 0) + other.tool_uses.get(name, 0)
            for name in sorted({*self.tool_uses, *other.tool_uses})
        }
        return Usage(**counts, tool_uses=tools)  # type: ignore[arg-type]


_COUNTS = tuple(f.name for f in fields(Usage) if f.name != 'tool_uses')
_ZERO = 0  # compared by identity: a zero of another type is looked at closely
_OPTIONAL = ('reasoning_tokens', 'cache_read_audio_tokens', 'cache_read_image_tokens')


def _check_count(name: str, count: object) -> None:
    if type(count) is int and count >= 0:
        return
    if count is None and name in _OPTIONAL:
        return
    raise UsageError(f'`{name}` is {count!r}: expected a whole number of at least 0')


def _exceeds(part: str, count: int, whole: str, total: int) -> UsageError:
    return UsageError(
        f'{part} ({count}) exceed `{whole}` ({total}): '
        'was a disjoint count read as an inclusive one?'
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
