"""Ridge regression over blocks of columns, each block with its own penalty.

One solver serves every trained method: a block that a method does not use is left out, and a
block of task labels with the penalty `k` is the per-task mean shrunk by `k` pseudo labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from farthing.routing.numeric import Array, np


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over rows: all that a ridge regression needs, and they add up over folds.

    Attributes:
        inner: Products of the columns with each other; the first column is the constant 1.
        outer: Products of the columns with the targets.
    """

    inner: Array
    outer: Array

    @classmethod
    def of(cls, columns: Array, targets: Array) -> 'Moments':
        """The sums over the rows of `columns`."""
        return cls(inner=columns.T @ columns, outer=columns.T @ targets)

    @classmethod
    def total(cls, parts: Sequence['Moments']) -> 'Moments':
        """The sums over all parts' rows."""
        return reduce(
            lambda one, two: cls(inner=one.inner + two.inner, outer=one.outer + two.outer), parts
        )

    def solve(self, penalties: Iterable[tuple[slice, float]]) -> Array:
        """Coefficients by column and target; columns without a penalty are 0, the constant free.

        Args:
            penalties: Blocks of columns and their penalties, each above 0.
        """
        size = len(self.inner)
        penalty = np.full(size, np.inf)
        penalty[0] = 0.0
        for block, value in penalties:
            penalty[block] = value
        # A column that is 0 throughout, such as a bucket that no word fell in, has weight 0.
        kept = np.flatnonzero(np.isfinite(penalty) & (self.inner.diagonal() > 0))
        inner = self.inner[np.ix_(kept, kept)] + np.diag(penalty[kept])
        found = np.zeros((size, self.outer.shape[1]))
        found[kept] = np.linalg.solve(inner, self.outer[kept])
        return found
