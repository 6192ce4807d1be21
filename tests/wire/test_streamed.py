"""Frameworks read from a stream only what comes in the events that they know."""

import json

from farthing.wire.streamed import streamed


def events(api: str, answer: dict) -> list[dict]:
    lines = streamed(api, answer, {}).decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith('data: {')]


def test_citations_of_a_text_come_as_deltas() -> None:
    cited = {'type': 'page_location', 'cited_text': 'so it is'}
    block = {'type': 'text', 'text': 'It is so.', 'citations': [cited]}
    told = events('anthropic_messages', {'content': [block]})

    deltas = [one['delta'] for one in told if one['type'] == 'content_block_delta']
    assert [
        {'type': 'text_delta', 'text': 'It is so.'},
        {'type': 'citations_delta', 'citation': cited},
    ] == deltas
    assert [] == told[1]['content_block']['citations']


def test_a_refusal_comes_as_one() -> None:
    item = {'type': 'message', 'id': 'm', 'content': [{'type': 'refusal', 'refusal': 'I may not.'}]}
    told = events('openai_responses', {'status': 'completed', 'output': [item]})

    assert [{'type': 'refusal', 'refusal': ''}] == [
        one['part'] for one in told if one['type'] == 'response.content_part.added'
    ]
    assert ['I may not.'] == [
        one['refusal'] for one in told if one['type'] == 'response.refusal.done'
    ]
