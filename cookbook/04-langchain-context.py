# # A long conversation that does not grow dearer (LangChain)
#
# Needs `pip install langchain langchain-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it
# without a key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langgraph.checkpoint.memory import InMemorySaver

import farthing
from langchain_farthing import (
    CacheAnnotatorMiddleware,
    ContextMiddleware,
    LedgerCallbackHandler,
    PeriodicSummary,
    Window,
)

HANDBOOK = ' '.join(f'Rule {n}: parcels of kind {n} are refunded in {n} days.' for n in range(320))
LETTER = 'The parcel was to come last week. Nobody rang, and no card was left. ' * 12
QUESTIONS = [f'Letter {n}: {LETTER} What do I answer?' for n in range(60)]

ledger = farthing.Ledger.open()
handler = LedgerCallbackHandler(ledger, tenant='globex')
haiku = ChatAnthropic(model='claude-haiku-4-5', max_tokens=60)
writer = ChatAnthropic(model='claude-haiku-4-5', max_tokens=500)


def talk(task: str, middleware) -> None:
    """One session of support: the thread keeps every message, whatever the model is sent."""
    agent = create_agent(
        haiku, [], system_prompt=HANDBOOK, middleware=middleware, checkpointer=InMemorySaver()
    )
    config = {
        'callbacks': [handler],
        'configurable': {'thread_id': f'{task} of Ann'},
        'metadata': {'task': task},
    }
    for question in QUESTIONS:
        told = agent.invoke({'messages': [('user', question)]}, config)
    print(f'{task}: {len(told["messages"])} messages in the thread')


# ## 1. Before: each question is asked with everything that was said before
# Twice as many turns cost four times as much.

talk('whole', [])

# ## 2. A cache makes that cheap, and it still grows

talk('cached', [CacheAnnotatorMiddleware(ledger)])

# ## 3. farthing: the model is sent what it needs
# A window trims rarely and far: when that pays more than the cache that it breaks.

window = ContextMiddleware([Window(keep_turns=4)], ledger=ledger)
talk('letters', [window, CacheAnnotatorMiddleware(ledger)])

# ## 4. Or a summary in place of what was left out
# It is written while the user reads the answer, and takes up the one before it. `Select()` would
# find old messages again where they are asked about: it costs their tokens on each call.

summary = ContextMiddleware([PeriodicSummary(keep_turns=4, model=writer)], ledger=ledger)
talk('summed up', [summary, CacheAnnotatorMiddleware(ledger)])
summary.driver.flush()

# ## 5. The invoice, summaries included

for row in ledger.report(by=['tenant', 'task']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')
for row in ledger.report(by='context_policy').rows:
    print('saved by', row.keys['context_policy'], row.saved_usd, 'USD')

# `farthing context purge --session 'letters of Ann'` deletes what was kept of it beside the ledger.
