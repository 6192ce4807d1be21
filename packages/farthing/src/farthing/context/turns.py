"""Where a history may be cut: at a turn, or before an answer all of whose results come after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol


class _Block(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def call_ids(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A request of the user and everything until the next one.

    Attributes:
        start: Position of the request.
        stop: The first position after the turn.
    """

    start: int
    stop: int


def turns(blocks: Sequence[_Block]) -> tuple[Turn, ...]:
    """The turns of a history, in order; requests in a row are one."""
    starts = [
        at
        for at, block in enumerate(blocks)
        if block.kind == 'user' and (not at or blocks[at - 1].kind != 'user')
    ]
    return tuple(Turn(start=start, stop=stop) for start, stop in pairwise([*starts, len(blocks)]))


def answer_starts(blocks: Sequence[_Block], turn: Turn) -> Iterator[int]:
    """Positions inside a turn before which it can be cut: answers with no result outstanding."""
    open_calls: set[str] = set()
    for at in range(turn.start, turn.stop):
        block = blocks[at]
        if block.kind in {'assistant', 'tool_call'} and not open_calls:
            yield at
        if block.kind == 'tool_call':
            open_calls |= {*block.call_ids}
        elif block.kind == 'tool_result':
            open_calls = open_calls - _answered(block, open_calls)


def _answered(result: _Block, waiting: set[str]) -> set[str]:
    """The calls that a result answers: by its ids, or all that wait."""
    return {*result.call_ids} or waiting


def unpaired(blocks: Sequence[_Block]) -> int:
    """How many results lack their call, and calls their result; a provider refuses any.

    A result without an id answers the calls right before it.
    """
    wrong = 0
    waiting: set[str] = set()
    before = ''
    for block in blocks:
        if block.kind == 'tool_result':
            known = {*block.call_ids} <= waiting
            wrong += not (known if block.call_ids else before in {'tool_call', 'tool_result'})
            waiting = waiting - _answered(block, waiting)
        else:
            wrong += len(waiting)
            waiting = {*block.call_ids} if block.kind == 'tool_call' else set()
        before = block.kind
    return wrong + len(waiting)
