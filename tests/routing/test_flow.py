"""Flows give the same result under both drivers, and failures reach the place that asked."""

import asyncio
from collections.abc import Generator

import pytest

from farthing.flow import arun, run


def add_up(count: int) -> Generator[str, int, int]:
    """Asks `count` times and adds up; a question that cannot be answered counts 100."""
    total = 0
    for number in range(count):
        try:
            total += yield f'number {number}'
        except LookupError:
            total += 100
    return total


def answer(question: str) -> int:
    number = int(question.split()[1])
    if number == 2:
        raise LookupError(question)
    if number == 5:
        raise OSError(question)
    return number


async def aanswer(question: str) -> int:
    await asyncio.sleep(0)
    return answer(question)


@pytest.mark.parametrize(('count', 'total'), [(0, 0), (2, 1), (3, 101), (5, 108)])
async def test_both_drivers_give_the_same_result(count, total):
    assert total == run(add_up(count), answer)
    assert total == await arun(add_up(count), aanswer)


async def test_what_the_flow_does_not_catch_ends_it_under_both_drivers():
    with pytest.raises(OSError, match='number 5'):
        run(add_up(6), answer)
    with pytest.raises(OSError, match='number 5'):
        await arun(add_up(6), aanswer)


async def test_a_cancelled_driver_closes_its_flow():
    closed = []

    def flow() -> Generator[str, int, int]:
        try:
            return (yield 'number 0')
        finally:
            closed.append('closed')

    async def wait_forever(question: str) -> int:
        return await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(arun(flow(), wait_forever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ['closed'] == closed
