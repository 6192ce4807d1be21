"""Three routes of one provider, and a router over them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from farthing import PriceBook
from farthing.routing import Route, Router

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MODELS = {'light': 'claude-haiku-4-5', 'standard': 'claude-sonnet-4-6', 'heavy': 'claude-opus-4-7'}


def route(name: str, **changes) -> Route:
    fields = {'name': name, 'provider': 'anthropic', 'model': MODELS[name], 'cache_writes': '5m'}
    return Route(**(fields | changes))


def router(*policies, **changes) -> Router:
    """The three routes, `standard` by default; `changes` replace a route by its name."""
    routes = {name: changes.get(name, route(name)) for name in MODELS}
    return Router(routes=routes, policies=policies, default='standard', book=PriceBook.load())


@pytest.fixture
def nobody_asks() -> Callable[[object], object]:
    def ask(question: object) -> object:
        raise AssertionError(f'nothing should be asked, got {question!r}')

    return ask
