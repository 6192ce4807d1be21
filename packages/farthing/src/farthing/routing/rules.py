"""Rules a user writes down: the first that matches names the route."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from farthing.errors import InputError
from farthing.routing.policy import Choice
from farthing.routing.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: all that it states must hold of a query.

    Attributes:
        route: The route it names.
        keywords: Words or phrases, any of which must occur, as whole words in any case.
        regex: A pattern that must be found in the text.
        longer_than: The text has more characters than this.
        shorter_than: The text has fewer characters than this.
        tasks: The query's task is one of these.
        tenants: The query's tenant is one of these.

    Raises:
        InputError: It states nothing, or its pattern is none.
    """

    route: str
    keywords: tuple[str, ...] = ()
    regex: str | None = None
    longer_than: int | None = None
    shorter_than: int | None = None
    tasks: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        conditions = [getattr(self, one) for one in _CONDITIONS]
        if all(condition is None or condition in ((), frozenset()) for condition in conditions):
            raise InputError(
                f'a rule for route {self.route!r} states nothing: give one of '
                f'{", ".join(_CONDITIONS)}; what holds for all the rest is the default route'
            )
        patterns = []
        if self.keywords:
            words = '|'.join(map(re.escape, self.keywords))
            patterns.append(re.compile(rf'(?<!\w)(?:{words})(?!\w)', re.IGNORECASE))
        if self.regex is not None:
            try:
                patterns.append(re.compile(self.regex))
            except re.error as error:
                raise InputError(f'`regex` {self.regex!r} is no pattern: {error}') from error
        object.__setattr__(self, '_patterns', tuple(patterns))

    @property
    def judges_no_text(self) -> bool:
        """Whether it looks at the task and the tenant alone."""
        return not self._patterns and self.longer_than is self.shorter_than is None

    def matches(self, query: Query) -> bool:
        """Whether all that it states holds of the query."""
        size = len(query.text)
        return (
            (not self.tasks or query.task in self.tasks)
            and (not self.tenants or query.tenant in self.tenants)
            and (self.longer_than is None or size > self.longer_than)
            and (self.shorter_than is None or size < self.shorter_than)
            and all(pattern.search(query.text) for pattern in self._patterns)
        )


_CONDITIONS = tuple(one.name for one in fields(Rule) if one.init and one.name != 'route')
_SETS = ('tasks', 'tenants')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A policy of rules, the first match wins; without a match it has no opinion.

    Attributes:
        rules: In the order in which they are tried.
        name: As it stands in the decision record.
    """

    rules: tuple[Rule, ...]
    name: str = 'rules'
    version: str = field(init=False)

    def __post_init__(self) -> None:
        stated = repr(
            [
                [_stated(getattr(rule, one.name)) for one in fields(Rule) if one.init]
                for rule in self.rules
            ]
        )
        object.__setattr__(self, 'version', sha256(stated.encode()).hexdigest()[:12])

    def choose(self, query: Query) -> Choice | None:
        """The route of the first rule that matches."""
        for number, rule in enumerate(self.rules, 1):
            if rule.matches(query):
                return Choice(route=rule.route, reason=f'rule {number}')
        return None

    @classmethod
    def from_yaml(cls, path: str | Path) -> 'Rules':
        """The rules of a YAML file: a list of mappings in the words of `Rule`.

        Needs PyYAML, which `farthing[router]` brings.

        Raises:
            InputError: The file cannot be read, or is no such list.
        """
        try:
            yaml: Any = import_module('yaml')
        except ModuleNotFoundError as error:
            raise InputError(
                'rules in YAML need PyYAML: `pip install "farthing[router]"`, or write them as '
                '`Rule` in Python'
            ) from error
        try:
            rows = yaml.safe_load(Path(path).read_text('utf-8'))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(f'rules {str(path)!r} cannot be read: {error}') from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(
                f'rules {str(path)!r} are no list of mappings: expected entries such as '
                '{route: light, keywords: [thanks, hello]}'
            )
        return cls.of(rows)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> 'Rules':
        """The rules that these mappings state.

        Raises:
            InputError: One has a word that no rule knows, no route, or a value of another kind.
        """
        return cls(rules=tuple(_rule(row) for row in rows))


def _rule(row: Mapping[str, Any]) -> Rule:
    known = ('route', *_CONDITIONS)
    if unknown := {*row} - {*known}:
        raise InputError(f'a rule has {sorted(map(str, unknown))}: expected {", ".join(known)}')
    if not isinstance(row.get('route'), str):
        raise InputError(f'a rule has the route {row.get("route")!r}: expected a name')
    stated = dict(row)
    for name in ('keywords', *_SETS):
        if name in row:
            stated[name] = _names(name, row[name])
    for name in ('longer_than', 'shorter_than'):
        if name in row and type(row[name]) is not int:
            raise InputError(f'`{name}` is {row[name]!r}: expected a whole number of characters')
    if not isinstance(row.get('regex', ''), str):
        raise InputError(f'`regex` is {row["regex"]!r}: expected a pattern')
    return Rule(**stated)


def _names(name: str, value: Any) -> tuple[str, ...] | frozenset[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(one, str) for one in values):
        raise InputError(f'`{name}` is {value!r}: expected a text or a list of texts')
    return frozenset(values) if name in _SETS else tuple(values)


def _stated(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
