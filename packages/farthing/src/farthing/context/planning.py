"""One call's plan: a policy's step, the hard limit, and what both cost and save."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from farthing.context.economics import rewrite_cost
from farthing.context.turns import answer_starts
from farthing.context.values import Decision, History, Plan, Setting, State, Step, Summary, View
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
    edited = not is_of(history, state)
    old = State() if edited else state
    step = policy.step(history, old, setting)
    new = _within_limit(history, step)
    view = seen(history, new, step.retrieved)
    reason = step.reason if new == step.state else f'over the limit of {history.limit} tokens'
    decision = _decided(history, old, view, setting, reason)
    if edited:
        decision = replace(decision, rewrite=True, reason='the history was changed')
    new = replace(
        new,
        anchored=new.settled,
        anchor=history.anchor(new.settled),
        seen=len(history.blocks),
        last_call=setting.now,
    )
    return Plan(view=view, state=new, decision=decision)


def seen(history: History, state: State, retrieved: tuple[int, ...] = ()) -> View:
    """What a model sees of a history in a state."""
    blocks, cut = history.blocks, state.cut
    if cut:
        head = tuple(at for at in history.head if at < cut)
        rest = (*_request_of(history, cut), *range(cut, len(blocks)))
    else:
        start = next((n for n, at in enumerate(history.head) if n != at), len(history.head))
        head, rest = tuple(range(start)), tuple(range(start, len(blocks)))
    summary = state.summary if cut else None
    cleared = frozenset(at for at in rest if at < state.cleared and clearable(history, at))
    tokens = history.fixed_tokens + (summary.tokens if summary else 0)
    tokens += sum(blocks[at].tokens for part in (head, rest, retrieved) for at in part)
    tokens -= sum(blocks[at].tokens - CLEARED_TOKENS for at in cleared)
    return View(
        head=head, summary=summary, rest=rest, cleared=cleared, retrieved=retrieved, tokens=tokens
    )


def clearable(history: History, at: int) -> bool:
    """Whether clearing a block makes it shorter."""
    block = history.blocks[at]
    return block.kind == 'tool_result' and block.tokens > CLEARED_TOKENS


def is_of(history: History, state: State) -> bool:
    """Whether a state's decisions were made about this history."""
    return state.seen <= len(history.blocks) and (
        not state.anchored or history.anchor(state.anchored) == state.anchor
    )


def _request_of(history: History, cut: int) -> Iterator[int]:
    """The request that a cut inside a turn would leave out."""
    for turn in history.turns:
        if turn.start < cut < turn.stop:
            first = next(answer_starts(history.blocks, turn))
            yield from (at for at in range(turn.start, first) if at not in history.head)


def _within_limit(history: History, step: Step) -> State:
    """The state, cut further where its view is over the limit: rarely, and then far.

    It gives up half of the room that there is above the smallest prompt. It cuts at a turn or, in
    the newest turn, before an answer.
    """
    limit = history.limit
    now = seen(history, step.state, step.retrieved).tokens
    if limit is None or now <= limit:
        return step.state
    states = [replace(step.state, cut=cut) for cut in _cuts(history, step.state.cut)]
    sizes = [seen(history, one, step.retrieved).tokens for one in states]
    least = min(sizes, default=now)
    if least > limit:
        raise ContextError(
            f'the smallest prompt of this session has {least} tokens, {history.fixed_tokens} of '
            f'them tools, and the limit is {limit}: expected room for the system text, the first '
            'and the newest request'
        )
    return next(one for one, size in zip(states, sizes, strict=True) if 2 * size <= least + limit)


def _cuts(history: History, after: int) -> Iterator[int]:
    """Where a history can be cut, in order: at its turns, then inside the newest one."""
    turns = history.turns
    yield from (turn.start for turn in turns[1:] if turn.start > after)
    if turns:
        starts = list(answer_starts(history.blocks, turns[-1]))
        yield from (at for at in starts[1:] if at > after)


Item = tuple[int, bool] | Summary


def _items(view: View) -> list[Item]:
    """What a view shows, in order; equal items are equal bytes."""
    items: list[Item] = [(at, False) for at in view.head]
    if view.summary is not None:
        items.append(view.summary)
    return items + [(at, at in view.cleared) for at in view.rest]


def _size(history: History, item: Item) -> int:
    if isinstance(item, Summary):
        return item.tokens
    return CLEARED_TOKENS if item[1] else history.blocks[item[0]].tokens


def _decided(history: History, old: State, view: View, setting: Setting, reason: str) -> Decision:
    before = seen(history, old)
    sent = [one for one in _items(before) if isinstance(one, Summary) or one[0] < old.seen]
    now = _items(view)
    same = next((n for n, one in enumerate(sent) if now[n : n + 1] != [one]), None)
    again = own = 0
    for one in [] if same is None else now[same:]:
        if isinstance(one, Summary):
            own += one.cost + one.tokens * setting.rates.write
        elif one[0] < old.seen:
            again += _size(history, one)
    reused = sum(_size(history, one) for one in sent[:same])
    if setting.is_cold(old):
        again = 0
    retrieved = sum(history.blocks[at].tokens for at in view.retrieved)
    shown = view.tokens - retrieved
    return Decision(
        reason=reason,
        rewrite=same is not None,
        reused_tokens=history.fixed_tokens + reused if old.seen else 0,
        kept_tokens=view.tokens,
        dropped_tokens=history.fixed_tokens + history.sums[-1] - shown,
        rewrite_cost=rewrite_cost(setting.rates, again) + own,
        saving=setting.rates.read * (before.tokens - shown),
        retrieved_cost=setting.rates.input * retrieved,
    )
