"""What a line's failure means: try again, pause first, or tell the user.

An attempt is used up by what may be the request's fault. Who cancelled a batch, or has no money,
is to blame for that alone.
"""

from dataclasses import dataclass
from typing import Literal

Ending = Literal['answered', 'errored', 'expired', 'cancelled', 'missing', 'lost']
Verdict = Literal['done', 'retry', 'again', 'pause', 'final']

_BUSY = frozenset({408, 409, 425, 429})
_BUSY_TYPES = frozenset(
    {'overloaded_error', 'api_error', 'rate_limit_error', 'timeout_error', 'server_error'}
)
# Low funds come as thousands of `invalid_request_error` lines, and are no fault of the requests.
# https://github.com/bespokelabsai/curator/issues/296
_FUNDS = ('credit balance', 'insufficient_quota', 'billing_hard_limit', 'exceeded your current')
_FIRST_SERVER_ERROR = 500
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and when an item is tried again.

    Attributes:
        attempts: Attempts at most, the first included.
        pause_s: How long the job rests where money is short.
    """

    attempts: int = 4
    pause_s: float = 600.0


def verdict(
    ending: Ending,
    *,
    status: int,
    kind: str | None,
    message: str,
    attempt: int,
    retries: Retries,
) -> Verdict:
    """What is to be done about a line.

    Args:
        ending: How the provider says that it ended; `lost`: nobody knows, and it may be billed.
        status: HTTP status of its answer; 0 where there is none.
        kind: The provider's type or code of the error.
        message: The provider's words; read here and kept nowhere.
        attempt: Which attempt it was, from 1.
        retries: The limits.
    """
    if ending == 'answered' and _FIRST_ERROR > status > 0:
        return 'done'
    words = f'{kind or ""} {message}'.lower()
    if any(word in words for word in _FUNDS):
        return 'pause'
    if ending == 'cancelled':
        return 'again'
    passing = (
        ending in {'expired', 'missing', 'lost'}
        or status in _BUSY
        or status >= _FIRST_SERVER_ERROR
        or status == 0
        or kind in _BUSY_TYPES
    )
    return 'retry' if passing and attempt < retries.attempts else 'final'
