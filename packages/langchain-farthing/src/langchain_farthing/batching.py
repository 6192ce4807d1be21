"""Any Runnable or LangGraph graph over many inputs, its model calls in providers' batches."""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from farthing.batching.estimating import Estimate
from farthing.io.batching import Runner, RunningJob
from farthing.run.driving import Call


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
        return await self.estimate_calls(_call(chain, config), inputs)

    async def submit(
        self,
        chain: Runnable[Any, Any],
        inputs: Sequence[Any],
        *,
        config: RunnableConfig | None = None,
        job: str | None = None,
    ) -> RunningJob:
        """A job whose first round is sent; see `Runner.submit_calls`."""
        return await self.submit_calls(_call(chain, config), inputs, job=job)

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
            _call(chain, config),
            inputs,
            job=job,
            return_exceptions=return_exceptions,
            progress=progress,
        )


def _call(chain: Runnable[Any, Any], config: RunnableConfig | None) -> Call:
    return lambda given: chain.ainvoke(given, config)
