"""Retrieval over the texts of open conversations, for policies that select.

An index lives in memory only and holds one conversation; it is made anew from the history where a
process has none, or where the history was changed.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from farthing.context import Block, Memory, Part, Select
from farthing.context.planning import Policy
from farthing.context.rankers import ranker
from farthing.context.values import Find
from farthing.ledger.sessions import Name

_MOST = 100


class Finding:
    """The indexes of a driver.

    Raises:
        InputError: A ranker is not known, or not installed.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        selects = [one for one in policies if isinstance(one, Select)]
        self._rankers = selects[0].rankers if selects else None
        for name in self._rankers or ():
            ranker(name)
        self._lock = threading.Lock()
        self._indexes: OrderedDict[bytes, _Index] = OrderedDict()

    def over(self, name: Name, parts: Sequence[Part], counted: Sequence[Block]) -> Find | None:
        """What finds blocks of this history again; `None` where no policy asks for that."""
        if self._rankers is None:
            return None
        asked = next((one.text for one in reversed(parts) if one.kind == 'user'), '')

        def find(hidden: AbstractSet[int], budget: int) -> Sequence[int]:
            with self._lock:
                index = self._indexes.get(name.key)
                if index is None or not index.is_of(counted):
                    index = _Index(Memory([ranker(one) for one in self._rankers or ()]))
                    self._indexes[name.key] = index
                self._indexes.move_to_end(name.key)
                if len(self._indexes) > _MOST:
                    self._indexes.popitem(last=False)
                index.add(parts, counted)
                return index.memory.find(asked, hidden, budget)

        return find


class _Index:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._digests: list[str] = []

    def is_of(self, counted: Sequence[Block]) -> bool:
        """Whether it holds the beginning of this history and nothing else."""
        return self._digests == [one.digest for one in counted[: len(self._digests)]]

    def add(self, parts: Sequence[Part], counted: Sequence[Block]) -> None:
        """Take what has been said since."""
        for at in range(len(self.memory), len(parts)):
            self.memory.add(parts[at].text, counted[at].tokens)
            self._digests.append(counted[at].digest)
