"""When a job stops waiting for batches and asks for the rest at once.

A batch that is cancelled takes up to ten minutes to end, and until it has ended its requests may
still be answered and billed: none of them is asked elsewhere before.
"""

from dataclasses import dataclass
from typing import Literal

from farthing.errors import InputError

RESERVE_S = 1_800.0
"""Ten minutes for a cancellation, and twenty for what is asked at once."""

Phase = Literal['batch', 'sync']


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a job is to be done.

    Attributes:
        at_s: The deadline in seconds since 1970; `None` is none.
        reserve_s: How long before it the batches are given up.

    Raises:
        InputError: The reserve is negative.
    """

    at_s: float | None = None
    reserve_s: float = RESERVE_S

    def __post_init__(self) -> None:
        if self.reserve_s < 0:
            raise InputError(f'`reserve` is {self.reserve_s} s: expected at least 0')

    def phase(self, now_s: float) -> Phase:
        """Whether batches are still waited for, or what is left is asked at once."""
        if self.at_s is None or now_s < self.at_s - self.reserve_s:
            return 'batch'
        return 'sync'
