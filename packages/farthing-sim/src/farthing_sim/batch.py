"""One batch: requests that are answered later, each by the code that answers a call.

The requests, the results and the charges lie in temporary files; what is in memory does not grow
with them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from farthing_sim.answering import answer, readable, take
from farthing_sim.schedule import Schedule
from farthing_sim.send import encode
from farthing_sim.spool import Spool
from farthing_sim.state import State
from farthing_sim.surface import Json, Refusal, Stamp, Surface

Kind = Literal['succeeded', 'errored', 'expired', 'canceled']


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request: an answer, a refusal, or neither."""

    custom_id: str
    kind: Kind
    stamp: Stamp
    answer: Json | None = None
    refusal: Refusal | None = None


class Dialect(Protocol):
    """A provider's words for batches.

    `USAGE` is what the usage of every answer says in a batch.
    """

    API: str
    USAGE: Mapping[str, Any]

    def validate(self, batch: 'Batch') -> Iterator[None]:
        """Check the requests, a line a step; what is wrong goes into `batch.problems`."""
        ...

    def open(self, line: Json) -> tuple[str, Json]:
        """The id and the body of a request."""
        ...

    def check(self, body: Json) -> None:
        """Raise a `Refusal` for what may be asked for, but in no batch."""
        ...

    def write(self, outcome: Outcome) -> Json:
        """The line that tells what became of a request."""
        ...

    def finish(self, batch: 'Batch') -> None:
        """Called when the last line is written."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Batch:
    """A batch and how far it has come.

    Attributes:
        id: Unique to the server.
        scope: Whose it is.
        dialect: Its provider's words.
        surface: The API that answers its requests.
        requests: Its requests, one JSON object a line.
        schedule: When what happens to it.
        facts: What its provider repeats of its creation.
        listed_s: When it is listed, in Unix time; before it is found by its id only.
        state: What the server remembers.
        position: How many requests are settled.
        validated: Whether the requests were checked.
        finished: Whether all of them are settled, and the results written.
        deleted: Whether it is found no more.
        problems: What is wrong with the requests, in the provider's words.
        counts: What became of how many.
        usage: Sum of the usage of all answers, by the provider's names.
        results: What succeeded.
        failures: What did not.
        charges: What the provider billed, a request a line.
    """

    id: str
    scope: str
    dialect: Dialect
    surface: Surface
    requests: Spool
    schedule: Schedule
    facts: Json
    listed_s: float
    state: State
    position: int = 0
    validated: bool = False
    finished: bool = False
    deleted: bool = False
    problems: list[Json] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)
    usage: Counter[str] = field(default_factory=Counter)
    results: Spool = field(default_factory=Spool)
    failures: Spool = field(default_factory=Spool)
    charges: Spool = field(default_factory=Spool)
    _steps: Iterator[bool] = field(init=False)
    _begins: list[Callable[[], None]] = field(default_factory=list)
    _unwritten: list[Outcome] = field(default_factory=list)
    _late: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._steps = self._process()

    def work(self, most: int) -> bool:
        """Settle up to so many requests that are due; whether there may be more."""
        return all(next(self._steps, False) for _ in range(most))

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        in_time = self.finished and self.state.clock() >= self.schedule.end_s
        return in_time or bool(self.validated and self.problems)

    def cancel(self) -> None:
        """Ask for its cancellation now."""
        self.schedule = replace(self.schedule, cancelled_s=self.state.clock())

    def _process(self) -> Iterator[bool]:
        """One line a step; a false one where only time leads on."""
        while self.state.clock() < min(self.schedule.begun_s, self.schedule.end_s):
            yield False
        for _ in self.dialect.validate(self):
            yield True
        self.validated = True
        if self.problems:
            return
        for line in self.requests.lines():
            while self.position >= self.schedule.due(now := self.state.clock()):
                if now >= self.schedule.end_s:
                    break
                yield False
            self._settle(json.loads(line))
            yield True
        self._write()
        self.dialect.finish(self)
        self.finished = True
        while self._late and self.state.clock() < self.schedule.end_s + self.schedule.fault.late_s:
            yield False
        self._unwritten += self._late
        self._write()

    def _settle(self, line: Json) -> None:
        custom_id, body = self.dialect.open(line)
        due = self.position < self.schedule.due(self.state.clock())
        at_s = self.schedule.answered_at_s(self.position) if due else self.schedule.end_s
        stamp = replace(self.state.stamp(), scope=self.scope, time_s=at_s)
        try:
            outcome = self._outcome(custom_id, body, stamp, due=due)
        except Refusal as refusal:
            outcome = Outcome(custom_id=custom_id, kind='errored', stamp=stamp, refusal=refusal)
        self.counts[outcome.kind] += 1
        self._unwritten += self._told(outcome)
        self.position += 1
        if self.position % self.schedule.rules.at_once == 0:
            self._write()

    def _outcome(self, custom_id: str, body: Json, stamp: Stamp, *, due: bool) -> Outcome:
        """What becomes of a request.

        Raises:
            Refusal: An error, by the provider's rules or by the batch's fault.
        """
        fault = self.schedule.fault
        fate = fault.of_line(self.position)
        if not due:
            fate = 'expired' if self.schedule.end == 'expired' else 'canceled'
        if fate == 'expired':
            return Outcome(custom_id=custom_id, kind='expired', stamp=stamp)
        if fate == 'canceled':
            return Outcome(custom_id=custom_id, kind='canceled', stamp=stamp)
        if fate == 'blank':
            return Outcome(custom_id=custom_id, kind='succeeded', stamp=stamp)
        if isinstance(fate, int):
            raise Refusal(fate, fault.message or f'Simulated error {fate}.')
        with readable():
            self.dialect.check(body)
        taken = take(self.surface, body, stamp, self.state)
        usage = {**self.dialect.USAGE, **(fault.usage or {})}
        said = answer(self.surface, taken, self.state, usage=usage)
        self._begins.append(taken.visit.begin)
        self._charge(custom_id, said, stamp)
        return Outcome(custom_id=custom_id, kind='succeeded', stamp=stamp, answer=said)

    def _charge(self, custom_id: str, said: Json, stamp: Stamp) -> None:
        _add(said['usage'], self.usage)
        charge = {
            'time_s': stamp.time_s, 'api': self.surface.API, 'model': said['model'],
            'id': said.get('id'), 'batch_id': self.id, 'custom_id': custom_id,
            'usage': said['usage'],
        }  # fmt: skip
        self.charges.append(encode(charge) + b'\n')

    def _told(self, outcome: Outcome) -> list[Outcome]:
        """What the results tell of an outcome: one line, unless the fault says otherwise."""
        match self.schedule.fault.of_line(self.position):
            case 'missing':
                return []
            case 'late':
                self._late.append(outcome)
                return []
            case 'duplicate':
                return [outcome, outcome]
            case 'unknown':
                nobodys = replace(outcome, custom_id=f'unknown-{outcome.stamp.serial}')
                return [outcome, nobodys]
        return [outcome]

    def _write(self) -> None:
        """Write the results of requests that were answered together, the last one first."""
        for outcome in reversed(self._unwritten):
            spool = self.results if outcome.kind == 'succeeded' else self.failures
            spool.append(encode(self.dialect.write(outcome)) + b'\n')
        for begin in self._begins:
            begin()
        self._unwritten.clear()
        self._begins.clear()


def _add(usage: Mapping[str, Any], sums: Counter[str], prefix: str = '') -> None:
    """Add the counters of one usage to sums, those of objects inside by their path."""
    for key, value in usage.items():
        if isinstance(value, Mapping):
            _add(value, sums, f'{prefix}{key}.')
        elif isinstance(value, int):
            sums[prefix + key] += value
