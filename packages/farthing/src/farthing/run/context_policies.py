"""Policies as an adapter's users write them, and the driver that they make."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from farthing import context
from farthing.context import Chain, Policy
from farthing.context.server import ServerCompaction
from farthing.errors import ContextError, InputError
from farthing.ledger.sessions import RETENTION
from farthing.meter.shared import Source, meter
from farthing.run.context import ContextDriver

Facts = Callable[[Any], tuple[str, str]]
"""Who bills a framework's model, and the model's name."""
_UNNAMED = frozenset({'model', 'rates', 'may_share'})


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicSummary(context.PeriodicSummary):
    """`farthing.context.PeriodicSummary` with the model that makes the summaries.

    Attributes:
        model: The framework's model that is asked where the session's own would be dearer; `None`
            asks the session's own. Its prices are the book's, unless `rates` are given.
    """

    model: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOptions:
    """What users may say about context control besides its policies.

    Attributes:
        now: Tells the time in seconds since 1970.
        ttl: How long the provider keeps a cached prefix after its last use.
        retention: How long a conversation is remembered after its last call.
        summary_timeout_s: How long an awaited summary may take.
    """

    now: Callable[[], float] = time.time
    ttl: timedelta = timedelta(minutes=5)
    retention: timedelta = RETENTION
    summary_timeout_s: float = 120.0


def listed(given: Policy | Sequence[Policy]) -> tuple[Policy, ...]:
    """One policy or several as they step.

    Raises:
        InputError: There is none, something is none, or two cut the history against each other.
    """
    many = tuple(given) if isinstance(given, Sequence) else (given,)
    found = tuple(
        one
        for policy in many
        for one in (policy.policies if isinstance(policy, Chain) else (policy,))
    )
    if wrong := [one for one in found if not hasattr(one, 'step')]:
        raise InputError(
            f'{wrong[0]!r} is no policy: expected such as Window() or PeriodicSummary()'
        )
    if not found:
        raise InputError('there is no policy: expected such as [Window()]')
    if len(found) > 1 and any(isinstance(one, ServerCompaction) for one in found):
        raise InputError('ServerCompaction stands alone: the provider cuts the history itself')
    return found


def shown_elsewhere(policies: Sequence[Policy], model: Any) -> tuple[Policy, ...]:
    """The policies of a memory, whose messages go on to a model that others call, with its tools.

    So there is no prefix to share, and no request to ask for the provider's compaction in.

    Args:
        policies: As the user gave them.
        model: The model behind, if it is known: it makes the summaries that no other one makes.

    Raises:
        InputError: One of them cannot be followed there.
    """
    if any(isinstance(one, ServerCompaction) for one in policies):
        raise InputError(
            'ServerCompaction is switched on in the request, which a memory does not see: use '
            '`langchain_farthing.ContextMiddleware`, or set it at the model'
        )
    summaries = any(isinstance(one, context.PeriodicSummary) for one in policies)
    if summaries and model is None and summary_model(policies) is None:
        raise InputError('no model makes the summaries: give `PeriodicSummary(model=...)`')
    return tuple(
        replace(one, may_share=False) if isinstance(one, context.PeriodicSummary) else one
        for one in policies
    )


def driver(
    policies: Sequence[Policy], facts: Facts, ledger: Source, options: ContextOptions
) -> ContextDriver:
    """The driver of some policies.

    Args:
        policies: Who decide, in order.
        facts: Tells whose a framework's model is.
        ledger: As for the adapter's other parts.
        options: The rest.

    Raises:
        ContextError: The book has no price for the model that makes the summaries.
        LedgerError: The ledger cannot be opened.
        InputError: An argument cannot be taken.
    """
    made = ContextDriver(
        meter(ledger),
        tuple(policies),
        name='+'.join(map(_name, policies)),
        now=options.now,
        ttl=options.ttl,
        retention=options.retention,
        summary_timeout_s=options.summary_timeout_s,
    )
    made.policies = tuple(_priced(one, facts, made) for one in policies)
    return made


def summary_model(policies: Sequence[Policy]) -> Any:
    """The model that makes summaries apart; `None` is the session's own."""
    models = (one.model for one in policies if isinstance(one, PeriodicSummary))
    return next((model for model in models if model is not None), None)


def _priced(policy: Policy, facts: Facts, made: ContextDriver) -> Policy:
    if not isinstance(policy, PeriodicSummary) or policy.model is None or policy.rates is not None:
        return policy
    provider, model = facts(policy.model)
    try:
        return replace(policy, rates=made.models.rates(provider, model, made.now()))
    except ContextError as error:
        raise ContextError(
            f'the model of PeriodicSummary has no price ({error}): give its `rates`'
        ) from error


def _name(policy: Policy) -> str:
    """A policy with what is not as usual about it."""
    told = [
        f'{one.name}={value!r}'
        for one in fields(policy)  # type: ignore[arg-type]  # policies are values
        if one.name not in _UNNAMED and (value := getattr(policy, one.name)) != one.default
    ]
    return type(policy).__name__ + (f'({", ".join(told)})' if told else '')
