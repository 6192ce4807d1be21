"""Which errors of a model's call another route may mend."""

from farthing.errors import RoutingError

_FIRST_ERROR_STATUS = 400
_FIRST_SERVER_STATUS = 500
_TRANSIENT = frozenset({408, 409, 425, 429})
# Errors without a status: of the connection, of a time limit, or told inside a stream. By name,
# because each SDK has its own.
_BROKEN = frozenset({
    'APIConnectionError', 'APIError', 'ConnectionError', 'HTTPClientError', 'TimeoutError',
    'TransportError',
})  # fmt: skip


def may_fall_back(error: BaseException) -> bool:
    """Whether the provider failed, and not the request: limits, overload, broken connections.

    So it is where an adapter could not ask the route at all, in words that its model takes.
    """
    if isinstance(error, RoutingError):
        return True
    status = getattr(error, 'status_code', None) or getattr(error, 'code', None)
    if isinstance(status, int):
        # An error that is told inside an answer carries the answer's own status, 200.
        served = status < _FIRST_ERROR_STATUS
        return served or status >= _FIRST_SERVER_STATUS or status in _TRANSIENT
    return any(base.__name__ in _BROKEN for base in type(error).__mro__)
