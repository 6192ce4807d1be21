"""Counters of tokens by model: each text is counted once, and reports make the counts better."""

import threading
from collections import OrderedDict
from dataclasses import asdict
from hashlib import blake2b

import orjson

from farthing.context import Counter, Ratio
from farthing.errors import ContextError

_MOST = 50_000


class Tokens:
    """One model's. Texts are remembered by their digests, never by themselves."""

    def __init__(self, provider: str, model: str, stored: str | None) -> None:
        self._counter = Counter(provider, model, _ratio(stored))
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        """About how many tokens a text is."""
        if not text:
            return 0
        digest = blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=16).digest()
        with self._lock:
            base = self._counts.get(digest)
        if base is None:
            base = self._counter.base(text)
            with self._lock:
                self._counts[digest] = base
                if len(self._counts) > _MOST:
                    self._counts.popitem(last=False)
        return -(-base * self._counter.ratio.milli // 1_000)

    def base(self, tokens: int) -> int:
        """What now counts as so many tokens, without what was learned."""
        return tokens * 1_000 // self._counter.ratio.milli

    def learn(self, *, base: int, reported: int) -> None:
        """Take what was reported for so many tokens that `base` told of."""
        self._counter.ratio = self._counter.ratio.learn(counted=base, reported=reported)

    def stored(self) -> str:
        """What was learned, to begin with next time."""
        return orjson.dumps(asdict(self._counter.ratio)).decode()


def _ratio(stored: str | None) -> Ratio | None:
    if stored is None:
        return None
    try:
        return Ratio(**orjson.loads(stored))
    except (ValueError, TypeError) as error:
        raise ContextError('what was learned of a tokenizer cannot be read') from error
