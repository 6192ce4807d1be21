"""A job of many requests of 8 KB: memory, processor time, and the finished job run again."""

import asyncio
import gc
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx
from bench.shares import Shares, sampled
from bench.simulated import provider
from bench.timing import MS, Check, Table
from langchain_anthropic import ChatAnthropic
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI

from farthing.io.batching import RunningJob
from langchain_farthing import BatchRunner

ONE, TWO = 'prompt | ChatOpenAI | parser', 'prompt | ChatAnthropic | prompt | ChatOpenAI | parser'
_WINDOW = 1_000  # as many at a time as a runner has by default
_SIZE = 8_000
_KEY = 'sk-simulated'
_MB = 1e6
_RSS_UNIT = 1 if sys.platform == 'darwin' else 1 << 10


class Inputs(Sequence[dict[str, str]]):
    """Texts of 8 KB, made when they are asked for: what they take is not the runner's memory."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, str]:
        line = f'{number}: the order left the warehouse and arrives tomorrow. '
        return {'text': (line * (_SIZE // len(line) + 1))[:_SIZE]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a job took.

    Attributes:
        job: Its id.
        inputs: How many it had.
        requests: How many were answered.
        rounds: How many an input sent, one after the other.
        batches: How many the providers were given.
        took_s: From the first input to the last outcome.
        peak: The most bytes that this process has held so far.
        shares: Whose the processor's time was.
    """

    job: str
    inputs: int
    requests: int
    rounds: int
    batches: int
    took_s: float
    peak: int
    shares: Shares


def measure(*, quick: bool) -> list[Table]:
    """A small job of two models, a large one of one; then some of that again from its journal."""
    # What was imported is not walked again by each collection: that is 238,000 objects.
    gc.collect()
    gc.freeze()
    few, many, again = (200, 2_000, 500) if quick else (5_000, 100_000, 5_000)
    with tempfile.TemporaryDirectory() as folder, provider() as url:
        ledger = Path(folder, 'farthing.db')
        two = asyncio.run(_ran(ledger, TWO, _claude(url) | _text | _gpt(url), Inputs(few)))
        one = asyncio.run(_ran(ledger, ONE, _gpt(url), Inputs(many)))
        replay = asyncio.run(_replay(ledger, one.job, url, Inputs(again), 3 if quick else 5))
    return [_table({TWO: two, ONE: one}), replay]


def _claude(url: str) -> Runnable:
    return _PROMPT | ChatAnthropic(
        base_url=url, api_key=_KEY, model='claude-sonnet-4-6', max_tokens=100
    )


def _gpt(url: str, client: httpx.AsyncClient | None = None) -> Runnable:
    model = ChatOpenAI(
        base_url=f'{url}/v1', api_key=_KEY, model='gpt-5-mini', http_async_client=client
    )
    return _PROMPT | model | StrOutputParser()


_PROMPT = ChatPromptTemplate(
    [('system', 'What happens here? Answer in about twenty words.'), ('user', '{text}')]
)


def _text(message) -> dict[str, str]:
    return {'text': message.text}


async def _ran(ledger: Path, name: str, chain: Runnable, inputs: Inputs) -> Ran:
    runner = _runner(name, ledger)
    start = perf_counter()
    with sampled() as shares:
        job = await runner.submit(chain, inputs)
        await _drained(job, inputs)
    took_s = perf_counter() - start
    with runner.desk.ledger.batches() as view:
        sent = view.submissions(job.id)
        rounds = max(item.draft.round for item in view.items(job.id))
    return Ran(
        job=job.id,
        inputs=len(inputs),
        requests=sum(one.requests for one in sent),
        rounds=rounds,
        batches=len(sent),
        took_s=took_s,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
        shares=shares,
    )


def _runner(name: str, ledger: Path) -> BatchRunner:
    return BatchRunner(name, ledger=ledger, window=_WINDOW, poll=5, idle=0.1)


