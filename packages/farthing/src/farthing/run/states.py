"""The states of conversations as they are stored, with the texts of their summaries."""

from collections.abc import Callable
from datetime import datetime

from farthing.attribution import Attribution
from farthing.context import Block, State, dump, load
from farthing.context.values import ANSWERS
from farthing.errors import ContextError
from farthing.ledger.sessions import Name, Sessions, Stored, hashed, session_name
from farthing.run.counting import Failures


class States:
    """Reads and writes them.

    Attributes:
        sessions: Where they are stored.
    """

    def __init__(self, sessions: Sessions, failures: Failures, now: Callable[[], datetime]) -> None:
        self.sessions = sessions
        self._failures = failures
        self._now = now

    def load(self, name: Name) -> tuple[Stored, State]:
        """What is stored, and its state: an empty one where it cannot be read, or lacks a text.

        Raises:
            LedgerError: The store cannot be read.
        """
        stored = self.sessions.load(name)
        if stored.state is None:
            return stored, State()
        try:
            state = load(stored.state)
        except ContextError as error:
            self._failures.count('unreadable', error)
            return stored, State()
        if missing := _digests(state) - {*stored.texts}:
            lost = ContextError(f'{len(missing)} summaries are not stored')
            self._failures.count('summary_lost', lost)
            return stored, State()
        return stored, state

    def save(
        self, name: Name, stored: Stored, state: State, new: dict[str, str] | None = None
    ) -> bool:
        """Store a state and the texts that are new in it, unless another was quicker.

        Raises:
            LedgerError: The store cannot be written.
        """
        keep = _digests(state)
        return self.sessions.save(name, stored, dump(state), self._now(), keep=keep, new=new)


def name_of(key: bytes, who: Attribution, counted: tuple[Block, ...]) -> Name:
    """What a conversation is found by: its session and its first request.

    Agents inside an agent share its session, and each has a conversation of its own. One without a
    session is known by its first request and answer; a state is used only for the very history
    that it was made of.
    """
    kinds = [one.kind for one in counted]
    first = next((n for n, kind in enumerate(kinds) if kind == 'user'), len(kinds) - 1)
    opening = [one.digest for one in counted[first : first + 1]]
    if who.session is None:
        answer = next((n for n, kind in enumerate(kinds) if kind in ANSWERS), len(kinds) - 1)
        opening = [one.digest for one in counted[: answer + 1] if one.kind != 'system']
    session = who.session or ''
    return Name(
        key=hashed(key, 'conversation', who.tenant or '', session, *opening),
        session=session_name(key, session),
    )


def _digests(state: State) -> set[str]:
    """Of the summaries that a state tells of."""
    asked = state.asked.previous if state.asked else None
    return {one.digest for one in (state.summary, state.ready, asked) if one is not None}
