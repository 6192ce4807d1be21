"""What the simulated Messages API says about a missed cache, through the real SDK."""

import anthropic
import pytest

from .prompts import EPHEMERAL, assistant, text, user

ASKED = {
    'model': 'claude-sonnet-4-6',
    'max_tokens': 20,
    'tools': [{'name': 'f', 'input_schema': {'type': 'object'}}],
    'system': [text(2_000, mark=EPHEMERAL)],
    'messages': [user(text(100))],
}


@pytest.fixture
def client(sim):
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='any', max_retries=0) as client:
        yield client


def ask(client, earlier, **asked):
    return client.beta.messages.create(
        **ASKED | asked, diagnostics={'previous_message_id': earlier}
    )


@pytest.mark.parametrize(('change', 'reason', 'common'), [
    ({'model': 'claude-sonnet-5'}, 'model_changed', 0),
    ({'tools': []}, 'tools_changed', 0),
    ({'system': [text(10, 'other')]}, 'system_changed', 'tools'),
    ({'system': []}, 'system_changed', 'tools'),
    ({'messages': [user(text(101))]}, 'messages_changed', 'system'),
    ({'messages': [assistant(text(100)), user(text(1))]}, 'messages_changed', 'system'),
])  # fmt: skip
def test_the_first_difference_and_the_tokens_behind_it_are_told(client, change, reason, common):
    first = ask(client, None)
    told = ask(client, first.id, **change).diagnostics.cache_miss_reason
    total = sum(
        getattr(first.usage, name)
        for name in ('input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens')
    )

    before = {0: 0, 'tools': total - 2_103, 'system': total - 103}
    assert (reason, total - before[common]) == (told.type, told.cache_missed_input_tokens)


def test_nothing_is_told_of_a_conversation_that_goes_on(client):
    first = ask(client, None)
    longer = [*ASKED['messages'], assistant(text(5)), user(text(5))]

    assert [None, None] == [first.diagnostics, ask(client, first.id, messages=longer).diagnostics]


def test_a_changed_parameter_is_a_difference_that_cannot_be_told(client):
    first = ask(client, None)
    told = ask(client, first.id, tool_choice={'type': 'any'}).diagnostics.cache_miss_reason

    assert 'unavailable' == told.type


def test_only_requests_that_asked_for_it_are_found_and_only_by_the_same_key(sim, client):
    silent = client.beta.messages.create(**ASKED)
    first = ask(client, None)
    with anthropic.Anthropic(base_url=sim.anthropic_url, api_key='other') as other:
        told = [ask(client, silent.id), ask(client, 'msg_unknown'), ask(other, first.id)]

    reasons = [one.diagnostics.cache_miss_reason.type for one in told]
    assert ['previous_message_not_found'] * 3 == reasons
    assert 'diagnostics' not in silent.model_dump(exclude_unset=True)


def test_a_stream_tells_it_at_its_start(client):
    first = ask(client, None)
    with client.beta.messages.stream(
        **ASKED | {'system': []}, diagnostics={'previous_message_id': first.id}
    ) as stream:
        begun = next(event for event in stream if event.type == 'message_start')

    assert 'system_changed' == begun.message.diagnostics.cache_miss_reason.type
