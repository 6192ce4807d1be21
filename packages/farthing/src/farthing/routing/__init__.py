"""Routing: the cheapest model that is good enough, decided without I/O.

`Router.decide` is the order of a decision; policies plug into it; `Evidence` says where a cheaper
route has proved good enough. Each name is loaded when it is first asked for: what learns from
labels (`Trained`, `Embedding`) needs numpy, and a ledger needs next to nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.routing.cascade import Cascade, Judge
    from farthing.routing.classifier import LLMClassifier
    from farthing.routing.decide import Decision, Router
    from farthing.routing.embedding import Embedding
    from farthing.routing.evidence import Bar, Evidence, Verdict
    from farthing.routing.pair import Pair
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
    from farthing.routing.trained import Trained

__all__ = [
    'Ability',
    'Ask',
    'AskingPolicy',
    'Attempt',
    'Bar',
    'Cascade',
    'Choice',
    'Decision',
    'Draft',
    'Embedding',
    'Evidence',
    'Judge',
    'LLMClassifier',
    'Measured',
    'Pair',
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
    'Verdict',
]

_HOMES = {
    'cascade': ('Cascade', 'Judge'),
    'classifier': ('LLMClassifier',),
    'decide': ('Decision', 'Router'),
    'embedding': ('Embedding',),
    'evidence': ('Bar', 'Evidence', 'Verdict'),
    'pair': ('Pair',),
    'policy': (
        'Ask',
        'AskingPolicy',
        'Attempt',
        'Choice',
        'Draft',
        'Policy',
        'Question',
        'Reply',
    ),
    'query': ('Ability', 'Query', 'Session'),
    'routes': ('Route',),
    'rules': ('Rule', 'Rules'),
    'task_table': ('Measured', 'TaskTable'),
    'trained': ('Trained',),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            module = import_module(f'farthing.routing.{home}')
            found = globals()[name] = getattr(module, name)
            return found
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
