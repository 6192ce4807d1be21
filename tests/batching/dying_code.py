"""A process that runs a user's code over inputs in batches, and may die in that code by kill -9.

    python dying_code.py LEDGER PROVIDER DIES

The code asks two questions, the second about the answer to the first, and DIES in between.
"""

import os
import signal
import sys
from functools import partial

import anthropic
import openai

from farthing.io.batching import Runner

from .conftest import MODELS
from .dying import QUICK

INPUTS = range(3, 9)


async def ask(provider: str, words: int) -> int:
    """How many words the answer has."""
    said = [{'role': 'user', 'content': f'Write {words} words'}]
    if provider == 'anthropic':
        async with anthropic.AsyncAnthropic() as client:
            made = await client.messages.create(
                model=MODELS[provider], max_tokens=60, messages=said
            )
        return len(made.content[0].text.split())
    async with openai.AsyncOpenAI() as client:
        made = await client.chat.completions.create(model=MODELS[provider], messages=said)
    return len(made.choices[0].message.content.split())


async def work(provider: str, words: int, *, dies: bool = False) -> int:
    """Twice as many words and one more."""
    found = await ask(provider, words)
    if dies and words == INPUTS[3]:
        os.kill(os.getpid(), signal.SIGKILL)
    return await ask(provider, 2 * found + 1)


def main(ledger: str, provider: str, dies: str = '') -> list[int]:
    runner = Runner('crash', ledger=ledger, poll=0.02, idle=0.05, settings=QUICK)
    return runner.run_calls(partial(work, provider, dies=bool(dies)), INPUTS, progress=False)


if __name__ == '__main__':
    main(*sys.argv[1:])
