"""What the tap stores of real SDKs' requests explains their misses."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anthropic
import openai
import pytest

from farthing import Ledger
from farthing.caching.fingerprint import read
from farthing.io.recording import recorded
from farthing.io.tap import tap

RULES = 'Answer briefly and kindly, and cite the order. ' * 400


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(tmp_path / 'f.db')) as ledger:
        yield ledger


def test_a_timestamp_in_the_system_prompt_is_found_behind_the_openai_sdk(
    books: Ledger, farthing_sim
) -> None:
    tap.endpoints.add(farthing_sim.openai_url)
    with (
        recorded(books, tenant='acme', task='answer'),
        openai.OpenAI(base_url=farthing_sim.openai_url, api_key='any', max_retries=0) as client,
    ):
        for minute in range(3):
            client.chat.completions.create(
                model='gpt-4.1',
                messages=[
                    {'role': 'system', 'content': f'It is 12:0{minute}. {RULES}'},
                    {'role': 'user', 'content': f'Question {minute}'},
                ],
            )

    found = list(books.explained())

    assert ['edit', 'edit', 'first'] == sorted(one.cause for one in found)
    assert {'system[0]', None} == {one.path for one in found}
    assert all(one.cost_lost for one in found if one.cause == 'edit')


def test_places_marks_and_parameters_of_a_request_are_stored_and_none_of_its_text(
    books: Ledger, farthing_sim
) -> None:
    tap.endpoints.add(farthing_sim.anthropic_url)
    mark = {'type': 'ephemeral'}
    with (
        recorded(books),
        anthropic.Anthropic(
            base_url=farthing_sim.anthropic_url, api_key='any', max_retries=0
        ) as client,
    ):
        client.messages.create(
            model='claude-sonnet-4-6',
            max_tokens=100,
            tools=[{'name': 'look', 'input_schema': {'type': 'object'}}],
            tool_choice={'type': 'auto'},
            system=[{'type': 'text', 'text': RULES, 'cache_control': mark | {'ttl': '1h'}}],
            messages=[
                {
                    'role': 'user',
                    'content': [
                        {'type': 'text', 'text': 'Hello'},
                        {'type': 'text', 'text': 'there', 'cache_control': mark},
                    ],
                }
            ],
        )

    [booked] = books.entries()

    blocks = read(booked.entry.prefix).blocks
    assert [
        ('tools[0]', None),
        ('system[0]', '1h'),
        ('tool_choice', None),
        ('messages[0]', None),
        ('messages[0]', '5m'),
    ] == [(block.path, block.mark) for block in blocks]
    assert not any('Hello' in item or 'there' in item for item in booked.entry.prefix)
