"""One call's plan: a policy's step, the hard limit, and what both cost and save."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from farthing.context.economics import rewrite_cost
from farthing.context.turns import answer_starts
from farthing.context.values import (
    Decision,
    History,
    Plan,
    Setting,
    State,
    Step,
    Summary,
    View,
)
from farthing.errors import ContextError

CLEARED = '[old tool result cleared]'
"""What stands in place of a cleared result."""
CLEARED_TOKENS = 8
"""At most, with any tokenizer that we know."""


class Policy(Protocol):
    """Decides what a session's calls are sent. It is a value: all it knows is what it is given."""

    def step(self, history: History, state: State, setting: Setting) -> Step:
        """What becomes of `state` before the next call."""


def plan(policy: Policy, history: History, state: State, setting: Setting) -> Plan:
    """What the next call of a session is sent.

    A state of another history, such as one that the user has edited since, counts as none.

    Args:
        policy: Decides.
        history: All of the session, the newest request included.
        state: As the last plan left it; `State()` for a new session.
        setting: Rates and time.

    Raises:
        ContextError: Even the smallest prompt is over the history's limit.
    """
    old = state if _is_of(history, state) else State()
    step = policy.step(history, old, setting)
    new = _within_limit(history, step.state)
    view = seen(history, new, step.retrieved)
    new = replace(
        new,
        anchor=history.anchor(max(new.cut, new.cleared)),
        seen=len(history.blocks),
        last_call=setting.now,
    )
    reason = step.reason if new.cut == step.state.cut else f'over the limit of {history.limit}'
    return Plan(view=view, state=new, decision=_decided(history, old, new, view, setting, reason))


def seen(history: History, state: State, retrieved: tuple[int, ...] = ()) -> View:
    """What a model sees of a history in a state."""
    blocks = history.blocks
    if state.cut:
        head = tuple(at for at in history.head if at < state.cut)
        rest = (*_request_of(history, state.cut), *range(state.cut, len(blocks)))
    else:
        start = next((n for n, at in enumerate(history.head) if n != at), len(history.head))
        head, rest = tuple(range(start)), tuple(range(start, len(blocks)))
    summary = state.summary if state.cut else None
    cleared = frozenset(
        at for at in rest if at < state.cleared and clearable(history, at)
    )
    tokens = history.fixed_tokens + (summary.tokens if summary else 0)
    for at in (*head, *rest, *retrieved):
        tokens += CLEARED_TOKENS if at in cleared else blocks[at].tokens
    return View(
        head=head, summary=summary, rest=rest, cleared=cleared, retrieved=retrieved, tokens=tokens
    )


def clearable(history: History, at: int) -> bool:
    """Whether clearing a block makes it shorter."""
    block = history.blocks[at]
    return block.kind == 'tool_result' and block.tokens > CLEARED_TOKENS


def _is_of(history: History, state: State) -> bool:
    """Whether a state's decisions were made about this history."""
    until = max(state.cut, state.cleared)
    return state.seen <= len(history.blocks) and (
        not until or history.anchor(until) == state.anchor
    )


def _request_of(history: History, cut: int) -> tuple[int, ...]:
    """The request that a cut inside a turn would leave out."""
    turn = next((one for one in history.turns if one.start < cut < one.stop), None)
    if turn is None:
        return ()
    first = next(answer_starts(history.blocks, turn))
    return tuple(range(turn.start, first))


def _within_limit(history: History, state: State) -> State:
    """The state, cut further where its view is over the limit: rarely, and then far.

    It cuts to half of the limit, at a turn or, in the newest turn, before an answer; where that
    is not possible, as far as it must.
    """
    limit = history.limit
    if limit is None or seen(history, state).tokens <= limit:
        return state
    smallest = state
    for cut in _cuts(history, state.cut):
        smallest = replace(state, cut=cut)
        if 2 * seen(history, smallest).tokens <= limit:
            return smallest
    tokens = seen(history, smallest).tokens
    if tokens > limit:
        raise ContextError(
            f'the smallest prompt of this session has {tokens} tokens, {history.fixed_tokens} of '
            f'them tools, and the limit is {limit}: expected room for the system text, the first '
            'and the newest request'
        )
    return smallest


def _cuts(history: History, after: int) -> Iterator[int]:
    """Where a history can be cut, in order: at its turns, then inside the newest one."""
    turns = history.turns
    yield from (turn.start for turn in turns if turn.start > after)
    if turns:
        starts = answer_starts(history.blocks, turns[-1])
        yield from (at for at in starts if at > max(after, turns[-1].start + 1))


Item = tuple[int, bool] | Summary


def _items(view: View) -> list[Item]:
    """What a view shows, in order; equal items are equal bytes."""
    items: list[Item] = [(at, at in view.cleared) for at in view.head]
    if view.summary is not None:
        items.append(view.summary)
    return items + [(at, at in view.cleared) for at in view.rest]


def _decided(
    history: History, old: State, new: State, view: View, setting: Setting, reason: str
) -> Decision:
    before = seen(history, old)
    sent = [one for one in _items(before) if isinstance(one, Summary) or one[0] < old.seen]
    now = _items(view)
    same = next((n for n, (a, b) in enumerate(zip(sent, now, strict=False)) if a != b), None)
    again, own = 0, 0
    for one in [] if same is None else now[same:]:
        if isinstance(one, Summary):
            own += one.cost + one.tokens * setting.rates.write
        elif one[0] < old.seen:
            again += CLEARED_TOKENS if one[1] else history.blocks[one[0]].tokens
    if setting.is_cold(old):
        again = 0
    whole = history.fixed_tokens + history.sums[-1]
    retrieved = sum(history.blocks[at].tokens for at in view.retrieved)
    shorter = before.tokens - (view.tokens - retrieved)
    return Decision(
        reason=reason if same is not None else '',
        rewrite=same is not None,
        kept_tokens=view.tokens,
        dropped_tokens=whole - (view.tokens - retrieved),
        rewrite_cost=rewrite_cost(setting.rates, again) + own,
        saving=setting.rates.read * shorter,
    )
