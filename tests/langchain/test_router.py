"""A router's calls: decided, served, posted once under the model that served, with the reason."""

from collections.abc import Callable
from typing import Any

import pytest

from farthing.routing import Rules
from langchain_farthing.router import RouterChatModel

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
CONFIG = {'metadata': {'tenant': 'acme', 'task': 'support'}}


@pytest.fixture
def routed(ledger, claude, gpt) -> Callable[..., RouterChatModel]:
    def make(**options: Any) -> RouterChatModel:
        routes = {
            'light': claude(model='claude-haiku-4-5', max_retries=0),
            'standard': claude(max_retries=0),
            'heavy': gpt(model='gpt-5', max_retries=0),
        }
        given = {'routes': routes, 'policy': LIGHT, 'default': 'standard', 'mode': 'active'}
        return RouterChatModel(**given | {'ledger': ledger} | options)

    return make


def test_a_call_is_served_by_the_decided_route_and_posted_once(routed, entries, sim) -> None:
    answer = routed().invoke('Where is my parcel?', CONFIG)

    (entry,) = entries()
    assert ('claude-haiku-4-5', 'acme', 'support') == (
        entry.model_requested, entry.attribution.tenant, entry.attribution.task
    )  # fmt: skip
    assert 'light' == answer.response_metadata['farthing_route']
    assert entry.run_id == answer.response_metadata['farthing_run_id']
