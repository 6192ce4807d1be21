"""One request that two routes answered: what evidence is made of."""

from dataclasses import dataclass
from datetime import datetime

MARGIN = 0.02
"""How much worse an answer may be to count as good enough, in the unit of the scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One request that two routes answered.

    Attributes:
        task: What the call was for.
        weak: The weaker route.
        strong: The stronger route.
        default: Which of the two is the default.
        models: The weaker and the stronger route's model, as they were asked for.
        weak_score: Score of the weaker route's answer; `None` while it is not graded.
        strong_score: Score of the stronger route's answer by the same grader; `None` likewise.
        time: When the shadow call was made.
        run_id: The framework's run whose answer the user got.
    """

    task: str | None
    weak: str
    strong: str
    default: str
    models: tuple[str, str]
    weak_score: float | None
    strong_score: float | None
    time: datetime
    run_id: str

    @property
    def route(self) -> str:
        """The one that is not the default."""
        return self.weak if self.default == self.strong else self.strong

    @property
    def gap(self) -> float | None:
        """The stronger route's score minus the weaker one's; `None` where not graded."""
        if self.weak_score is None or self.strong_score is None:
            return None
        return self.strong_score - self.weak_score
