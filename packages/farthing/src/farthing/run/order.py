"""Which route serves a decided call, which ones come after it where it fails, which is compared."""

from collections.abc import Callable, Sequence
from typing import Literal

from farthing.routing import Decision, Query, Router

Mode = Literal['shadow', 'active']
Promoted = Callable[[str | None, str], bool]
"""Whether evidence has promoted a route for a task."""


def serves(
    decision: Decision, query: Query, router: Router, *, mode: Mode, promoted: Promoted
) -> str:
    """The route that serves: the decided one, or in shadow mode the default."""
    session = query.session
    pending = decision.policy == 'session' and session is not None and session.pending_tool_call
    if (
        mode == 'active'
        or decision.policy == 'forced'
        or pending
        or router.default in decision.refused
        or promoted(query.task, decision.route)
    ):
        return decision.route
    return router.default


def tried(
    first: str, decision: Decision, router: Router, *, fallback: bool | Sequence[str]
) -> list[str]:
    """The routes that are called in order, until one answers.

    Args:
        first: The one that is to serve.
        decision: What was decided; a forced route stands alone.
        router: The routes.
        fallback: `True` is the default route, then those that are stronger than it; `False` is
            none; else the names of the routes.
    """
    if decision.policy == 'forced' or fallback is False:
        return [first]
    names = list(router.routes)
    stronger = names[names.index(router.default) + 1 :]
    others = [router.default, *stronger] if fallback is True else fallback
    return [first, *(one for one in others if one not in decision.refused and one != first)]


def compared(served: str, decision: Decision, router: Router) -> str | None:
    """The route whose answer is compared with the user's; `None` where none is to be had.

    It is the default, where another route served; else the decided one. Where the default itself
    was decided it is the next weaker one: no task would ever be measured for the first time
    without that.
    """
    default = router.default
    if served != default:
        return None if default in decision.refused else default
    if decision.route != default:
        return decision.route
    names = list(router.routes)
    weaker = [one for one in names[: names.index(default)] if one not in decision.refused]
    return weaker[-1] if weaker else None
