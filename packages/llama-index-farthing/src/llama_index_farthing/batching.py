"""LLMs, engines and workflows over many inputs, their model calls in providers' batches."""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from llama_index.core.llms import LLM

from farthing.batching.estimating import Estimate
from farthing.errors import InputError
from farthing.io.batching import Runner, RunningJob
from farthing.run.driving import Call
from farthing.run.seats import seated

Model = TypeVar('Model')


class BatchRunner(Runner):
    """Runs an LLM, or any code around LLMs, over inputs at the price of batches.

        runner = BatchRunner('nightly-questions', deadline='20h', max_cost_usd=50)
        job = await runner.submit(engine.aquery, questions)
        async for outcome in job.results(): ...

    `work` is an LLM, which completes texts and answers lists of messages; or a function of one
    input that awaits, such as `engine.aquery`; or, with `threads=True`, one that blocks. Its
    requests wait where they would leave, so that prompts, tools, parsers and retries stay as they
    are. Several calls one after the other become as many rounds of batches.
    """

    async def estimate(self, work: LLM | Call, inputs: Sequence[Any]) -> Estimate:
        """The price in batches beside the one at once; nothing is sent."""
        return await self.estimate_calls(self._call(work), inputs)

    async def submit(
        self, work: LLM | Call, inputs: Sequence[Any], *, job: str | None = None
    ) -> RunningJob:
        """A job whose first round is sent; see `Runner.submit_calls`."""
        return await self.submit_calls(self._call(work), inputs, job=job)

    def run(
        self,
        work: LLM | Call,
        inputs: Sequence[Any],
        *,
        job: str | None = None,
        return_exceptions: bool = False,
        progress: bool = True,
    ) -> list[Any]:
        """The outputs in the order of the inputs; it blocks, and shows a bar."""
        return self.run_calls(
            self._call(work),
            inputs,
            job=job,
            return_exceptions=return_exceptions,
            progress=progress,
        )

    def _call(self, work: LLM | Call) -> Call:
        if not isinstance(work, LLM):
            return work
        complete, chat = (
            (work.complete, work.chat) if self.threads else (work.acomplete, work.achat)
        )
        return lambda given: complete(given) if isinstance(given, str) else chat(given)


def batchable(llm: Model, runner: BatchRunner) -> Model:
    """The same kind of LLM, each of whose calls waits for a batch of the runner's job.

    The explicit form, for code that is not run over inputs: a batch leaves when nothing more was
    asked for as long as the runner's `idle`. What streams is sent at once, as ever.
    `runner.close()` ends it.

    Raises:
        InputError: It is no LLM; other code is run by `BatchRunner` as it is.
    """
    if not isinstance(llm, LLM):
        raise InputError(
            f'`batchable` was given a {type(llm).__name__}: expected an LLM; give other code to '
            '`BatchRunner.submit` as it is'
        )
    copied: Any = llm.model_copy()
    base: Any = type(llm)
    made = type(base)(
        base.__name__,
        (base,),
        {
            **{name: getattr(base, name) for name in ('__module__', '__qualname__', '__doc__')},
            **{name: _waiting(getattr(base, name), runner) for name in _METHODS},
        },
    )
    copied.__class__ = made
    found: Model = copied
    return found


_METHODS = (
    'achat',
    'acomplete',
    'astructured_predict',
    'chat',
    'complete',
    'structured_predict',
)


def _waiting(method: Callable[..., Any], runner: BatchRunner) -> Callable[..., Any]:
    """A method of an LLM whose requests wait."""
    if iscoroutinefunction(method):

        @wraps(method)
        async def awaited(*args: Any, **options: Any) -> Any:
            with runner.in_force(), seated(runner.seat()):
                return await method(*args, **options)

        return awaited

    @wraps(method)
    def blocking(*args: Any, **options: Any) -> Any:
        with runner.in_force(), seated(runner.seat()):
            return method(*args, **options)

    return blocking
