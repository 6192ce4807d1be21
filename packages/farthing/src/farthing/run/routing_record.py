"""The ledger's record of a routing decision: what was wanted, what served, and what it came to.

`chosen` is what the router decided. Where another route made the entry that the record hangs on (in
shadow mode, after a fallback, a refused draft), the fact `served` names that one.
"""

from dataclasses import replace

from farthing.entry import Decision
from farthing.meter.following import Posted
from farthing.prices import Call, PriceBook
from farthing.prices.quote import UNSAID
from farthing.routing import Route, Session
from farthing.run.caches import shown, with_cache
from farthing.run.serving import Attempt, Serving

LEVER = 'routing'


def record(
    serving: Serving, attempt: Attempt, one: Posted, *, mode: str, default: Route, book: PriceBook
) -> Decision:
    """The decision about one entry of a call.

    Facts beside those of `farthing.routing.Decision.facts`, where they are known: `mode`,
    `default`, `served` (the route of this entry, where it is not the chosen one), `attempt`
    (`failed`, or `draft` where that was refused: it did not answer the user), `fallback_of` (what
    failed before it), `unproven`, `routing_us` (time), `routing_calls` and `routing_cost`
    (1e-12 USD), `prefix_tokens` and `warm_tokens`.
    """
    decision = serving.decision
    assert decision is not None  # noqa: S101 - the caller waits for it
    session = serving.query.session
    if session is not None and session.free == 'first_turn':
        session = None  # the size of its request is an estimate, and nothing came before
    facts = {
        **decision.facts,
        'mode': mode,
        'default': default.name,
        'served': None if attempt.route == decision.route else attempt.route,
        'attempt': _attempt(serving, attempt, one),
        'fallback_of': dict(serving.failed) or None,
        'unproven': True if serving.unproven else None,
        'routing_us': serving.routing_us,
        'routing_calls': serving.tally.asked or None,
        'routing_cost': serving.tally.cost,
        'prefix_tokens': session and session.prefix_tokens,
        'warm_tokens': dict(session.warm_tokens) if session else None,
    }
    return Decision(
        entry_id=one.entry_id,
        time=one.answer.time,
        lever=LEVER,
        policy=decision.policy,
        version=decision.version,
        chosen=decision.route,
        reason=_reason(serving, attempt, decision.reason),
        counterfactual_cost=_counterfactual(serving, attempt, one, default, book),
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _attempt(serving: Serving, attempt: Attempt, one: Posted) -> str | None:
    """What kind of attempt it was that did not answer the user; `None` where it did."""
    if not one.answer.ok:
        return 'failed'
    decision = serving.decision
    refused = attempt.kind == 'draft' and (decision is None or decision.draft is None)
    return 'draft' if refused else None


def _reason(serving: Serving, attempt: Attempt, decided: str) -> str:
    if attempt.kind == 'answer' and serving.failed:
        failed = ', '.join(f'{route}: {error}' for route, error in serving.failed.items())
        return f'{decided}; after {failed}'
    return decided


def _counterfactual(
    serving: Serving, attempt: Attempt, one: Posted, default: Route, book: PriceBook
) -> int | None:
    """What the default route would have cost instead, with its cache, in 1e-12 USD.

    It is reckoned with the same counts of tokens, as if it had served the whole conversation:
    other models count a text a little differently. An attempt that did not answer the user would
    not have been made, and an answer of the framework's cache would have been there as well. It
    would have been under the same terms: in a batch, and at the same provider in the same tier.
    """
    if attempt.route == default.name or one.answer.remembered:
        return one.cost
    reading = one.answer.reading
    usage = None if reading is None else reading.usage
    if _attempt(serving, attempt, one) is not None:
        return 0
    if reading is None or usage is None:
        return None
    life = shown(usage)
    if life is not None and default.provider == one.provider:
        default = replace(default, cache_writes=life)  # who caches one model, caches the other
    warm = min(_kept(serving.query.session, default), usage.input_tokens)
    terms = reading.terms if default.provider == one.provider else None
    call = Call(
        provider=default.provider,
        model=default.model,
        at=one.answer.time,
        terms=replace(terms or UNSAID, batch=one.answer.batch),
    )
    return book.quote(with_cache(usage, default, warm), call).cost


def _kept(session: Session | None, default: Route) -> int:
    """Tokens of the conversation that the default would have had in its cache.

    Where nothing of it was cached at any route, only a cache that needs no asking has anything.
    """
    if session is None or session.free is not None:
        return 0
    cached = default.cache_writes == 'free' or any(session.warm_tokens.values())
    return session.prefix_tokens if cached else 0
