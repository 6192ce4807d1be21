"""A policy that was calibrated on the user's own labelled traffic (`farthing router calibrate`)."""

from dataclasses import dataclass
from pathlib import Path

from farthing.errors import ArtefactError
from farthing.routing import artefact
from farthing.routing.artefact import Artefact
from farthing.routing.policy import Choice, Embed
from farthing.routing.query import Query


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The strong route where the router's score exceeds its threshold, else the weak one.

    It has no opinion on a query of a task that was never calibrated.

    Attributes:
        router: The calibrated router.
        weak: The route for low scores.
        strong: The route for high ones.
        embed: The embedding that it was calibrated with, where it looks at one.
        name: As it stands in the decision record.

    Raises:
        ArtefactError: It looks at an embedding and none is given.
    """

    router: Artefact
    weak: str
    strong: str
    embed: Embed | None = None
    name: str = 'trained'

    def __post_init__(self) -> None:
        if self.router.model.embedding is not None and self.embed is None:
            raise ArtefactError(
                f'the router looks at the embedding {self.router.embedding!r}: give it as `embed`'
            )

    @classmethod
    def load(
        cls, path: str | Path, *, weak: str, strong: str, embed: Embed | None = None
    ) -> 'Trained':
        """The policy in a file.

        Args:
            path: What `farthing router calibrate --out` wrote.
            weak: The route for low scores.
            strong: The route for high ones.
            embed: The embedding that it was calibrated with.

        Raises:
            ArtefactError: The file cannot be read, is damaged or of another version.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ArtefactError(f'the router {str(path)!r} cannot be read: {error}') from error
        return cls(router=artefact.read(content), weak=weak, strong=strong, embed=embed)

    @property
    def version(self) -> str:
        """The artefact's checksum, in short."""
        return self.router.version

    def choose(self, query: Query) -> Choice | None:
        """The route by score."""
        model = self.router.model
        # Its score would be no number: nothing need be computed to know that.
        if model.tasks is not None and (query.task or '') not in model.tasks:
            return None
        score = float(model.scores([query.text], [query.task], self.embed)[0])
        above = score > self.router.threshold
        return Choice(
            route=self.strong if above else self.weak,
            reason='score above the threshold' if above else 'score up to the threshold',
            scores={'difficulty': score},
            threshold=self.router.threshold,
        )
