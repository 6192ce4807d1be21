"""An SDK's arguments on their way through an annotator."""

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farthing.run.annotates import annotated

_NAMES = st.sampled_from(['model', 'messages', 'tools', 'a', 'b', 'betas', 'timeout'])
_FIELDS = st.dictionaries(_NAMES, st.none() | st.sampled_from([1, 2]), max_size=5)
# A busy machine is no reason to fail.
_unhurried = settings(suppress_health_check=[HealthCheck.too_slow])


class Sending:
    """Sends what it is told to send, and remembers what it saw."""

    def __init__(self, sent: Mapping[str, Any] | None = None) -> None:
        self.sent = sent
        self.seen: Mapping[str, Any] = {}

    def annotate(self, payload, *, provider, api, model=None):
        self.seen = payload
        return payload if self.sent is None else self.sent


def through(annotator: Sending, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return annotated(arguments, annotator, provider='anthropic', api='anthropic_messages')


def body(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an SDK sends: its arguments, and `extra_body` over them."""
    beside = {'extra_body', 'betas', 'timeout'}
    direct = {name: value for name, value in arguments.items() if name not in beside}
    return {**direct, **(arguments.get('extra_body') or {})}


@_unhurried
@given(_FIELDS, st.none() | _FIELDS)
def test_what_is_left_as_it_is_leaves_as_it_was(arguments, extra) -> None:
    arguments = {**arguments, 'extra_body': extra}
    annotator = Sending()

    assert arguments == through(annotator, arguments)
    assert body(arguments) == annotator.seen


@_unhurried
@given(_FIELDS, st.none() | _FIELDS, _FIELDS)
def test_the_body_that_leaves_is_the_annotators(arguments, extra, sent) -> None:
    arguments = {**arguments, 'extra_body': extra}
    before = {**arguments, 'extra_body': extra and dict(extra)}
    passed = through(Sending(sent), arguments)

    assert sent == body(passed) | {n: v for n, v in sent.items() if n in {'betas', 'timeout'}}
    assert before == arguments
    for name in {'betas', 'timeout'} & arguments.keys():
        assert arguments[name] == passed[name]


def test_new_fields_travel_where_no_method_refuses_them() -> None:
    arguments = {'model': 'm', 'betas': ['b'], 'extra_body': {'temperature': 0.5}}
    sent = {'model': 'm', 'temperature': 0.5, 'prompt_cache_key': 'k'}

    assert {
        'model': 'm', 'betas': ['b'], 'extra_body': {'temperature': 0.5, 'prompt_cache_key': 'k'}
    } == through(Sending(sent), arguments)  # fmt: skip