async def _drained(job: RunningJob, inputs: Inputs) -> None:
    """Take all outcomes; nobody is fast, or small, by failing."""
    left = len(inputs)
    async for outcome in job.results():
        if outcome.error is not None:
            raise outcome.error
        if not outcome.output or not outcome.cost_usd:
            raise SystemExit(f'expected an output that was paid for, got {outcome}')
        left -= 1
    if left:
        raise SystemExit(f'{left} outcomes are missing')


async def _replay(ledger: Path, job: str, url: str, inputs: Inputs, rounds: int) -> Table:
    """The same chain and client, answered by the journal and by a transport in memory, by turns."""
    async with httpx.AsyncClient(transport=_instant(await _answer(url))) as client:
        chain = _gpt(url, client)
        journal_s: list[float] = []
        memory_s: list[float] = []
        for _ in range(rounds):
            start = perf_counter()
            await _drained(await _runner(ONE, ledger).submit(chain, inputs, job=job), inputs)
            journal_s.append(perf_counter() - start)
            start = perf_counter()
            await _bare(chain, inputs)
            memory_s.append(perf_counter() - start)
    ours, bare = median(journal_s), median(memory_s)
    return Table(
        title=f'The first {len(inputs):,} inputs of the finished job again, {ONE}: '
        f'median of {rounds} rounds',
        columns=('', 's', 'inputs/s'),
        rows=[
            ('from the journal', f'{ours:.2f}', f'{len(inputs) / ours:,.0f}'),
            ('no runner, a transport in memory', f'{bare:.2f}', f'{len(inputs) / bare:,.0f}'),
        ],
        checks=(Check(what='journal / transport in memory, time', value=ours / bare, bound=2),),
    )


async def _answer(url: str) -> bytes:
    """What the simulated provider answers to the first input."""
    messages = _PROMPT.invoke(Inputs(1)[0]).to_messages()
    roles = {'system': 'system', 'human': 'user'}
    asked = [{'role': roles[one.type], 'content': one.text} for one in messages]
    async with httpx.AsyncClient(headers={'authorization': f'Bearer {_KEY}'}) as client:
        answer = await client.post(
            f'{url}/v1/chat/completions', json={'model': 'gpt-5-mini', 'messages': asked}
        )
    return answer.raise_for_status().content


def _instant(answer: bytes) -> httpx.MockTransport:
    headers = {'content-type': 'application/json'}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=answer))


async def _bare(chain: Runnable, inputs: Inputs) -> None:
    """The chain over the inputs, as many at a time as the runner takes."""
    waiting = iter(range(len(inputs)))

    async def work() -> None:
        for number in waiting:
            if not await chain.ainvoke(inputs[number]):
                raise SystemExit(f'input {number} has no output')

    await asyncio.gather(*(work() for _ in range(_WINDOW)))


def _table(ran: dict[str, Ran]) -> Table:
    largest = ran[ONE]
    return Table(
        title="Jobs with inputs of 8 KB, simulated providers: ms of processor are a request's",
        columns=(
            '',
            'inputs',
            'requests',
            'rounds',
            'batches',
            's',
            'peak MB',
            'ms',
            'ours',
            'loop, GC',
        ),
        rows=[
            (
                name,
                f'{one.inputs:,}',
                f'{one.requests:,}',
                str(one.rounds),
                str(one.batches),
                f'{one.took_s:.1f}',
                f'{one.peak / _MB:.0f}',
                f'{one.shares.whole / MS / one.requests:.2f}',
                f'{one.shares.ours / MS / one.requests:.2f}',
                f'{one.shares.main_both / MS / one.requests:.2f}',
            )
            for name, one in ran.items()
        ],
        checks=(
            Check(what='peak memory', value=largest.peak / _MB, bound=500, unit='MB'),
            *(
                Check(
                    what=f'our processor time a request, {name}',
                    value=one.shares.ours / MS / one.requests,
                    bound=1,
                    unit='ms',
                )
                for name, one in ran.items()
            ),
        ),
    )
