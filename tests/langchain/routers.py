"""What tests of routers share: routes of each provider, and a witness of LangChain's events."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from farthing.routing import Rules
from langchain_farthing import RouterChatModel

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
CONFIG = {'metadata': {'tenant': 'acme', 'task': 'support'}}


class Witness(BaseCallbackHandler):
    """Writes down each model call's start and how it ended."""

    def __init__(self) -> None:
        self.started: dict[UUID, str] = {}
        self.ended: list[UUID] = []
        self.failed: list[UUID] = []

    def on_chat_model_start(self, serialized, messages, *, run_id, metadata=None, **_: Any) -> None:
        self.started[run_id] = (metadata or {})['ls_model_name']

    def on_llm_end(self, response, *, run_id, **_: Any) -> None:
        self.ended.append(run_id)

    def on_llm_error(self, error, *, run_id, **_: Any) -> None:
        self.failed.append(run_id)


def router(
    make: Callable[..., Any], models: tuple[str, str], ledger: Any, **options: Any
) -> RouterChatModel:
    """Light and standard routes of one provider, the light one for parcels."""
    light, standard = models
    routes = {'light': make(model=light, max_retries=0), 'standard': make(model=standard)}
    given = {'routes': routes, 'policy': LIGHT, 'default': 'standard', 'mode': 'active'}
    return RouterChatModel(**given | {'ledger': ledger} | options)
