"""The cheapest schedule of trims that hindsight allows, which no policy can beat.

A schedule says where the view begins in each turn. It only moves forward, and never leaves out any
of the newest `keep_turns`. It is found turn by turn: the best cost of arriving at each beginning.
"""

from farthing.context.rates import Tariff
from farthing.context.replay import Cacheable, Run, Session
from farthing.context.turns import Turn
from farthing.context.values import ANSWERS, History

_Best = dict[int, Run]
"""The cheapest way to arrive at a beginning of the view."""


def optimum(
    session: Session, tariff: Tariff, *, keep_turns: int, cacheable: Cacheable = bool
) -> Run:
    """What a session costs under the best schedule.

    Its prompts are cached, or none of them is, whichever is cheaper in the end.
    """
    cached = _best(_Costs(session, tariff, cacheable), keep_turns)
    uncached = _shortest(_Costs(session, tariff, lambda _: False), keep_turns)
    return min(cached, uncached, key=_cost)


def _best(costs: '_Costs', keep_turns: int) -> Run:
    turns = costs.history.turns
    best: _Best = {0: costs.warm(_before(costs.history), 0)}
    for number, turn in enumerate(turns):
        stay = {cut: run + costs.warm(turn, cut) for cut, run in best.items()}
        # A turn without an answer sends nothing: who moves there moves in the next one.
        droppable = (
            turns[1 : max(number + 1 - keep_turns, 1)] if stay[0].calls > best[0].calls else ()
        )
        for earlier in droppable:
            cut = earlier.start
            arrived = [run for begin, run in best.items() if begin < cut]
            moved = min(arrived, key=_cost) + costs.moved(turn, cut)
            stay[cut] = min(stay.get(cut, moved), moved, key=_cost)
        best = stay
    return min(best.values(), key=_cost)


def _shortest(costs: '_Costs', keep_turns: int) -> Run:
    """The cheapest schedule where nothing is cached: each turn begins as late as it may."""
    turns = costs.history.turns
    cuts = [one.start for one in turns[: max(len(turns) - keep_turns, 0)]]
    begins = [0] * min(keep_turns + 1, len(turns)) + cuts[1:]
    runs = (costs.warm(turn, cut) for turn, cut in zip(turns, begins, strict=True))
    return sum(runs, costs.warm(_before(costs.history), 0))


def _before(history: History) -> Turn:
    """What was said before the first request."""
    return Turn(start=0, stop=history.turns[0].start if history.turns else len(history.blocks))


def _cost(run: Run) -> int:
    return run.cost


class _Costs:
    """What the calls of a turn cost where the view begins at a block."""

    def __init__(self, session: Session, tariff: Tariff, cacheable: Cacheable) -> None:
        self.history = History(blocks=session.blocks, fixed_tokens=session.tool_tokens)
        self._tariff = tariff
        self._cacheable = cacheable
        self._system = session.tool_tokens + session.system_tokens
        # The newest answer before each block; no call was made before the first.
        self._last_call: list[int | None] = [None]
        for at, block in enumerate(session.blocks):
            self._last_call.append(at if block.kind in ANSWERS else self._last_call[at])

    def warm(self, turn: Turn, cut: int) -> Run:
        """All calls, the first of which finds what the last turn sent."""
        return self._turn(turn, cut, moved=False)

    def moved(self, turn: Turn, cut: int) -> Run:
        """All calls, the first of which finds the head alone: the view began elsewhere."""
        return self._turn(turn, cut, moved=True)

    def _turn(self, turn: Turn, cut: int, *, moved: bool) -> Run:
        history, total = self.history, Run()
        head = history.fixed_tokens + sum(
            history.blocks[at].tokens for at in history.head if at < cut
        )
        last = self._last_call[turn.start]
        held = 0 if last is None else head if moved else head + history.tokens(cut, last)
        for at in range(turn.start, turn.stop):
            if history.blocks[at].kind not in ANSWERS:
                continue
            prompt = head + history.tokens(cut, at)
            total += self._call(prompt, held, history.blocks[at].tokens, moved=moved)
            held, moved = prompt, False
        return total

    def _call(self, prompt: int, held: int, output: int, *, moved: bool) -> Run:
        read = held if self._cacheable(held) else 0
        written = prompt - read if self._cacheable(prompt) else 0
        cost = self._tariff.cost(
            read=read, written=written, fresh=prompt - read - written, output=output
        )
        length = prompt - self._system
        return Run(
            cost=cost,
            calls=1,
            history_tokens=length,
            peak_history_tokens=length,
            rewrites=int(moved),
        )
