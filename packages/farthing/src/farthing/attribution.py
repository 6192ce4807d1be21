"""Who a call is for: tenant, task, session. Set for a block of code, read where a call is posted.

A context variable carries it through threads that copy their context and through tasks; a bare
`threading.Thread` starts without it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

from farthing.errors import InputError
from farthing.frozen import quick

_NO_TAGS: Mapping[str, str] = MappingProxyType({})
PURPOSES = ('user', 'routing', 'summary', 'compaction', 'shadow')


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Who pays for a call and what it is for; `None` is unknown.

    Attributes:
        tenant: Whose money it is.
        task: What kind of work it is.
        session: Which conversation or thread it belongs to.
        purpose: `user` for the user's own calls; farthing's levers name their own.
        tags: Further names and values.
    """

    tenant: str | None = None
    task: str | None = None
    session: str | None = None
    purpose: str = 'user'
    tags: Mapping[str, str] = field(default_factory=lambda: _NO_TAGS)

    def __post_init__(self) -> None:
        _check('tenant', self.tenant)
        _check('task', self.task)
        _check('session', self.session)
        if self.purpose not in PURPOSES:
            raise InputError(f'`purpose` is {self.purpose!r}: expected one of {PURPOSES}')


def _check(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InputError(f'`{name}` is {value!r}: expected a non-empty string or None')


NOBODY = Attribution()
_current: ContextVar[Attribution] = ContextVar('farthing_attribution', default=NOBODY)


def current() -> Attribution:
    """The attribution in force here."""
    return _current.get()


def current_over(defaults: Attribution) -> Attribution:
    """The attribution in force here, and `defaults` where it says nothing."""
    here = _current.get()
    if here is NOBODY:
        return defaults
    return narrowed(
        defaults,
        tenant=here.tenant,
        task=here.task,
        session=here.session,
        purpose=here.purpose,
        tags=here.tags,
    )


def narrowed(
    outer: Attribution,
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    purpose: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Attribution:
    """`outer`, with each given field in place of its own; tags are merged."""
    return Attribution(
        tenant=outer.tenant if tenant is None else tenant,
        task=outer.task if task is None else task,
        session=outer.session if session is None else session,
        purpose=outer.purpose if purpose is None else purpose,
        tags=MappingProxyType({**outer.tags, **tags}) if tags else outer.tags,
    )


@contextmanager
def attributed(
    *,
    tenant: str | None = None,
    task: str | None = None,
    session: str | None = None,
    purpose: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Attribution]:
    """Attribute the calls made inside the block; blocks nest, the inner one wins field by field."""
    inner = narrowed(
        _current.get(), tenant=tenant, task=task, session=session, purpose=purpose, tags=tags
    )
    token = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(token)
