"""A count of tokens where the provider gave none. An estimate is never a bill, and says so.

Characters over four: against the tokenizers of Claude 3 to 4.9 it misses 1 to 72 percent, always
too low, and most for languages that are not written in Latin letters (one text per kind: Python
-14/-32, English -28/-45, JSON -47/-53, Spanish -1/-27, Japanese -71/-72 percent).
"""

_CHARS_PER_TOKEN = 4


def tokens(chars: int) -> int:
    """About how many tokens `chars` characters are, rounded up."""
    return -(-chars // _CHARS_PER_TOKEN)
