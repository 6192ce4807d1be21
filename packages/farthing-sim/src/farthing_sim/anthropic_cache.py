"""Anthropic's prompt cache: entries at marks, found by walking back from marks.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching. Where that page is silent:
a read keeps alive every marked prefix inside of what it read, an entry that is marked for longer
while it lives keeps its life, and nothing is evicted before entries are very many. The write that
a server's tool adds behind its results is left out: the results count as plain input.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from farthing_sim.anthropic_blocks import Prompt, Ttl
from farthing_sim.anthropic_models import minimum
from farthing_sim.surface import Input, Stamp, Visit

_TTL_S: dict[Ttl, float] = {'5m': 300.0, '1h': 3_600.0}
_TOOL_KINDS = frozenset({'tool_use', 'tool_result'})
_MANY = 100_000
"""Of twice as many entries, so many of the newest are kept: memory has its bounds."""

_Key = tuple[str, str, bytes]
"""Scope, model and digest of the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    ttl: Ttl
    expires_s: float


class AnthropicCache:
    """What is cached, for every scope and model.

    Args:
        lookback: Positions that a mark checks, its own included.
        collapse_tool_runs: Whether adjacent blocks of one tool kind are one position.
        min_tokens: The shortest cached prefix; `None` takes each model's own.
    """

    def __init__(self, *, lookback: int, collapse_tool_runs: bool, min_tokens: int | None) -> None:
        self._lookback = lookback
        self._collapse_tool_runs = collapse_tool_runs
        self._min_tokens = min_tokens
        self._entries: dict[_Key, _Entry] = {}

    def visit(self, prompt: Prompt, model: str, stamp: Stamp) -> Visit:
        """What a request that starts now reads, and what it stores when its answer begins."""
        now = stamp.time_s
        least = minimum(model) if self._min_tokens is None else self._min_tokens
        keys = [(stamp.scope, model, block.key) for block in prompt.blocks]
        marks = {i: ttl for i, ttl in prompt.marks.items() if prompt.blocks[i].tokens >= least}
        hit = max(
            (i for i in self._checked(prompt, marks) if self._lives(keys[i], now)), default=-1
        )
        # Counted from the start of this request, for what it reads and for what it writes.
        self._refresh((keys[i] for i in {*marks, hit} if 0 <= i <= hit), now)
        written = {i: ttl for i, ttl in marks.items() if i > hit}
        entries = {
            keys[i]: _Entry(ttl=ttl, expires_s=now + _TTL_S[ttl]) for i, ttl in written.items()
        }
        return Visit(given=_counted(prompt, hit, written), begin=lambda: self._store(entries, now))

    def _checked(self, prompt: Prompt, marks: Iterable[int]) -> Iterator[int]:
        """The positions that the marks look at."""
        for mark in marks:
            seen = 0
            for i in range(mark, -1, -1):
                seen += not (i < mark and self._is_one_position(prompt, i))
                if seen > self._lookback:
                    break
                yield i

    def _is_one_position(self, prompt: Prompt, i: int) -> bool:
        """Whether a block counts together with the one behind it."""
        kind = prompt.blocks[i].kind
        return (
            self._collapse_tool_runs and kind in _TOOL_KINDS and kind == prompt.blocks[i + 1].kind
        )

    def _lives(self, key: _Key, now: float) -> bool:
        entry = self._entries.get(key)
        return entry is not None and now < entry.expires_s

    def _refresh(self, keys: Iterable[_Key], now: float) -> None:
        for key in keys:
            if self._lives(key, now):
                entry = self._entries[key]
                self._entries[key] = replace(entry, expires_s=now + _TTL_S[entry.ttl])

    def _store(self, entries: Mapping[_Key, _Entry], now: float) -> None:
        if len(self._entries) > 2 * _MANY:
            live = [(key, e) for key, e in self._entries.items() if now < e.expires_s]
            self._entries = dict(live[-_MANY:])
        for key, entry in entries.items():
            other = self._entries.get(key)
            if other is None or other.expires_s <= entry.expires_s:
                self._entries[key] = entry


def _counted(prompt: Prompt, hit: int, written: Mapping[int, Ttl]) -> Input:
    """Tokens read and written; up to the last mark of an hour they are kept for an hour."""
    read = prompt.blocks[hit].tokens if hit >= 0 else 0
    ends = [prompt.blocks[i].tokens for i in written]
    hour_ends = [prompt.blocks[i].tokens for i, ttl in written.items() if ttl == '1h']
    hour_end = max(hour_ends, default=read)
    return Input(
        total=prompt.tokens,
        read=read,
        write_1h=hour_end - read,
        write_5m=max(ends, default=hour_end) - hour_end,
    )
