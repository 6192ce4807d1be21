# # A long conversation that does not grow dearer (LlamaIndex)
#
# Needs `pip install llama-index-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it without a
# key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.

import os

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.llms.anthropic import Anthropic

import farthing
import llama_index_farthing
from llama_index_farthing import MemorySummarizer, PeriodicSummary, Window, cached

HANDBOOK = ' '.join(f'Rule {n}: parcels of kind {n} are refunded in {n} days.' for n in range(320))
LETTER = 'The parcel was to come last week. Nobody rang, and no card was left. ' * 12
QUESTIONS = [f'Letter {n}: {LETTER} What do I answer?' for n in range(60)]

ledger = farthing.Ledger.open()
llama_index_farthing.install(ledger, tenant='globex')
server = {'base_url': os.environ.get('ANTHROPIC_BASE_URL')}
haiku = Anthropic(model='claude-haiku-4-5', max_tokens=60, **server)
writer = Anthropic(model='claude-haiku-4-5', max_tokens=500, **server)


def talk(task: str, llm, memory) -> None:
    """One session of support: the memory keeps every message, whatever the model is sent."""
    engine = SimpleChatEngine.from_defaults(
        llm=llm, memory=memory, prefix_messages=[ChatMessage(HANDBOOK, role='system')]
    )
    with farthing.attributed(task=task):
        for question in QUESTIONS:
            engine.chat(question)
    print(f'{task}: {len(memory.get_all())} messages in the memory')


def whole() -> ChatMemoryBuffer:
    """All messages, as far as a prompt goes."""
    return ChatMemoryBuffer.from_defaults(token_limit=200_000)


# ## 1. Before: each question is asked with everything that was said before
# Twice as many turns cost four times as much.

talk('whole', haiku, whole())

# ## 2. A cache makes that cheap, and it still grows

marked = cached(haiku, ledger=ledger)
talk('cached', marked, whole())

# ## 3. farthing: the model is sent what it needs
# A window trims rarely and far: when that pays more than the cache that it breaks.

window = MemorySummarizer(
    session_id='letters of Ann', policy=Window(keep_turns=4), llm=haiku, ledger=ledger
)
talk('letters', marked, window)

# ## 4. Or a summary in place of what was left out
# It is written while the user reads the answer, and takes up the one before it. In LlamaIndex's own
# `Memory`, `SummaryMemoryBlock` does the same for what that lets go.

policy = PeriodicSummary(keep_turns=4, model=writer)
summary = MemorySummarizer(session_id='summed up for Ann', policy=policy, llm=haiku, ledger=ledger)
talk('summed up', marked, summary)
summary.driver.flush()

# ## 5. The invoice, summaries included

for row in ledger.report(by=['tenant', 'task']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')
for row in ledger.report(by='context_policy').rows:
    print('saved by', row.keys['context_policy'], row.saved_usd, 'USD')

# `farthing context purge --session 'letters of Ann'` deletes what was kept of it beside the ledger.
