"""What a running server remembers: log, planned faults, answers, prompt caches, batches."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from farthing_sim.batches import Batches
from farthing_sim.caches import CacheRules, Caches
from farthing_sim.clock import Clock
from farthing_sim.faults import NO_FAULT, Fault
from farthing_sim.files import Files
from farthing_sim.schedule import DEFAULT_BATCH_RULES, BatchRules
from farthing_sim.surface import Json, Stamp

_MOST_CONVERSATIONS = 1_000


class State:
    """Shared by the server's loop and the threads that ask about it; every method is safe.

    Args:
        clock: Unix time in seconds.
        seed: Part of every id, so that two servers never give the same one.
        rules: How the prompt caches work.
        batches: How long batches take, and what they may hold.

    Attributes:
        clock: The server's time, which tests may move.
        caches: Used by the server's loop alone, as the next two.
        batches: What was asked for in batches.
        files: What was uploaded, and what batches have written.
        models: The models that there are, and the most output tokens of each; `None` takes any
            name, and any limit.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        seed: str,
        rules: CacheRules,
        batches: BatchRules = DEFAULT_BATCH_RULES,
    ) -> None:
        self.clock = Clock(clock)
        self.caches = Caches(rules)
        self.batches = Batches(batches)
        self.files = Files()
        self.models: Mapping[str, int] | None = None
        self._rules = rules
        self._batch_rules = batches
        self._seed = seed
        self._lock = threading.Lock()
        self._served = 0
        self._log: list[Json] = []
        self._plan: deque[Fault] = deque()
        self._conversations: OrderedDict[str, tuple[Json, ...]] = OrderedDict()

    def stamp(self, history: tuple[Json, ...] = ()) -> Stamp:
        """The next request's serial and time."""
        with self._lock:
            self._served += 1
            serial = f'{self._seed}{self._served:06d}'
            return Stamp(serial=serial, time_s=self.clock(), history=history)

    def plan(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Append faults, one a call, to the plan.

        Raises:
            FaultError: One of them cannot be read; then none is planned.
        """
        planned = [Fault.read(given) for given in faults]
        with self._lock:
            self._plan.extend(planned)

    def next_fault(self, api: str, *, only_named: bool = False) -> Fault:
        """Take the first fault of the plan that this operation takes.

        Args:
            api: The operation.
            only_named: Whether it takes only faults that name it.
        """
        takes = {api} if only_named else {api, None}
        with self._lock:
            for i, fault in enumerate(self._plan):
                if fault.on in takes:
                    del self._plan[i]
                    return fault
        return NO_FAULT

    def record(self, entry: Json) -> Json:
        """Append an entry to the log; returns it, to be completed while it is sent."""
        with self._lock:
            self._log.append(entry)
        return entry

    def log(self) -> list[Json]:
        """What was served so far, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._log]

    def reset(
        self,
        rules: CacheRules | None = None,
        *,
        batches: BatchRules | None = None,
        models: Mapping[str, int] | None = None,
    ) -> None:
        """Forget everything, and tell the real time. Ids go on, so that none is given twice.

        Args:
            rules: How the prompt caches work until the next reset; `None` takes the rules that
                the server began with.
            batches: How batches go until then, likewise.
            models: See the attribute.
        """
        self.clock.reset()
        self.caches = Caches(rules or self._rules)
        self.batches.close()
        self.batches = Batches(batches or self._batch_rules)
        self.files = Files()
        self.models = models
        with self._lock:
            self._log.clear()
            self._plan.clear()
            self._conversations.clear()

    def remember(self, answer_id: str, items: tuple[Json, ...]) -> None:
        """Keep a conversation, so that a later request can go on from its answer."""
        with self._lock:
            self._conversations[answer_id] = items
            while len(self._conversations) > _MOST_CONVERSATIONS:
                self._conversations.popitem(last=False)

    def conversation(self, answer_id: str) -> tuple[Json, ...] | None:
        """The items up to an answer; `None` if it is not known."""
        with self._lock:
            return self._conversations.get(answer_id)
