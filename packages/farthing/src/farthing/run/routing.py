"""Puts a router together from what a user gives to an adapter's router model."""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from farthing.meter.shared import Source, meter
from farthing.routing import Route, Router
from farthing.routing.evidence import Bar
from farthing.run.grading import Grader
from farthing.run.order import Mode
from farthing.run.policies import AnyPolicy, ready
from farthing.run.proof import Proof
from farthing.run.router import Dispatcher
from farthing.run.shadow import Shadow

if TYPE_CHECKING:
    from farthing.ledger import Ledger

_log = logging.getLogger('farthing')


def dispatcher(
    routes: Mapping[str, Route],
    policy: AnyPolicy | Sequence[AnyPolicy],
    default: str,
    *,
    mode: Mode = 'shadow',
    fallback: bool | Sequence[str] = True,
    ask_within_s: float = 5.0,
    grader: Grader | None = None,
    shadow_share: float = 0.05,
    shadow_budget_usd: Decimal | float | str = 5,
    bar: Bar | None = None,
    ledger: Source = None,
) -> Dispatcher:
    """The driver of a router, with its evidence and its shadow calls.

    Args:
        routes: The routes by name, weakest first.
        policy: One policy, or several in the order in which they are asked.
        default: The route of calls that no policy has an opinion on, and of all calls in shadow
            mode that evidence has not promoted.
        mode: `shadow` has the default route serve until evidence promotes the decided one;
            `active` has the decided one serve.
        fallback: Whether, or to which routes, a call goes whose route fails.
        ask_within_s: How long a policy's question to a model may take.
        grader: Grades answers, so that routes can be compared; without one nothing is replayed.
        shadow_share: Which share of the calls another route answers as well.
        shadow_budget_usd: The most that this may cost.
        bar: What a route must clear to be promoted.
        ledger: Where decisions, scores and evidence are.

    Raises:
        InputError: An argument cannot be taken.
        RoutingError: The default is no route.
        LedgerError: The ledger cannot be opened.
    """
    one = meter(ledger)
    known = ready(policy, routes)
    router = Router(routes=dict(routes), policies=known, default=default, book=one.book)
    opened = cast('Ledger', one.ledger)
    shadow = None
    if grader is not None:
        shadow = Shadow(router, opened, grader, share=shadow_share, budget_usd=shadow_budget_usd)
    elif mode == 'shadow' and known:
        _warn_once(
            'a router in shadow mode without a `grader` compares nothing, so nothing is ever '
            'promoted and the default route serves all calls; `farthing router eval` says what is '
            'missing'
        )
    models = {name: route.model for name, route in routes.items()}
    proof = Proof(opened, default=default, models=models, bar=bar)
    return Dispatcher(
        router,
        one,
        mode=mode,
        fallback=fallback,
        ask_within_s=ask_within_s,
        shadow=shadow,
        proof=proof,
    )


_warned: set[str] = set()


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        _log.warning('farthing: %s', text)
