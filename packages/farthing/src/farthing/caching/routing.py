"""OpenAI's routing key, and advice on order.

Requests go to a machine by their first tokens and the key; about 15 requests a minute fit one
machine, and what overflows meets another machine's empty cache. So the key follows the static
prefix, and its shard the conversation, as many shards as the observed rate needs.
https://platform.openai.com/docs/guides/prompt-caching
"""

from farthing.caching.view import View

_PER_MACHINE = 15  # requests a minute
_KEY_CHARS = 24


def routing_key(seen: View) -> str | None:
    """A key for the static prefix and its shard; `None` where the prompt has no static part."""
    if seen.root is None:
        return None
    prefix = seen.prefix(seen.root)
    needed = 1 if prefix is None else prefix.per_minute / _PER_MACHINE
    shards = 1
    while shards < needed:
        # Powers of two: when they double, half of the conversations stay where they are.
        shards *= 2
    first = seen.digests[min(seen.root + 1, len(seen.digests) - 1)]
    shard = int.from_bytes(first[:4]) % shards
    return f'{seen.digests[seen.root].hex()[:_KEY_CHARS]}-{shard}'


def advice(seen: View) -> tuple[str, ...]:
    """What would be cached if it stood elsewhere."""
    if seen.root is None or seen.static is None or seen.turn is not None:
        return ()
    parting = max((at for at, one in enumerate(seen.digests) if one in seen.known), default=None)
    if parting is None or parting >= seen.root:
        return ()
    changed = seen.prompt.blocks[parting + 1]
    return (
        (
            f'what stands at {"/".join(map(str, changed.path))} differs from earlier requests, '
            f'and {seen.tokens[seen.root] - seen.tokens[parting]} tokens of tools and '
            'instructions stand behind it: put what changes last'
        ),
    )
