"""OpenAI's prompt caches: that of models up to GPT-5.5, and that of GPT-5.6 and later.

https://platform.openai.com/docs/guides/prompt-caching. The older one is automatic: prefixes of at
least 1,024 tokens in steps of 128. The newer one stores at breakpoints only, at their exact place.
Both are kept by machines, to which requests go by the beginning of their prompt and their key.
"""

import hashlib
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping

from farthing_sim.openai_prompt import Prompt, has_breakpoints, version
from farthing_sim.surface import Input, Json, Stamp, Visit

_LEAST = 1_024
_STEP = 128
_ROUTED_BY = 256
"""Tokens at the beginning of a prompt that choose its machine."""
_MINUTE_S = 60.0
_DAY_S = 86_400.0
_BREAKPOINT_S = 1_800.0
_MOST_WRITTEN = 4
_MOST_MATCHED = 80
_MANY = 100_000
"""Of twice as many entries, so many of the newest are kept: memory has its bounds."""

_Route = tuple[str, str, bytes, str]
"""Scope, model, digest of the prompt's beginning, and the request's own key."""
_Key = tuple[_Route, int, bytes]
"""Route, number of the machine that serves it, digest of the prefix."""


class OpenAICache:
    """What is cached, for every scope, model and machine.

    Args:
        min_tokens: The shortest cached prefix; `None` takes 1,024.
        hit_probability: Share of requests to older models that look into their cache at all.
        requests_per_min: What a machine takes of one route.
        idle_s: How long older models keep an unused prefix in memory.
    """

    def __init__(
        self,
        *,
        min_tokens: int | None,
        hit_probability: float,
        requests_per_min: int,
        idle_s: float,
    ) -> None:
        self._least = _LEAST if min_tokens is None else min_tokens
        self._hit_probability = hit_probability
        self._requests_per_min = requests_per_min
        self._idle_s = idle_s
        self._recent: defaultdict[tuple[_Route, int], deque[float]] = defaultdict(deque)
        self._served: Counter[_Route] = Counter()
        self._expires_s: dict[_Key, float] = {}

    def visit(self, prompt: Prompt, body: Json, stamp: Stamp) -> Visit:
        """What a request that starts now reads, and what it stores when its answer begins."""
        total = len(prompt.tokens)
        if total < self._least:
            return Visit(given=Input(total=total))
        by_breakpoints = has_breakpoints(body['model'])
        matched, stored = _breakpoints(prompt, body) if by_breakpoints else self._steps(prompt)
        matched, stored = ([n for n in cuts if n >= self._least] for cuts in (matched, stored))
        now = stamp.time_s
        machine = self._machine(prompt, body, stamp)
        digests = _digests(prompt.tokens, {*matched, *stored})
        keys = {n: (*machine, digest) for n, digest in digests.items()}
        finds = by_breakpoints or self._finds(machine[0])
        live = {n for n, key in keys.items() if finds and now < self._expires_s.get(key, 0.0)}
        read = max(live.intersection(matched), default=0)
        new = [n for n in stored if n > read]
        expires_s = now + (_BREAKPOINT_S if by_breakpoints else self._idle_life_s(body))
        used = [n for n in {read, *stored} if n <= read and n in live]
        self._store((keys[n] for n in used), expires_s, now)
        written = max(new, default=read) - read if by_breakpoints else 0
        return Visit(
            given=Input(total=total, read=read, write_30m=written),
            begin=lambda: self._store((keys[n] for n in new), expires_s, now),
        )

    def _steps(self, prompt: Prompt) -> tuple[list[int], list[int]]:
        """Where the older cache matches, and where it stores: everywhere alike."""
        cuts = list(range(self._least, len(prompt.tokens) + 1, _STEP))
        return cuts, cuts

    def _machine(self, prompt: Prompt, body: Json, stamp: Stamp) -> tuple[_Route, int]:
        """The first machine of the request's route that can still take one in this minute."""
        beginning = min(_ROUTED_BY, len(prompt.tokens))
        digest = _digests(prompt.tokens, {beginning})[beginning]
        route = (stamp.scope, body['model'], digest, body.get('prompt_cache_key') or '')
        self._served[route] += 1
        if len(self._recent) > 2 * _MANY:
            self._recent = defaultdict(deque, list(self._recent.items())[-_MANY:])
        for number in itertools.count():
            recent = self._recent[route, number]
            while recent and recent[0] <= stamp.time_s - _MINUTE_S:
                recent.popleft()
            if len(recent) < self._requests_per_min:
                recent.append(stamp.time_s)
                break
        return route, number

    def _finds(self, route: _Route) -> bool:
        """Whether the best effort succeeds: the same for the same sequence of requests."""
        seed = f'{route[2].hex()} {route[3]} {self._served[route]}'.encode('utf-8', 'replace')
        drawn = int.from_bytes(hashlib.sha256(seed).digest()[:8]) / 2**64
        return drawn < self._hit_probability

    def _idle_life_s(self, body: Json) -> float:
        """Models that can keep prompts for a day do so unless they are told otherwise."""
        can_keep = version(body['model']) >= (4, 1)
        kept = body.get('prompt_cache_retention') or ('24h' if can_keep else 'in_memory')
        return _DAY_S if kept == '24h' else self._idle_s

    def _store(self, keys: Iterable[_Key], expires_s: float, now: float) -> None:
        if len(self._expires_s) > 2 * _MANY:
            live = [(key, at) for key, at in self._expires_s.items() if now < at]
            self._expires_s = dict(live[-_MANY:])
        for key in keys:
            self._expires_s[key] = max(expires_s, self._expires_s.get(key, 0.0))


def _breakpoints(prompt: Prompt, body: Json) -> tuple[list[int], list[int]]:
    """Where the newer cache matches, and where it stores.

    The implicit breakpoint is the end of the latest message; those of earlier requests are ends
    of earlier messages, so all of them are matched.
    """
    if (body.get('prompt_cache_options') or {}).get('mode') == 'explicit':
        return prompt.marks[-_MOST_MATCHED:], prompt.marks[-_MOST_WRITTEN:]
    matched = sorted({*prompt.marks, *prompt.ends})[-_MOST_MATCHED:]
    return matched, [*prompt.marks[-(_MOST_WRITTEN - 1) :], *prompt.ends[-1:]]


def _digests(pieces: list[str], cuts: Iterable[int]) -> Mapping[int, bytes]:
    """The digest of the prefix of so many tokens, for each of `cuts`."""
    digest, begin, found = hashlib.sha256(), 0, {}
    for end in sorted(cuts):
        digest.update('\0'.join((*pieces[begin:end], '')).encode('utf-8', 'replace'))
        found[end] = digest.copy().digest()
        begin = end
    return found
