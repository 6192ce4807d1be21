"""Routing by example: the route whose examples are nearest in meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from farthing.errors import InputError
from farthing.routing.features import embedded
from farthing.routing.numeric import Array, np
from farthing.routing.policy import Choice, Embed
from farthing.routing.query import Query


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    """A policy of examples: each route's nearest ones are averaged, and the nearest route wins.

    The examples are embedded once, when the policy is made; afterwards only their vectors are kept.

    Attributes:
        vectors: Each route's examples, one row of length 1 each.
        embed: Embeds texts: any framework's `embed_documents`, or `wordllama.embedder()`.
        least: The likeness (cosine) below which there is no opinion.
        nearest: How many of a route's examples are averaged.
        version: Changes with the examples.
        name: As it stands in the decision record.
    """

    vectors: Mapping[str, Array] = field(repr=False)
    embed: Embed = field(repr=False)
    version: str
    least: float = 0.3
    nearest: int = 3
    name: str = 'embedding'

    @classmethod
    def of(
        cls,
        examples: Mapping[str, Sequence[str]],
        embed: Embed,
        *,
        least: float = 0.3,
        nearest: int = 3,
    ) -> 'Embedding':
        """The policy of these examples.

        Args:
            examples: Texts by the route that they need.
            embed: Embeds texts.
            least: The likeness (cosine) below which there is no opinion.
            nearest: How many of a route's examples are averaged.

        Raises:
            InputError: There is no route, or one without an example.
        """
        if not examples or not all(examples.values()):
            raise InputError(
                f'examples of the routes {sorted(examples)}: give one or more for each'
            )
        stated = repr(
            (sorted((route, *texts) for route, texts in examples.items()), least, nearest)
        )
        return cls(
            vectors={route: embedded(list(texts), embed) for route, texts in examples.items()},
            embed=embed,
            version=sha256(stated.encode('utf-8', 'surrogatepass')).hexdigest()[:12],
            least=least,
            nearest=nearest,
        )

    def choose(self, query: Query) -> Choice | None:
        """The route with the nearest examples."""
        vector = embedded([query.text], self.embed)[0]
        likeness = {
            route: float(np.sort(rows @ vector)[-self.nearest :].mean())
            for route, rows in self.vectors.items()
        }
        route = max(likeness, key=likeness.__getitem__)
        if likeness[route] < self.least:
            return None
        return Choice(route=route, reason='nearest examples', scores=likeness, threshold=self.least)
