"""Routing: the cheapest model that is good enough, decided without I/O.

`Router.decide` is the order of a decision; policies plug into it. What learns from labels
(`Trained`, `Embedding`) needs numpy and is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from farthing.routing.cascade import Cascade, Judge
from farthing.routing.classifier import LLMClassifier
from farthing.routing.decide import Decision, Router
from farthing.routing.policy import (
    Ask,
    AskingPolicy,
    Attempt,
    Choice,
    Draft,
    Policy,
    Question,
    Reply,
)
from farthing.routing.query import Ability, Query, Session
from farthing.routing.routes import Route
from farthing.routing.rules import Rule, Rules
from farthing.routing.task_table import Measured, TaskTable

if TYPE_CHECKING:
    from farthing.routing.embedding import Embedding
    from farthing.routing.trained import Trained

__all__ = [
    'Ability',
    'Ask',
    'AskingPolicy',
    'Attempt',
    'Cascade',
    'Choice',
    'Decision',
    'Draft',
    'Embedding',
    'Judge',
    'LLMClassifier',
    'Measured',
    'Policy',
    'Query',
    'Question',
    'Reply',
    'Route',
    'Router',
    'Rule',
    'Rules',
    'Session',
    'TaskTable',
    'Trained',
]

_WITH_NUMPY = {'Embedding': 'embedding', 'Trained': 'trained'}


def __getattr__(name: str) -> object:
    if name not in _WITH_NUMPY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = import_module(f'farthing.routing.{_WITH_NUMPY[name]}')
    found = globals()[name] = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
