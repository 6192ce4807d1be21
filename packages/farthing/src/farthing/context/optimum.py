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
    return min(cached, _best(_Costs(session, tariff, lambda _: False), keep_turns), key=_cost)


def _best(costs: '_Costs', keep_turns: int) -> Run:
    turns = costs.history.turns
    before = turns[0].start if turns else len(costs.history.blocks)
    lone = Turn(start=0, stop=before)
    best: _Best = {0: costs.warm(lone, 0)}
    for number, turn in enumerate(turns):
        stay = {cut: run + costs.warm(turn, cut) for cut, run in best.items()}
        for earlier in turns[1 : max(number + 1 - keep_turns, 1)]:
            cut = earlier.start
            arrived = [run for begin, run in best.items() if begin < cut]
            moved = min(arrived, key=_cost) + costs.moved(turn, cut)
            stay[cut] = min(stay.get(cut, moved), moved, key=_cost)
        best = stay
    return min(best.values(), key=_cost)


def _cost(run: Run) -> int:
    return run.cost


class _Costs:
    """What the calls of a turn cost where the view begins at a block."""

    def __init__(self, session: Session, tariff: Tariff, cacheable: Cacheable) -> None:
        self.history = History(blocks=session.blocks, fixed_tokens=session.tool_tokens)
        self._tariff = tariff
        self._cacheable = cacheable
        self._system = session.tool_tokens + session.system_tokens
        self._previous: dict[int, int] = {}

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
        held = head if moved else self._sent_before(turn.start, cut, head)
        for at in range(turn.start, turn.stop):
            if history.blocks[at].kind not in ANSWERS:
                continue
            prompt = head + history.tokens(cut, at)
            total += self._call(prompt, held, history.blocks[at].tokens, moved=moved)
            held, moved = prompt, False
        return total

    def _sent_before(self, start: int, cut: int, head: int) -> int:
        """The prompt of the last call before a turn; 0 where there was none."""
        calls = [at for at in range(start) if self.history.blocks[at].kind in ANSWERS]
        return head + self.history.tokens(cut, calls[-1]) if calls else 0

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
