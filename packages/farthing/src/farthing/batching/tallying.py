"""Whether the results of a batch are all there: counted as read, beside what is said of them.

Nothing of it stops a job. It tells which requests without a result may have been billed, and what
a user should know of.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What the results of one batch hold, read once from the beginning.

    Attributes:
        answered: Results with an answer, each name once.
        tokens: Their tokens together, as the provider counts them; `None` where one says none.
        twice: Results whose name has come before.
        strange: Results with a name that was not sent.
        missing: Requests without a result.
    """

    answered: int = 0
    tokens: int | None = 0
    twice: int = 0
    strange: int = 0
    missing: int = 0
    _items: set[int] = field(default_factory=set)

    def add(self, item: int | None, *, answered: bool, tokens: int | None) -> None:
        """Count one result.

        Args:
            item: Number of the item that it names; `None` where we sent no such name.
            answered: Whether it is an answer, and billed.
            tokens: Of its usage together; `None` where it says none.
        """
        if item is None:
            self.strange += 1
        elif item in self._items:
            self.twice += 1
            return
        else:
            self._items.add(item)
        if answered:
            self.answered += 1
            known = self.tokens is not None and tokens is not None
            self.tokens = (self.tokens or 0) + (tokens or 0) if known else None

    def in_doubt(self, answered: int | None) -> bool:
        """Whether a request without a result may have been answered, and billed.

        Args:
            answered: How many were, as the provider says; `None` where it does not.
        """
        return bool(self.missing) and (answered is None or answered > self.answered)

    def notes(self, *, answered: int | None, tokens: int | None) -> str | None:
        """What does not agree, in one line; `None` where all does.

        Args:
            answered: How many requests were answered, as the provider says.
            tokens: Tokens of all answers, as the provider says.
        """
        said = [
            f'{self.missing} have no result' if self.missing else '',
            f'{self.twice} results came twice' if self.twice else '',
            f'{self.strange} have names that were not sent' if self.strange else '',
            f'{answered} were answered by its own count, and {self.answered} answers were read'
            if answered not in {None, self.answered}
            else '',
            f'{tokens} tokens by its own count, and {self.tokens} in the answers that were read'
            if None not in {tokens, self.tokens} and tokens != self.tokens
            else '',
        ]
        return '; '.join(filter(None, said)) or None
