"""Any Runnable or LangGraph graph over many inputs, its model calls in providers' batches."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig

from farthing.batching.estimating import Estimate
from farthing.errors import InputError
from farthing.io.batching import Runner, RunningJob
from farthing.run.driving import Call
from farthing.run.seats import seated

Model = TypeVar('Model')


class BatchRunner(Runner):
    """Runs a chain over inputs at the price of batches.

        runner = BatchRunner('nightly-summaries', deadline='20h', max_cost_usd=50)
        print(await runner.estimate(chain, inputs))
        job = await runner.submit(chain, inputs)
        async for outcome in job.results(): ...

    The chain stays as it is: its requests wait where they would leave, so that prompts, parsers,
    tools, retries and fallbacks are LangChain's own. Several calls one after the other become as
    many rounds of batches. Code that neither awaits nor runs in a thread that copies its context
    cannot wait; see `Runner.parked`.
    """

    async def estimate(
        self,
        chain: Runnable[Any, Any],
        inputs: Sequence[Any],
        *,
        config: RunnableConfig | None = None,
    ) -> Estimate:
        """The price in batches beside the one at once; nothing is sent."""
        return await self.estimate_calls(self._call(chain, config), inputs)

    async def submit(
        self,
        chain: Runnable[Any, Any],
        inputs: Sequence[Any],
        *,
        config: RunnableConfig | None = None,
        job: str | None = None,
    ) -> RunningJob:
        """A job whose first round is sent; see `Runner.submit_calls`."""
        return await self.submit_calls(self._call(chain, config), inputs, job=job)

    def run(
        self,
        chain: Runnable[Any, Any],
        inputs: Sequence[Any],
        *,
        config: RunnableConfig | None = None,
        job: str | None = None,
        return_exceptions: bool = False,
        progress: bool = True,
    ) -> list[Any]:
        """The outputs in the order of the inputs; it blocks, and shows a bar."""
        return self.run_calls(
            self._call(chain, config),
            inputs,
            job=job,
            return_exceptions=return_exceptions,
            progress=progress,
        )

    def _call(self, chain: Runnable[Any, Any], config: RunnableConfig | None) -> Call:
        if self.threads:
            return lambda given: chain.invoke(given, config)
        return lambda given: chain.ainvoke(given, config)


def batchable(model: Model, runner: BatchRunner) -> Model:
    """The same kind of model, each of whose calls waits for a batch of the runner's job.

    The explicit form, for code that is not run over inputs: a batch leaves when nothing more was
    asked for as long as the runner's `idle`. Streams come in one piece. `runner.close()` ends it.

    Raises:
        InputError: It is no chat model; a chain is run by `BatchRunner` as it is.
    """
    if not isinstance(model, BaseChatModel):
        raise InputError(
            f'`batchable` was given a {type(model).__name__}: expected a chat model; give a chain '
            'to `BatchRunner.submit` as it is'
        )
    copied: Any = model.model_copy()
    base: Any = type(model)
    names = {name: getattr(base, name) for name in ('__module__', '__qualname__', '__doc__')}
    made = type(base)(base.__name__, (_Waiting, base), names)
    made._farthing_runner = runner  # noqa: SLF001 - ours
    copied.__class__ = made
    found: Model = copied
    return found


class _Waiting:
    """Mixed into the class of a chat model."""

    _farthing_runner: BatchRunner

    def _generate(self, *args: Any, **options: Any) -> ChatResult:
        runner = self._farthing_runner
        with runner.in_force(), seated(runner.seat()):
            made: ChatResult = super()._generate(*args, **options)  # type: ignore[misc]
        return made

    async def _agenerate(self, *args: Any, **options: Any) -> ChatResult:
        runner = self._farthing_runner
        with runner.in_force(), seated(runner.seat()):
            made: ChatResult = await super()._agenerate(*args, **options)  # type: ignore[misc]
        return made

    # A stream is whole when it comes, so that no code of its reader runs in the seat.
    def _stream(self, *args: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        runner = self._farthing_runner
        with runner.in_force(), seated(runner.seat()):
            chunks = list(super()._stream(*args, **options))  # type: ignore[misc]
        yield from chunks

    async def _astream(self, *args: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        runner = self._farthing_runner
        with runner.in_force(), seated(runner.seat()):
            stream = super()._astream(*args, **options)  # type: ignore[misc]
            chunks = [chunk async for chunk in stream]
        for chunk in chunks:
            yield chunk
