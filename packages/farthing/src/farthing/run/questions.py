"""Questions of policies to small models: billed as routing, within a time limit, asked once.

A question of a batch job waits for its batch as the calls do. With a limit its answer would be paid
for unheard, and be found when the code runs again: another route would be taken, and paid as well.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from farthing.attribution import attributed
from farthing.errors import InputError
from farthing.meter.following import following
from farthing.routing import Question
from farthing.run.seats import parking
from farthing.run.serving import Tally

_T = TypeVar('_T')
_MOST = 10_000


class Questions:
    """Asks, and keeps the answers of a question that has a key. Safe to use from several threads.

    Args:
        within_s: How long an answer may take that is asked for at once.

    Raises:
        InputError: That is no time.
    """

    def __init__(self, within_s: float) -> None:
        if not within_s > 0:
            raise InputError(f'`ask_within_s` is {within_s!r}: expected seconds above 0')
        self._within_s = within_s
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, str] = OrderedDict()

    def answer(self, question: Question, ask: Callable[[Question], str], tally: Tally) -> str:
        """What `ask` answers, or answered before.

        Raises:
            TimeoutError: It took too long.
            Exception: What `ask` raised.
        """
        known = self._known(question)
        if known is None:
            with attributed(purpose='routing'), following(tally):
                tally.asking()
                if parking.get() is not None:
                    known = ask(question)
                else:
                    known = within(self._within_s, lambda: ask(question))
            self._keep(question, known)
        return known

    async def aanswer(
        self, question: Question, ask: Callable[[Question], Awaitable[str]], tally: Tally
    ) -> str:
        """What `ask` answers, or answered before; see `answer`."""
        known = self._known(question)
        if known is None:
            with attributed(purpose='routing'), following(tally):
                tally.asking()
                limit_s = self._within_s if parking.get() is None else None
                async with asyncio.timeout(limit_s):
                    known = await ask(question)
            self._keep(question, known)
        return known

    def _known(self, question: Question) -> str | None:
        return None if question.key is None else self._answers.get(question.key)

    def _keep(self, question: Question, answer: str) -> None:
        if question.key is None:
            return
        with self._lock:
            self._answers[question.key] = answer
            if len(self._answers) > _MOST:
                self._answers.popitem(last=False)


def within(limit_s: float, work: Callable[[], _T]) -> _T:
    """What `work` returns or raises, unless it takes longer: then it goes on unheard.

    Raises:
        TimeoutError: It took longer.
    """
    done: Future[_T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, daemon=True, name='farthing-question').start()
    return done.result(limit_s)
