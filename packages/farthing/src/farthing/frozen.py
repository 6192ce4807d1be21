"""Frozen values that are made as quickly as open ones.

The `__init__` of a frozen dataclass goes around its own `__setattr__` for every field, which takes
three times as long as plain assignment, and each recorded call makes several such values. Here a
new object is an open twin of its class while its fields are set, and frozen before anybody has it.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar, cast

_Value = TypeVar('_Value')


def quick(cls: type[_Value]) -> type[_Value]:
    """The class with an `__init__` that assigns plainly; all else stays as it was.

    Put it above `@dataclass(frozen=True, slots=True, kw_only=True)`. `__post_init__` still sees a
    frozen object, and `replace`, `pickle` and `copy` work as on any dataclass.
    """
    members = fields(cast('Any', cls))
    names = [one.name for one in members]
    # Python lets an object change its class where both classes have the same slots.
    opened = type(cls.__name__, (), {'__slots__': tuple(names)})
    scope: dict[str, Any] = {'_frozen': cls, '_open': opened, '_set': object.__setattr__}
    parameters, lines = [], ["_set(self, '__class__', _open)"]
    for one in members:
        value = one.name
        if one.default_factory is not MISSING:
            scope[f'_new_{one.name}'], scope['_unset'] = one.default_factory, MISSING
            parameters.append(f'{one.name}=_unset')
            value = f'_new_{one.name}() if {one.name} is _unset else {one.name}'
        elif one.default is not MISSING:
            scope[f'_default_{one.name}'] = one.default
            parameters.append(f'{one.name}=_default_{one.name}')
        else:
            parameters.append(one.name)
        lines.append(f'self.{one.name} = {value}')
    lines.append('self.__class__ = _frozen')
    if hasattr(cls, '__post_init__'):
        lines.append('self.__post_init__()')
    body = '\n    '.join(lines)
    # Source text, as in `dataclasses` itself: no other way gives named parameters and plain code.
    exec(f'def __init__(self, *, {", ".join(parameters)}):\n    {body}', scope)  # noqa: S102
    made = scope['__init__']
    made.__qualname__ = f'{cls.__qualname__}.__init__'
    made.__annotations__ = cls.__init__.__annotations__
    cls.__init__ = made  # type: ignore[method-assign]
    return cls
