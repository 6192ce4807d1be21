"""Handing a view to code that sends it later: a memory does not see the call that it serves."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from farthing.meter import Spend
from farthing.money import pico
from farthing.run.context import ContextDriver
from farthing.run.talk import Answered, Prepared, Wanted


class Asks(Protocol):
    """Asks a framework's model for a summary."""

    def ask(self, wanted: Wanted) -> Answered:
        """Ask in a thread."""

    async def aask(self, wanted: Wanted) -> Answered:
        """Ask in a task."""


def handed(
    driver: ContextDriver,
    prepared: Prepared,
    texts: Sequence[str],
    asks: Asks | None,
    *,
    recorded: bool,
) -> None:
    """Have the summary made that is wanted: once the call is answered, or now.

    Args:
        driver: Whose view it is.
        prepared: The view.
        texts: The last text of the user in it, which the call is known by; and the same with what
            it stands beside, as some providers are sent neighbours of one side as one.
        asks: Who is asked for a summary; `None` where nobody can be.
        recorded: Whether whoever records calls sees this one, and tells of its answer.
    """

    def make() -> None:
        if prepared.wanted is None or asks is None:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            driver.after(prepared, asks.ask)
        else:
            driver.aafter(prepared, asks.aask)

    heard = recorded and any(texts)
    if heard:
        driver.offer(prepared, make, *texts)
    if prepared.overdue or not heard:
        make()


def paid(spend: Spend) -> int | None:
    """What was booked; unknown where something has no price or could not be booked."""
    if not spend.calls or spend.unpriced or spend.lost:
        return None
    return pico(spend.cost_usd)
