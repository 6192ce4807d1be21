# # A nightly job at half price (LlamaIndex)
#
# Needs `pip install llama-index-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it without a
# key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.
#
# It works on 500 documents. More take no more memory: `window` of them run at a time, and the rest
# of the job lies in the ledger and in a file beside it.

import asyncio
import os
import signal
import subprocess
import sys

from llama_index.llms.anthropic import Anthropic

import farthing
import llama_index_farthing
from llama_index_farthing import BatchRunner

DOCUMENTS = [f'Claim {n}: ' + f'Parcel {n} came late and wet. ' * 40 for n in range(500)]

server = {'base_url': os.environ.get('ANTHROPIC_BASE_URL')}
haiku = Anthropic(model='claude-haiku-4-5', max_tokens=60, **server)


async def work(document: str) -> str:
    """Two calls a document, one after the other: they become two rounds of batches."""
    summary = await haiku.acomplete(f'Write 30 words about this. {document}')
    title = await haiku.acomplete(f'Write 3 words about this. {summary}')
    return title.text


ledger = farthing.Ledger.open()
# How often the provider is asked; a simulated one answers at once.
POLL = '0.2s' if 'ANTHROPIC_BASE_URL' in os.environ else '30s'
runner = BatchRunner(
    'nightly-claims',
    ledger=ledger,
    tenant='globex',
    task='letters',
    deadline='20h',
    max_cost_usd=5,
    poll=POLL,
    window=100,
)


async def half() -> None:
    """What happens to a night's work now and then: the process is killed in the middle of it."""
    job = await runner.submit(work, DOCUMENTS)
    done = 0
    async for _ in job.results():
        done += 1
        if done == len(DOCUMENTS) // 2:
            os.kill(os.getpid(), signal.SIGKILL)


if sys.argv[1:] == ['half']:
    asyncio.run(half())

# ## 1. Before: every document at once, at full price


async def at_once() -> list[str]:
    """The same function, with no batch."""
    with farthing.attributed(task='at once'):
        return [await work(document) for document in DOCUMENTS]


llama_index_farthing.install(ledger, tenant='globex')
plain = asyncio.run(at_once())

# ## 2. farthing: the same function in the provider's batches; the process dies half-way

died = subprocess.run([sys.executable, __file__, 'half'], check=False)  # noqa: S603 - this file
print('the first process ended with', died.returncode)

# ## 3. The same name goes on with the same job; what was answered is not asked again

outputs = runner.run(work, DOCUMENTS, progress=False)
print(len(outputs), 'documents,', 'equal' if outputs == plain else 'not equal', 'to those at once')

# ## 4. The invoice: half of it, and no call twice

for row in ledger.report(by=['tenant', 'task', 'mode']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# `farthing batch list` shows the job, and `farthing batch purge` deletes its texts.
