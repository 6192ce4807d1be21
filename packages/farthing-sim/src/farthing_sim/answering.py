"""A request to a model and its answer: the same for a call and for a line of a batch."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from farthing_sim import anthropic, openai_responses
from farthing_sim.faults import merged
from farthing_sim.state import State
from farthing_sim.surface import Input, Json, Refusal, Stamp, Surface, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request that will be answered."""

    body: Json
    stamp: Stamp
    visit: Visit


def take(surface: Surface, body: Json, stamp: Stamp, state: State) -> Taken:
    """Check a request, count it, and look it up in the provider's cache.

    Raises:
        Refusal: The provider would not answer it.
    """
    with readable():
        surface.check(body)
        if state.models is not None:
            surface.check_model(body, state.models)
        stamp = _continued(surface, body, stamp, state)
        visit = surface.visit(body, stamp, state.caches)
    if not state.caches.rules.enabled:
        visit = Visit(given=Input(total=visit.given.total))
    return Taken(body=body, stamp=stamp, visit=visit)


def answer(
    surface: Surface, taken: Taken, state: State, *, usage: Mapping[str, Any] | None = None
) -> Json:
    """The whole answer to a taken request.

    Args:
        surface: The API that is asked.
        taken: The request.
        state: What the server remembers; a conversation may go on from this answer.
        usage: Counters to report instead of the counted ones.

    Raises:
        Refusal: The simulator cannot read the request.
    """
    body, stamp = taken.body, taken.stamp
    with readable():
        said = surface.answer(body, stamp, taken.visit.given)
        if usage is not None:
            said['usage'] = merged(said['usage'], usage)
        if surface is anthropic and body.get('diagnostics') is not None:
            said['diagnostics'] = anthropic.diagnose(body, stamp, said, state.caches)
        if surface is openai_responses and body.get('store') is not False:
            state.remember(said['id'], openai_responses.items(body, stamp.history, said))
    return said


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """What the simulator cannot make sense of is the request's fault."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refusal(400, f'the simulator cannot read this request: {error!r}') from error


def _continued(surface: Surface, body: Json, stamp: Stamp, state: State) -> Stamp:
    earlier = body.get('previous_response_id')
    if surface is not openai_responses or not earlier:
        return stamp
    history = state.conversation(earlier)
    if history is None:
        raise Refusal(
            400,
            f"Previous response with id '{earlier}' not found.",
            param='previous_response_id',
            code='previous_response_not_found',
        )
    return replace(stamp, history=history)
