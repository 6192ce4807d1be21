"""Decisions that may have to ask: written once as generators, answered by sync or async drivers.

A flow yields what it wants to know and returns what it decided. It does no I/O and reads no clock,
so a policy is tested by handing it answers, and an adapter is two short twins over `run` and
`arun`. What `ask` raises is thrown into the flow at the place that asked: there it is caught, or
it ends the flow.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import TypeAlias, TypeVar

_Ask = TypeVar('_Ask')
_Reply = TypeVar('_Reply')
_Result = TypeVar('_Result')

Flow: TypeAlias = Generator[_Ask, _Reply, _Result]


def run(flow: Flow[_Ask, _Reply, _Result], ask: Callable[[_Ask], _Reply]) -> _Result:
    """The flow's result; `ask` answers what it wants to know.

    Raises:
        Exception: What the flow raises, or what `ask` raised and the flow did not catch.
    """
    try:
        question = next(flow)
        while True:
            try:
                reply = ask(question)
            except Exception as error:  # noqa: BLE001 - the flow decides what a failed ask means
                question = flow.throw(error)
            else:
                question = flow.send(reply)
    except StopIteration as done:
        result: _Result = done.value
        return result
    finally:
        flow.close()


async def arun(
    flow: Flow[_Ask, _Reply, _Result], ask: Callable[[_Ask], Awaitable[_Reply]]
) -> _Result:
    """The flow's result; `ask` is awaited. A cancelled task closes the flow.

    Raises:
        Exception: What the flow raises, or what `ask` raised and the flow did not catch.
    """
    try:
        question = next(flow)
        while True:
            try:
                reply = await ask(question)
            except Exception as error:  # noqa: BLE001 - the flow decides what a failed ask means
                question = flow.throw(error)
            else:
                question = flow.send(reply)
    except StopIteration as done:
        result: _Result = done.value
        return result
    finally:
        flow.close()
