"""What a route's prompt cache keeps, as far as usage shows it."""

from collections.abc import Mapping
from dataclasses import replace

from farthing.caching.minimum import minimum
from farthing.routing import Route
from farthing.routing.routes import CacheWrites
from farthing.usage import Usage


def cached(route: Route, usage: Usage) -> int:
    """Input tokens that the model's prompt cache holds after a call; 0 where it has none."""
    if route.cache_writes != 'free':
        return usage.cache_read_tokens + usage.cache_write_tokens
    shortest = minimum(route.provider, route.model)
    return 0 if shortest is None or usage.input_tokens < shortest else usage.input_tokens


def shown(usage: Usage) -> CacheWrites | None:
    """How long the cache keeps what a call has written; `None` where it says nothing of it."""
    if usage.cache_write_1h_tokens:
        return '1h'
    if usage.cache_write_30m_tokens:
        return '30m'
    return '5m' if usage.cache_write_tokens else None


def taught(routes: Mapping[str, Route], name: str, usage: Usage) -> Mapping[str, Route]:
    """The routes, with what one's usage shows of its provider's cache; the same where it agrees."""
    route = routes[name]
    writes = shown(usage)
    if writes is None and usage.cache_read_tokens and route.cache_writes == 'none':
        writes = 'free'
    if writes is None or writes == route.cache_writes:
        return routes
    return {
        each: replace(one, cache_writes=writes) if one.provider == route.provider else one
        for each, one in routes.items()
    }


def with_cache(usage: Usage, route: Route, warm: int) -> Usage:
    """The counts as a route would have them that has `warm` input tokens in its cache."""
    shortest = minimum(route.provider, route.model)
    life = route.cache_writes
    caches = life != 'none' and shortest is not None and usage.input_tokens >= shortest
    written = usage.input_tokens - warm if caches and life != 'free' else 0
    return replace(
        usage,
        cache_read_tokens=warm if caches else 0,
        cache_write_tokens=written,
        cache_write_5m_tokens=written if life == '5m' else 0,
        cache_write_30m_tokens=written if life == '30m' else 0,
        cache_write_1h_tokens=written if life == '1h' else 0,
        cache_read_audio_tokens=None,
        cache_read_image_tokens=None,
    )
