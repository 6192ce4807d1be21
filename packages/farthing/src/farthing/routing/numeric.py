"""numpy, which the extra `farthing[router]` brings: trained routers and their evidence need it."""

from typing import TypeAlias

from farthing.errors import InputError

try:
    import numpy as np
except ModuleNotFoundError as error:  # pragma: no cover - the workspace has it
    raise InputError(
        'trained routers and their evaluation need numpy: `pip install "farthing[router]"`'
    ) from error

from numpy.typing import NDArray

__all__ = ['Array', 'Counts', 'Flags', 'np']

Array: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
