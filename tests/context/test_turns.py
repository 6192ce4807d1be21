"""Where a history can be cut, and what a provider would refuse."""

from farthing.context import Block
from farthing.context.turns import Turn, answer_starts, turns, unpaired


def history(*said: str) -> list[Block]:
    """`user`, `assistant`, `tool_call 1 2` or `tool_result 1`: a kind and the ids of calls."""
    return [
        Block(kind=kind, tokens=1, digest='', call_ids=tuple(ids))
        for kind, *ids in map(str.split, said)
    ]


def test_a_turn_is_a_request_and_everything_until_the_next_one() -> None:
    said = history('system', 'assistant', 'user', 'user', 'assistant', 'user')

    assert (Turn(start=2, stop=5), Turn(start=5, stop=6)) == turns(said)
    assert () == turns(history('system', 'assistant'))


def test_inside_a_turn_no_result_is_cut_from_its_call() -> None:
    said = history(
        'user', 'tool_call 1 2', 'tool_result 2', 'tool_result 1', 'tool_call 3', 'tool_result 3',
        'assistant',
    )  # fmt: skip

    assert [1, 4, 6] == list(answer_starts(said, Turn(start=0, stop=7)))


def test_a_result_without_an_id_answers_the_calls_before_it() -> None:
    said = history('user', 'tool_call 1', 'tool_result', 'tool_call', 'tool_result', 'assistant')

    assert 0 == unpaired(said)
    assert [1, 3, 5] == list(answer_starts(said, Turn(start=0, stop=6)))


def test_results_without_a_call_and_calls_without_a_result_are_counted() -> None:
    assert 1 == unpaired(history('user', 'tool_result 1', 'assistant'))
    assert 1 == unpaired(history('user', 'tool_result'))
    assert 2 == unpaired(history('tool_call 1 2', 'user'))
    assert 1 == unpaired(history('tool_call 1 2', 'tool_result 1'))
    assert 2 == unpaired(history('tool_call 1', 'assistant', 'tool_result 1'))
