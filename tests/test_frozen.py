"""Values that are made quickly are as frozen as those that are made slowly."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from farthing.attribution import Attribution
from farthing.errors import UsageError
from farthing.frozen import quick
from farthing.prices.quote import Call, Quote, Terms
from farthing.usage import Usage


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    width: int
    height: int = 2
    names: list[str] = field(default_factory=list)


def test_a_quick_value_cannot_be_changed() -> None:
    usage = Usage(input_tokens=3, output_tokens=1)

    with pytest.raises(FrozenInstanceError):
        usage.input_tokens = 4  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del usage.output_tokens
    assert type(usage) is Usage
    assert 3 == usage.input_tokens


def test_quick_values_are_equal_hashed_and_shown_by_their_fields() -> None:
    assert Terms(tier='flex') == Terms(tier='flex') != Terms(tier='priority')
    assert 1 == len({Terms(batch=True), Terms(batch=True)})
    assert "Terms(tier='flex', batch=None, geo=None, region=None)" == repr(Terms(tier='flex'))


def test_quick_values_are_replaced_pickled_and_copied() -> None:
    quote = Quote(status='exact', cost=7, book='b')

    assert Quote(status='exact', cost=8, book='b') == replace(quote, cost=8)
    assert quote == copy.copy(quote)
    assert quote == pickle.loads(pickle.dumps(quote))  # noqa: S301 - our own bytes
    who = Attribution(tenant='acme')
    assert Attribution(tenant='acme', task='triage') == replace(who, task='triage')


def test_each_quick_value_has_defaults_of_its_own() -> None:
    one, other = Box(width=1), Box(width=1)

    one.names.append('first')

    assert ['first'] == one.names
    assert Box(width=1, height=2, names=[]) == other


def test_a_quick_value_takes_its_fields_by_name_and_is_checked() -> None:
    with pytest.raises(TypeError, match='positional'):
        Terms('flex')  # type: ignore[misc]
    with pytest.raises(TypeError, match='model'):
        Call(provider='openai')  # type: ignore[call-arg]
    with pytest.raises(UsageError, match='expected a whole number'):
        Usage(input_tokens=True, output_tokens=0)
    with pytest.raises(UsageError, match='`reasoning_tokens` is -1'):
        Usage(input_tokens=1, output_tokens=1, reasoning_tokens=-1)
